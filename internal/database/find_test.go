package database_test

import (
	"fmt"
	"sync"
	"testing"

	"cairn"
)

// A reference leads to whichever document has it now.
func TestFind(t *testing.T) {
	db := open(t, t.TempDir())
	for _, step := range []struct {
		name string
		doc  cairn.Document
		want string // id of the document that has r, empty for none
	}{
		{"none", put("b", `{}`), ""},
		{"one", put("b", `{"refs":["r","q"]}`), "b"},
		{"in another collection too", cairn.Document{Collection: "tags", ID: "a", JSON: []byte(`{"refs":["r"]}`)}, "b"},
		{"a second one", put("a", `{"refs":["r"]}`), "a"},
		{"a third one", put("c", `{"refs":["r"]}`), "a"},
		{"the first without", put("a", `{"refs":["q"]}`), "b"},
		{"the next deleted", remove("b"), "c"},
		{"the last without", put("c", `{"refs":[]}`), ""},
		{"back again", put("b", `{"refs":["x","r","r"]}`), "b"},
		{"twice to once", put("b", `{"refs":["r"]}`), "b"},
	} {
		apply(t, db, step.doc)
		got, err := db.Find(t.Context(), "assets", "r")
		if step.want == "" {
			checkCode(t, step.name, err, cairn.CodeGone)
			continue
		}
		if err != nil || got.ID != step.want || got.Collection != "assets" {
			t.Errorf("%s: Find = %+v, %v, want %s", step.name, got, err, step.want)
			continue
		}
		if same, err := db.Get(t.Context(), "assets", got.ID); err != nil || string(same.JSON) != string(got.JSON) || same.Revision != got.Revision {
			t.Errorf("%s: Find = %+v, Get = %+v, %v", step.name, got, same, err)
		}
	}
}

// Odd references are references too.
func TestFindOddReferences(t *testing.T) {
	db := open(t, t.TempDir())
	for i, ref := range []string{`""`, `"\u0000"`, `"\ud800"`, `"\udc00"`, `"é"`, `"A"`, `"a"`, `"%"`, `"'"`} {
		id := fmt.Sprint(i)
		apply(t, db, put(id, `{"refs":[`+ref+`]}`))
		doc, err := db.Find(t.Context(), "assets", refs("", []byte(`{"refs":[`+ref+`]}`))[0])
		if err != nil || doc.ID != id {
			t.Errorf("Find of %s = %+v, %v, want %s", ref, doc, err, id)
		}
	}
}

// A reference that moves from document to document is never between them: what
// Find returns has it.
func TestFindWhileMoving(t *testing.T) {
	db := open(t, t.TempDir())
	apply(t, db, put("a", `{"refs":["r"]}`), put("b", `{"refs":[]}`))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		defer close(stop)
		for i := range 200 {
			from, to := "a", "b"
			if i%2 == 1 {
				from, to = to, from
			}
			_, err := db.Apply(t.Context(), []cairn.Document{put(from, `{"refs":[]}`), put(to, fmt.Sprintf(`{"v":%d,"refs":["r"]}`, i))})
			if err != nil {
				t.Errorf("Apply: %v", err)
				return
			}
		}
	})
	for done := false; !done; {
		select {
		case <-stop:
			done = true
		default:
		}
		doc, err := db.Find(t.Context(), "assets", "r")
		if err != nil || len(refs("assets", doc.JSON)) != 1 {
			t.Errorf("Find = %+v, %v, want a document that has the reference", doc, err)
			break
		}
	}
	wg.Wait()
	verify(t, db)
}
