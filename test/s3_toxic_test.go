package test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"cairn/client"
	"cairn/test/harness"
	"cairn/test/s3server"
	"cairn/test/toxic"
)

// TestBlackHole has the store vanish for a minute in the middle of a backup, and
// of a restoration: both are done when it is back. The tests of the engine have
// more of what can happen to connections, to ones with less patience.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	s := s3server.Shared(t)
	var working sync.WaitGroup
	defer working.Wait()
	for work, do := range map[string]func(c *client.Client, id string) error{
		"creation":    func(c *client.Client, _ string) error { _, err := c.CreateBackup(t.Context()); return err },
		"restoration": func(c *client.Client, id string) error { _, err := c.RestoreBackup(t.Context(), id); return err },
	} {
		p := toxic.New(t, strings.TrimPrefix(s.URL, "http://"))
		d := harness.Start(t, harness.Options{Args: []string{"--cloud", s3URL("http://"+p.Addr, s.Bucket(t))}, Env: s.Env()})
		storeDocuments(t, d, oddDocuments()...)
		c := client.New(d.URL)
		digest := databaseStatus(t, d).Digest
		b, err := c.CreateBackup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Set(toxic.Blackhole{})
		working.Go(func() {
			healing := time.AfterFunc(time.Minute, func() { p.Set() })
			defer healing.Stop()
			begun := time.Now()
			err := do(c, b.ID)
			if took := time.Since(begun); err != nil || took < 55*time.Second || took > 2*time.Minute {
				t.Errorf("with a store that is away for a minute, the %s ended after %v: %v", work, took, err)
			}
			list, err := c.Backups(t.Context())
			if err != nil {
				t.Error(err)
			}
			for _, b := range list {
				if _, err := c.RestoreBackup(t.Context(), b.ID); err != nil {
					t.Errorf("restoring %s: %v", b.ID, err)
				}
				if st, err := c.Status(t.Context()); err != nil || st.Database.Digest != digest {
					t.Errorf("%s restores to %s, %v, want %s", b.ID, st.Database.Digest, err, digest)
				}
			}
			if want := map[string]int{"creation": 2, "restoration": 1}[work]; len(list) != want {
				t.Errorf("%d backups are listed after the %s, want %d", len(list), work, want)
			}
		})
	}
}
