package backup_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/database"
	"cairn/test/stores"
)

// A fragile database tells reach what of Replace it is about to do.
type fragile struct {
	scanned
	reach func(place string)
}

func (f fragile) Replace(ctx context.Context, r cairn.Replacement, fill func(func(int, []cairn.Document) (func() error, error)) error) error {
	return f.DB.Replace(ctx, r, func(prepare func(int, []cairn.Document) (func() error, error)) error {
		return fill(func(segment int, docs []cairn.Document) (func() error, error) {
			f.reach("prepare")
			insert, err := prepare(segment, docs)
			return func() error {
				f.reach("insert")
				return insert()
			}, err
		})
	})
}

// TestPanic has each goroutine of a creation and of a restoration break: that is
// an error of it, which the log can explain, nothing waits for what broke, and
// the engine goes on.
func TestPanic(t *testing.T) {
	for _, at := range []string{"row", "browse", "put", "sent", "get", "prepare", "insert", "inserted"} {
		t.Run(at, func(t *testing.T) {
			broken := "" // where it breaks
			reach := func(place string) {
				if place == broken {
					panic("broken at " + place)
				}
			}
			doing := "put"
			// Where it breaks behind one transfer, another one has succeeded too.
			var begun, landed sync.WaitGroup
			var puts atomic.Int64
			begun.Add(2)
			landed.Add(2)
			gate := &gated{Bucket: stores.New(t), before: func(_ context.Context, name string) {
				if strings.HasPrefix(name, "parts/") {
					reach(doing)
				}
			}, during: func(name string, put func() error) error {
				if broken != "sent" || !strings.HasPrefix(name, "parts/") || puts.Add(1) > 2 {
					return put()
				}
				begun.Done()
				begun.Wait()
				defer landed.Done()
				return put()
			}}
			h := openHouse(t, t.TempDir(), gate, func(cfg *backup.Config) {
				cfg.Database = fragile{scanned{cfg.Database.(*database.DB), func() { reach("row") }, func() {}}, reach}
				cfg.Browse = func(string, []byte) (name, language, created string) {
					reach("browse")
					return "", "", ""
				}
				quickParts(cfg)
				cfg.Memory = 1 << 20 // so that parts wait for each other
			})
			for i := range 6 {
				h.apply(doc(fmt.Sprint("big", i), "text", quickPart/2+1))
			}
			before := h.create()
			h.unbase()
			report := func(done string) backup.Report {
				return func(_ cairn.Backup, p cairn.Progress) {
					if p.Done > 0 {
						if broken == "sent" {
							landed.Wait()
						}
						reach(done)
					}
				}
			}
			broken = at
			_, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), report("sent"))
			if err == nil { // it breaks in the other
				doing = "get"
				_, err = h.engine.Restore(t.Context(), "job", before.ID, report("inserted"))
			}
			if cairn.CodeOf(err) != cairn.CodeInternal || !strings.Contains(err.Error(), "broken at "+at) || !strings.Contains(err.Error(), "panic_test.go") {
				t.Errorf("the error is %v, want one of the panic with its stack", err)
			}
			broken = ""
			if d := h.verify(); d != before.Digest {
				t.Errorf("the database is %s, and was %s", d, before.Digest)
			}
			made := len(h.list())
			b := h.create()
			if list := h.list(); len(list) != made+1 {
				t.Errorf("the backups are %v", list)
			}
			h.restore(b.ID)
			h.checkTidy(false)
		})
	}
}
