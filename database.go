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
