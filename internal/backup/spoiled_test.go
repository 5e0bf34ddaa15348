package backup_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/test/stores"
)

// A rereading bucket reads each content in the ways of stores: a part of it, its
// length, all of it for a checksum, and all of it once more, which it stores.
// before is called before each of the last two.
type rereading struct {
	bucket.Bucket
	before func(name string, pass int)
}

// Put reads and stores.
func (r *rereading) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	_, err := io.CopyN(io.Discard, content, 10)
	for _, whence := range []int{io.SeekCurrent, io.SeekEnd, io.SeekStart} {
		_, seekErr := content.Seek(0, whence)
		err = errors.Join(err, seekErr)
	}
	r.before(name, 1)
	_, readErr := io.Copy(io.Discard, content)
	if err = errors.Join(err, readErr); err != nil {
		return err
	}
	r.before(name, 2)
	return r.Bucket.Put(ctx, name, content)
}

// TestSpoiledIndex has the disk give back other bytes than were written of an
// index, at one time and not at another. What the store has got decides.
func TestSpoiledIndex(t *testing.T) {
	for _, test := range []struct {
		name    string
		flips   []int // before a bit is flipped: 0 when it was written, 1 and 2 as rereading counts
		refused bool
		sent    int // indexes that the store has got
	}{
		{"never", nil, false, 1},
		{"as soon as it is written", []int{0}, true, 0},
		{"when it is sent", []int{1}, true, 1},
		{"when it is sent after a checksum", []int{2}, true, 1},
		{"when its checksum is computed", []int{1, 2}, false, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := &rereading{Bucket: stores.New(t)}
			h := openHouse(t, t.TempDir(), store, quickParts)
			flips := func(pass int) {
				for _, at := range test.flips {
					if at != pass {
						continue
					}
					files, err := filepath.Glob(filepath.Join(h.dir, "spool", "index.*"))
					if err != nil || len(files) != 1 {
						t.Fatalf("the files of indexes are %v, %v", files, err)
					}
					flip(t, files[0])
				}
			}
			h.step = func(name string, do func() error) error {
				err := do()
				if name == "spool.index" {
					flips(0)
				}
				return err
			}
			store.before = func(name string, pass int) {
				if strings.HasPrefix(name, "indexes/") {
					flips(pass)
				}
			}
			h.fill(3, quickPart/2+1)
			b, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore)
			if n := len(named(objects(t, store), "indexes/")); n != test.sent {
				t.Errorf("the store has %d indexes, want %d", n, test.sent)
			}
			if test.refused {
				checkSpoiled(t, h, err, "spool"+string(filepath.Separator)+"index.")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			h.restore(b.ID)
			if d := h.verify(); d != b.Digest {
				t.Errorf("restored is %s, want %s", d, b.Digest)
			}
		})
	}
}

// TestSpoiledCatalog has the disk give back other bytes than were written to a
// file of sorted rows.
func TestSpoiledCatalog(t *testing.T) {
	h := openHouse(t, t.TempDir(), stores.New(t), func(cfg *backup.Config) { cfg.Catalog, cfg.Workers = 1, 1 })
	spoiled := false
	h.step = func(name string, do func() error) error {
		err := do()
		if name == "spool.catalog" && !spoiled {
			spoiled = true
			files, err := filepath.Glob(filepath.Join(h.dir, "spool", "catalog.*"))
			if err != nil || len(files) != 1 {
				t.Fatalf("the files of the catalog are %v, %v", files, err)
			}
			flip(t, files[0])
		}
		return err
	}
	h.fill(400, 30_000)
	_, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore)
	checkSpoiled(t, h, err, "spool"+string(filepath.Separator)+"catalog.")
}

// checkSpoiled checks that no backup was made since a file in the data folder is
// not what was written to it.
func checkSpoiled(t *testing.T, h *house, err error, file string) {
	t.Helper()
	if cairn.CodeOf(err) != cairn.CodeDamaged || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "The disk gives back") {
		t.Errorf("it returned %v, want that the disk spoiled %s", err, file)
	}
	if list := h.list(); len(list) > 0 {
		t.Errorf("listed are %v", list)
	}
	h.checkTidy(true)
}
