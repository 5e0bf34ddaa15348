package backup_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/segment"
	"cairn/test/stores"
)

// TestFullSpoolMemory has a store that takes nothing and a spool without room: a
// part whose object waits for room takes its share of the memory, so that the
// scan waits too. With room it goes on.
func TestFullSpoolMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spool := filepath.Join(t.TempDir(), "spool")
		if err := os.Symlink("/proc", spool); err != nil { // has no room, as it says
			t.Fatal(err)
		}
		gate, rows := new(turnstile), 0
		h := newHouse(t, stores.New(t))
		h.create() // makes the cloud
		var docs []cairn.Document
		for i := range 8 {
			docs = append(docs, doc(fmt.Sprint("big", i), "text", segment.PartBytes/2+1))
		}
		h.apply(docs...)
		h.bucket = &gated{Bucket: h.bucket, before: gate.before}
		h.edit = func(cfg *backup.Config) {
			watchScans(func() { rows++ }, func() {})(cfg)
			cfg.Spool, cfg.Memory, cfg.Workers = spool, 2, 4 // one part at a time
		}
		h.engine = h.newEngine()
		var b cairn.Backup
		var err error
		var ended sync.WaitGroup
		ended.Go(func() { b, err = h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), gate.report) })
		synctest.Wait()
		if rows != 1+3 { // its numbers; the first part is sent, the second waits for room, the third for memory
			t.Errorf("%d documents were read while there was no room, want 3", rows-1)
		}
		if err := errors.Join(os.Remove(spool), os.Mkdir(spool, 0o700)); err != nil {
			t.Error(err)
		}
		if _, err := gate.run(func() error { ended.Wait(); return err }); err != nil {
			t.Fatal(err)
		}
		if b.Digest != h.verify() {
			t.Errorf("the backup is of %s, want %s", b.Digest, h.verify())
		}
	})
}
