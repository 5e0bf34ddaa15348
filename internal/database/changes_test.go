package database_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/database"
)

// Changes come in the order of revisions, deletions among them, none missed at
// the borders of pages.
func TestChanges(t *testing.T) {
	db := open(t, t.TempDir())
	for _, id := range someNames(9) {
		apply(t, db, long(id, 0), cairn.Document{Collection: "tags", ID: id, JSON: []byte(`{}`)})
	}
	apply(t, db, remove("a03"), long("a01", 1), cairn.Document{Collection: "tags", ID: "a05"}, remove("a04"), long("a03", 1))
	type change struct {
		Revision   int64
		Collection string
		ID         string
		Deleted    bool
	}
	var all []change
	for i, id := range someNames(9) {
		if id != "a01" && id != "a03" && id != "a04" {
			all = append(all, change{int64(2*i + 1), "assets", id, false})
		}
		if id != "a05" {
			all = append(all, change{int64(2*i + 2), "tags", id, false})
		}
	}
	all = append(all, change{20, "assets", "a01", false}, change{21, "tags", "a05", true}, change{22, "assets", "a04", true}, change{23, "assets", "a03", false})
	for _, collection := range []string{"", "assets", "tags", "nothing"} {
		for after := int64(-1); after <= 25; after++ {
			want := []change{}
			for _, c := range all {
				if c.Revision > after && (collection == "" || c.Collection == collection) {
					want = append(want, c)
				}
			}
			got := []change{}
			for _, d := range drain(t, db.Changes(t.Context(), collection, after)) {
				got = append(got, change{d.Revision, d.Collection, d.ID, d.Deleted()})
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("changes of %q after %d (-want +got):\n%s", collection, after, diff)
			}
		}
	}
}

// A follower that takes what has changed, again and again, has in the end what
// the database has.
func TestFollower(t *testing.T) {
	db := open(t, t.TempDir())
	const writes = 80
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := range writes {
				doc := long(fmt.Sprintf("a%02d", (i*7+w)%11), w*1000+i)
				if i%4 == 3 {
					doc = remove(doc.ID)
				}
				if _, err := db.Apply(t.Context(), []cairn.Document{doc}); err != nil {
					t.Errorf("Apply: %v", err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()

	copied := map[string]string{}
	position := int64(0)
	for last := false; !last; {
		changed := db.Changed()
		position = follow(t, db, copied, position)
		select {
		case <-changed:
		case <-done:
			last = true
			position = follow(t, db, copied, position)
		}
	}
	want := map[string]string{}
	for _, d := range drain(t, db.List(t.Context(), "assets")) {
		want[d.ID] = string(d.JSON)
	}
	if diff := cmp.Diff(want, copied); diff != "" {
		t.Errorf("the follower's copy (-want +got):\n%s", diff)
	}
	if got := db.Stats().Revision; position != got {
		t.Errorf("the follower is at revision %d, want %d", position, got)
	}
	verify(t, db)
}

// follow applies the changes after a revision to a copy, and returns the last.
func follow(t *testing.T, db *database.DB, copied map[string]string, after int64) int64 {
	for doc, err := range db.Changes(t.Context(), "assets", after) {
		if err != nil {
			t.Fatalf("Changes: %v", err)
		}
		if doc.Revision <= after {
			t.Fatalf("revision %d came after %d", doc.Revision, after)
		}
		after = doc.Revision
		if doc.Deleted() {
			delete(copied, doc.ID)
		} else {
			copied[doc.ID] = string(doc.JSON)
		}
	}
	return after
}

// isClosed reports whether a commit came.
func isClosed(changed <-chan struct{}) bool {
	select {
	case <-changed:
		return true
	default:
		return false
	}
}

// The channel is closed by what changes something, and by nothing else.
func TestChanged(t *testing.T) {
	db := open(t, t.TempDir())
	for _, step := range []struct {
		name string
		do   func() error
		want bool
	}{
		{"a new document", func() error { apply(t, db, put("a", `{}`)); return nil }, true},
		{"the same", func() error { apply(t, db, put("a", `{}`)); return nil }, false},
		{"nothing", func() error { apply(t, db); return nil }, false},
		{"a deletion of none", func() error { apply(t, db, remove("b")); return nil }, false},
		{"a refused one", func() error { _, err := db.Apply(t.Context(), []cairn.Document{put("", `{}`)}); return err }, false},
		{"a refused edit", func() error {
			_, err := db.Update(t.Context(), "assets", "a", func([]byte) ([]byte, error) { return nil, errRefused })
			return err
		}, false},
		{"an edit of nothing", func() error {
			_, err := db.Update(t.Context(), "assets", "a", func(json []byte) ([]byte, error) { return json, nil })
			return err
		}, false},
		{"an edit", func() error {
			_, err := db.Update(t.Context(), "assets", "a", func([]byte) ([]byte, error) { return []byte(`{"v":1}`), nil })
			return err
		}, true},
		{"a read", func() error { return db.Verify(t.Context()) }, false},
		{"a deletion", func() error { apply(t, db, remove("a")); return nil }, true},
	} {
		changed, before := db.Changed(), db.Stats().Revision
		err := step.do()
		if got := isClosed(changed); got != step.want {
			t.Errorf("%s: closed %t, want %t (%v)", step.name, got, step.want, err)
		}
		if got := db.Stats().Revision; (got > before) != step.want {
			t.Errorf("%s: revision %d after %d", step.name, got, before)
		}
		if isClosed(db.Changed()) {
			t.Errorf("%s: the next channel is closed", step.name)
		}
	}
}
