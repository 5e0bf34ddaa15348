package test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
)

// TestBackupMemory makes a backup and restores it with many cores, in daemons of
// their own, so that each peak is of that alone: memory is bounded by bytes,
// whatever the size of the database and however many cores there are.
func TestBackupMemory(t *testing.T) {
	tiny := 600_000
	if os.Getenv("CAIRN_LONG") != "" {
		tiny = 1_200_000
	}
	for _, test := range []struct {
		name               string
		small, tiny, large int // MiB, and documents
		create, restore    int // MiB at most
	}{
		{"ordinary documents", 100, 0, 0, 200, 200},
		// What is kept of each while it is at work is more than its line.
		{"tiny documents", 0, tiny, 0, 200, 200},
		// Each is a part of its own, of which there are several copies at
		// work; docs/ARCHITECTURE.md counts them.
		{"large documents", 8, 0, 6, 340, 290},
	} {
		t.Run(test.name, func(t *testing.T) {
			data := t.TempDir()
			start := func() (*harness.Daemon, *client.Client) {
				d := harness.Start(t, harness.Options{Data: data, Env: []string{"GOMAXPROCS=16", "GOMEMLIMIT="}})
				return d, client.New(d.URL)
			}
			stop := func(d *harness.Daemon, what string, most int) {
				peak := peakMiB(t, d.PID)
				t.Logf("%s took %d MiB at its peak", what, peak)
				if peak > most {
					t.Errorf("%s took %d MiB at its peak, want at most %d", what, peak, most)
				}
				if err := d.Stop(); err != nil {
					t.Fatal(err)
				}
			}
			d, c := start()
			random := rand.New(rand.NewPCG(1, 2))
			fillDatabase(t, c, random, test.small<<20, 8000)
			storeTiny(t, c, test.tiny)
			for n := range test.large {
				storeLarge(t, c, random, n)
			}
			before := databaseOf(t, c)
			stop(d, "writing", test.create)

			d, c = start()
			b, err := c.CreateBackup(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			stop(d, "creating", test.create)

			d, c = start()
			if _, err := c.RestoreBackup(t.Context(), b.ID); err != nil {
				t.Fatal(err)
			}
			if st := databaseOf(t, c); st.Digest != before.Digest || st.Documents != before.Documents {
				t.Errorf("restored is %+v, want %+v", st, before)
			}
			stop(d, "restoring", test.restore)
			if parts, err := filepath.Glob(filepath.Join(data, "cloud", "parts", "*", "*")); err != nil || len(parts) < 7 {
				t.Errorf("the backup has %d parts: too few to fill the memory, %v", len(parts), err)
			}
		})
	}
}

// storeTiny writes so many empty documents.
func storeTiny(t *testing.T, c *client.Client, count int) {
	t.Helper()
	for n := 0; n < count; {
		var lines []api.DocumentLine
		for ; len(lines) < 20_000 && n < count; n++ {
			lines = append(lines, api.DocumentLine{Collection: "tags", ID: fmt.Sprintf("t%d", n), Document: json.RawMessage("{}")})
		}
		if _, err := c.WriteDocuments(t.Context(), lines); err != nil {
			t.Fatal(err)
		}
	}
}

// storeLarge writes a document of 31 MiB that hardly compresses, which takes the
// most memory.
func storeLarge(t *testing.T, c *client.Client, random *rand.Rand, n int) {
	t.Helper()
	noise := make([]byte, 31<<20/4*3)
	for i := 0; i < len(noise); i += 8 {
		for j, bits := 0, random.Uint64(); j < 8 && i+j < len(noise); j, bits = j+1, bits>>8 {
			noise[i+j] = byte(bits)
		}
	}
	text := fmt.Sprintf(`{"n":%d,"text":"%s"}`, n, base64.StdEncoding.EncodeToString(noise))
	line := api.DocumentLine{Collection: "large", ID: fmt.Sprint("large", n), Document: json.RawMessage(text)}
	if _, err := c.WriteDocuments(t.Context(), []api.DocumentLine{line}); err != nil {
		t.Fatal(err)
	}
}
