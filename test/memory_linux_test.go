package test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
	"cairn/test/s3server"
)

// TestBackupMemory makes a backup and restores it with many cores, in daemons of
// their own, so that each peak is of that alone: memory is bounded by bytes,
// whatever the size of the database, wherever the cloud is and however many cores
// there are.
func TestBackupMemory(t *testing.T) {
	t.Parallel()
	tiny := 600_000
	long := os.Getenv("CAIRN_LONG") != ""
	if long {
		tiny = 1_200_000
	}
	for _, test := range []struct {
		name               string
		small, tiny, large int  // MiB, and documents
		create, restore    int  // MiB at most
		folder, s3         bool // in a short run
	}{
		{"ordinary documents", 100, 0, 0, 200, 200, true, true},
		// What is kept of each while it is at work is more than its line; what is
		// sent is as with ordinary ones.
		{"tiny documents", 0, tiny, 0, 200, 200, true, false},
		// Each is a part of its own, of which there are several copies at
		// work; docs/ARCHITECTURE.md counts them.
		{"large documents", 8, 0, 6, 340, 290, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			data := t.TempDir()
			measure := func(t *testing.T, cloud place, what string, most int, work func(*client.Client)) {
				t.Helper()
				d := cloud.serve(t, harness.Options{Data: data, Env: []string{"GOMAXPROCS=16", "GOMEMLIMIT="}})
				work(client.New(d.URL))
				peak := peakMiB(t, d.PID)
				t.Logf("%s took %d MiB at its peak", what, peak)
				if peak > most {
					t.Errorf("%s took %d MiB at its peak, want at most %d", what, peak, most)
				}
				if err := d.Stop(); err != nil {
					t.Fatal(err)
				}
			}
			var before api.DatabaseStatus
			measure(t, folderCloud(t), "writing", test.create, func(c *client.Client) {
				random := rand.New(rand.NewPCG(1, 2))
				fillDatabase(t, c, random, test.small<<20, 8000)
				storeTiny(t, c, test.tiny)
				for n := range test.large {
					storeLarge(t, c, random, n)
				}
				before = databaseOf(t, c)
			})
			eachCloud(t, func(t *testing.T, cloud place) {
				if !long && (cloud.server == nil && !test.folder || cloud.server != nil && !test.s3) {
					return
				}
				if cloud.server != nil {
					// Many objects are on their way at once, and stay there for long.
					cloud = cloud.behind(s3server.NewFront(t, cloud.server, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
						time.Sleep(200 * time.Millisecond)
						forward.ServeHTTP(w, r)
					}))
				}
				var b api.Backup
				measure(t, cloud, "creating", test.create, func(c *client.Client) {
					var err error
					if b, err = c.CreateBackup(t.Context()); err != nil {
						t.Fatal(err)
					}
				})
				if long || test.tiny == 0 {
					measure(t, cloud, "verifying", test.restore, func(c *client.Client) { wantSound(t, c, b) })
				}
				measure(t, cloud, "restoring", test.restore, func(c *client.Client) {
					if _, err := c.RestoreBackup(t.Context(), b.ID); err != nil {
						t.Fatal(err)
					}
					if st := databaseOf(t, c); st.Digest != before.Digest || st.Documents != before.Documents {
						t.Errorf("restored is %+v, want %+v", st, before)
					}
				})
				if parts := allFiles(t, filepath.Join(cloud.dir, "parts")); len(parts) < 7 {
					t.Errorf("the backup has %d parts: too few to fill the memory", len(parts))
				}
			})
		})
	}
}

// wantSound has a backup read in both ways and nothing found.
func wantSound(t *testing.T, c *client.Client, b api.Backup) {
	t.Helper()
	v, err := c.VerifyBackup(t.Context(), b.ID, true)
	if err != nil || len(v.Damaged)+len(v.Unchecked) > 0 || v.Bytes != b.Bytes || v.ReadParts == 0 {
		t.Errorf("of a backup of %d bytes the verification is %+v, %v", b.Bytes, v, err)
	}
	all, err := c.CheckCloud(t.Context(), "100%")
	if err != nil || len(all.Damaged)+len(all.Unchecked) > 0 || all.ReadBytes < v.ReadBytes {
		t.Errorf("the check says %+v, %v, after %+v", all, err, v)
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
