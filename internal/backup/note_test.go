package backup_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/test/stores"
)

// TestFlippedNote has a bit flip in the file of the database, in what it notes of a
// part: of a base, or in the journal. No backup names a part by what is left of it.
func TestFlippedNote(t *testing.T) {
	for _, what := range []string{"a base", "the journal"} {
		t.Run(what, func(t *testing.T) {
			store := stores.New(t)
			refuse := false
			through := fault.New(store, func(c fault.Call) fault.Outcome {
				if refuse && c.Op == fault.Put && strings.HasPrefix(c.Name, "backups/") {
					return fault.Outcome{Effect: fault.Fail, Err: bucket.ErrRefused}
				}
				return fault.Outcome{}
			})
			h := openHouse(t, quickDir(t), through, func(cfg *backup.Config) { cfg.PartBytes = 4 << 10 })
			random := rand.New(rand.NewPCG(1, 2))
			for n := range 100 {
				h.apply(noise(random, fmt.Sprint("d", n), 200))
			}
			if what == "a base" {
				h.create()
			} else {
				refuse = true
				if _, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore); err == nil {
					t.Fatal("the manifest was stored")
				}
				refuse = false
			}
			h.close()
			file := filepath.Join(h.dir, "generations", h.current().Live)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for at := 0; ; at += len(`"sha256":"`) {
				n := bytes.Index(data[at:], []byte(`"sha256":"`))
				if n < 0 {
					break
				}
				at += n
				digit := &data[at+len(`"sha256":"`)]
				if *digit ^= 1; *digit == '`' || *digit == 'g' { // it stays a hexadecimal one
					*digit ^= 3
				}
			}
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			h.open()
			h.apply(noise(random, "more", 200))
			if v := h.verified(h.create().ID, true); len(v.Damaged) > 0 {
				t.Errorf("%d objects of the next backup are damaged, the first is %+v", len(v.Damaged), v.Damaged[0])
			}
		})
	}
}

// TestFlippedDigest has a bit flip in what the database counts. No backup can be
// right then: once one was found not to be, no further one is made.
func TestFlippedDigest(t *testing.T) {
	h := openHouse(t, quickDir(t), stores.New(t), nil)
	h.apply(doc("a", "text", 100))
	h.create()
	digest := h.db.Stats().Digest.Bytes()
	h.close()
	file := filepath.Join(h.dir, "generations", h.current().Live)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[bytes.Index(data, digest)] ^= 1
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	h.open()
	h.apply(doc("b", "text", 100))
	if v := h.verified(h.create().ID, true); len(v.Damaged) != 1 {
		t.Errorf("damaged are %+v", v.Damaged)
	}
	if b, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore); cairn.CodeOf(err) != cairn.CodeDamaged {
		t.Errorf("another backup is %s, %v", b.ID, err)
	}
}

// TestNoteWithoutChecksum builds on what an older build has noted of a backup.
func TestNoteWithoutChecksum(t *testing.T) {
	h := openHouse(t, quickDir(t), stores.New(t), nil)
	h.apply(doc("a", "text", 1000))
	b := h.create()
	c, before := h.manifest(b.ID)
	bases, err := h.db.Bases(t.Context(), c.ID())
	if err != nil || len(bases) != 1 {
		t.Fatalf("the bases are %v, %v", bases, err)
	}
	old := regexp.MustCompile(`,"crc":[0-9]+`).ReplaceAll(bases[0].Segments, nil)
	if bytes.Equal(old, bases[0].Segments) {
		t.Fatalf("no checksum is in %s", old)
	}
	if err := h.db.MarkBase(t.Context(), c.ID(), b.ID, old); err != nil {
		t.Fatal(err)
	}
	h.apply(doc("b", "text", 10))
	_, after := h.manifest(h.create().ID)
	if diff := cmp.Diff(before.Segments, after.Segments[:1]); diff != "" || len(after.Segments) != 2 {
		t.Errorf("of %d segments the first is not that of the backup before (-before +after):\n%s", len(after.Segments), diff)
	}
}
