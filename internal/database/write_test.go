package database_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"testing"
	"time"

	"cairn"
	"cairn/internal/database"
)

// soon is how long a test waits for what should come at once.
const soon = 30 * time.Second

// hold begins an Update whose edit waits for release, and returns when it waits.
func hold(t *testing.T, ctx context.Context, db *database.DB, id, text string) (release func() error) {
	t.Helper()
	inside, wait, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := db.Update(ctx, "assets", id, func([]byte) ([]byte, error) {
			close(inside)
			<-wait
			return []byte(text), nil
		})
		done <- err
	}()
	select {
	case <-inside:
	case err := <-done:
		t.Fatalf("Update: %v", err)
	}
	return func() error {
		close(wait)
		return <-done
	}
}

// A write that waits for its turn ends with its context, and writes nothing.
func TestCancelWhileWaiting(t *testing.T) {
	db := open(t, t.TempDir())
	apply(t, db, put("a", `{}`))
	release := hold(t, t.Context(), db, "a", `{"v":1}`)
	cause := errors.New("the reason")
	for name, write := range map[string]func(ctx context.Context) error{
		"Apply": func(ctx context.Context) error {
			_, err := db.Apply(ctx, []cairn.Document{put("b", `{}`)})
			return err
		},
		"Update": func(ctx context.Context) error {
			_, err := db.Update(ctx, "assets", "a", func([]byte) ([]byte, error) { return []byte(`{"v":2}`), nil })
			return err
		},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() { done <- write(ctx) }()
		runtime.Gosched()
		cancel(cause)
		select {
		case err := <-done:
			if !errors.Is(err, cause) {
				t.Errorf("%s: %v, want %v", name, err, cause)
			}
		case <-time.After(soon):
			t.Fatalf("%s still waits", name)
		}
	}
	if err := release(); err != nil {
		t.Errorf("the Update that had its turn: %v", err)
	}
	if got := db.Stats(); got.Revision != 2 || got.Documents != 1 {
		t.Errorf("%+v, want one document at revision 2", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.Apply(ctx, []cairn.Document{put("b", `{}`)}); !errors.Is(err, context.Canceled) || db.Stats().Revision != 2 {
		t.Errorf("Apply under an ended context: %v, revision %d", err, db.Stats().Revision)
	}
	verify(t, db)
}

// A write that began has an outcome, whatever becomes of its context.
func TestCancelWhileWriting(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	apply(t, db, put("a", `{}`))
	ctx, cancel := context.WithCancel(t.Context())
	release := hold(t, ctx, db, "a", `{"v":1}`)
	cancel()
	if err := release(); err != nil {
		t.Errorf("Update: %v", err)
	}
	shut(t, db)
	db = open(t, dir)
	if doc, err := db.Get(t.Context(), "assets", "a"); err != nil || string(doc.JSON) != `{"v":1}` || doc.Revision != 2 {
		t.Errorf("the document is %+v, %v", doc, err)
	}
	verify(t, db)
}

// An error of an edit comes back as it is, and nothing is written.
func TestUpdateRefused(t *testing.T) {
	db := open(t, t.TempDir())
	apply(t, db, put("a", `{"refs":["r"]}`))
	before := db.Stats()
	for name, refusal := range map[string]error{
		"its own":      errRefused,
		"one of ours":  &cairn.Error{Code: cairn.CodeInvalid},
		"no rows":      sql.ErrNoRows,
		"of a file":    &fs.PathError{Op: "open", Path: "/x", Err: os.ErrPermission},
		"of a context": context.Canceled,
	} {
		doc, err := db.Update(t.Context(), "assets", "a", func([]byte) ([]byte, error) { return []byte(`{"v":2}`), refusal })
		if err != refusal || doc.JSON != nil || doc.Revision != 0 {
			t.Errorf("%s: Update = %+v, %v, want nothing and the error itself", name, doc, err)
		}
	}
	for name, test := range map[string]struct {
		text []byte
		want cairn.Code
	}{
		"nothing":   {nil, cairn.CodeInternal},
		"no object": {[]byte(`[]`), cairn.CodeInvalid},
		"too large": {make([]byte, cairn.MaxDocumentBytes+1), cairn.CodeTooLarge},
	} {
		doc, err := db.Update(t.Context(), "assets", "a", func([]byte) ([]byte, error) { return test.text, nil })
		if got := cairn.CodeOf(err); got != test.want || doc.JSON != nil {
			t.Errorf("%s: Update = %+v, %v, want code %q", name, doc, err, test.want)
		}
	}
	_, err := db.Update(t.Context(), "assets", "b", func([]byte) ([]byte, error) { t.Error("called"); return nil, nil })
	checkCode(t, "Update of a missing one", err, cairn.CodeGone)
	if got := db.Stats(); got != before {
		t.Errorf("Stats = %+v, want %+v", got, before)
	}
	if doc, err := db.Find(t.Context(), "assets", "r"); err != nil || string(doc.JSON) != `{"refs":["r"]}` {
		t.Errorf("the document is %+v, %v", doc, err)
	}
	verify(t, db)
}

// An edit that panics takes nothing with it: neither a half-made write stays,
// nor the turn.
func TestUpdatePanics(t *testing.T) {
	db := open(t, t.TempDir())
	apply(t, db, put("a", `{}`))
	func() {
		defer func() {
			if p := recover(); p != "edit" {
				t.Errorf("recovered %v, want the panic of the edit", p)
			}
		}()
		_, _ = db.Update(t.Context(), "assets", "a", func([]byte) ([]byte, error) { panic("edit") })
	}()
	done := make(chan error, 1)
	go func() {
		_, err := db.Apply(t.Context(), []cairn.Document{put("b", `{}`)})
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Apply afterwards: %v", err)
		}
	case <-time.After(soon):
		t.Fatal("the database is stuck")
	}
	if got := db.Stats(); got.Documents != 2 || got.Revision != 2 {
		t.Errorf("Stats = %+v, want two documents", got)
	}
	verify(t, db)
}

// Update sees no write between its reading and its writing.
func TestUpdateIsAtomic(t *testing.T) {
	db := open(t, t.TempDir())
	apply(t, db, put("a", `{"n":""}`))
	const writers, each = 4, 25
	done := make(chan error, writers)
	for range writers {
		go func() {
			for range each {
				_, err := db.Update(t.Context(), "assets", "a", func(json []byte) ([]byte, error) {
					return append(append([]byte{}, json[:len(json)-2]...), `x"}`...), nil
				})
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			t.Errorf("Update: %v", err)
		}
	}
	doc, err := db.Get(t.Context(), "assets", "a")
	if want := len(`{"n":""}`) + writers*each; err != nil || len(doc.JSON) != want || doc.Revision != 1+writers*each {
		t.Errorf("after %d edits: %d bytes at revision %d, %v, want %d", writers*each, len(doc.JSON), doc.Revision, err, want)
	}
	verify(t, db)
}

// Close waits for the write under way, which then is on the disk.
func TestCloseWaits(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	apply(t, db, put("a", `{}`))
	release := hold(t, t.Context(), db, "a", `{"v":1}`)
	closing, closed := make(chan struct{}), make(chan error, 1)
	go func() {
		close(closing)
		closed <- db.Close()
	}()
	<-closing
	for range 1000 {
		runtime.Gosched()
	}
	select {
	case err := <-closed:
		t.Fatalf("Close did not wait: %v", err)
	default:
	}
	if err := release(); err != nil {
		t.Errorf("the Update under way: %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	db = open(t, dir)
	if doc, err := db.Get(t.Context(), "assets", "a"); err != nil || string(doc.JSON) != `{"v":1}` {
		t.Errorf("the document is %+v, %v", doc, err)
	}
}
