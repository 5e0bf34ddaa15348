package cairn

// An Outcome tells what writing one document did.
type Outcome int

// The outcomes.
const (
	Unchanged Outcome = iota // the same text was there already; no revision was spent
	Added                    // there was no such document
	Changed                  // there was one with another text
	Removed                  // the document is gone
	Missing                  // there was nothing to delete
)

// String returns the outcome as the API names it.
func (o Outcome) String() string {
	return [...]string{"unchanged", "added", "changed", "removed", "missing"}[o]
}

// A Result is the outcome of writing one document and the revision that it, or
// its deletion, has now: for [Missing] that of an earlier deletion, or 0 when
// none is known.
type Result struct {
	Outcome  Outcome
	Revision int64
}

// Stats describe the documents of a database at one moment. All parts of it
// are kept up to date by each write, so reading them costs the same whatever
// the size.
type Stats struct {
	Line      string // id of the history that this database goes on with
	Revision  int64  // of the newest change
	Documents int64
	Deletions int64 // documents known to be deleted
	Bytes     int64 // of compacted JSON in all documents
	Digest    Digest
}

// A Moment is a database as it is at one moment, whatever is written meanwhile.
// It is lent: its functions end with the first error of theirs or of row, and can
// be called, one at a time, until whoever lends it returns.
//
// As long as it is lent the log of the database cannot shrink, so whoever uses it
// should not wait for anything slow.
type Moment struct {
	Stats Stats
	// Count counts what changed last in the revisions (after, to].
	Count func(after, to int64) (Rows, error)
	// Deletions counts the deletions after a revision.
	Deletions func(after int64) (int64, error)
	// Scan reads the documents of the revisions (after, to], and the deletions
	// if they are wanted, in the order of revisions. The text of a document is
	// row's until it returns, and not to be changed. The hash is the one that was
	// noted when the document was written: who adds them up sees one that is not
	// that of its text, since Stats.Digest is of them. That of a deletion is zero.
	Scan func(after, to int64, deletions bool, row func(Document, Hash) error) error
}

// Rows counts rows of a database.
type Rows struct {
	Documents int64
	Deletions int64
	Bytes     int64 // of compacted JSON in the documents
}
