package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
)

// TestSwitch goes back and forth between two clouds: each goes on from the last
// backup that it has, so a small change costs a part and a manifest in either.
func TestSwitch(t *testing.T) {
	t.Parallel()
	d := harness.Start(t, harness.Options{})
	c := client.New(d.URL)
	var docs []api.DocumentLine
	for i := range 500 {
		docs = append(docs, oddAsset(fmt.Sprintf("asset-%03d", i), `"`+strings.Repeat(fmt.Sprint(i), 500)+`"`, ""))
	}
	storeDocuments(t, d, docs...)
	clouds := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	for round := range 4 {
		for i, dir := range clouds {
			before := objectsIn(t, dir)
			connected, err := c.ConnectCloud(t.Context(), cairn.CloudRequest{URL: dir, Create: round == 0})
			if err != nil || !connected.Current {
				t.Fatalf("connecting %s: %+v, %v", dir, connected, err)
			}
			if after := objectsIn(t, dir); round > 0 && len(after) != len(before) {
				t.Errorf("connecting made %d objects of %d", len(after), len(before))
			}
			storeDocuments(t, d, oddAsset("asset-000", fmt.Sprintf(`"changed %d %d"`, round, i), ""))
			b, err := c.CreateBackup(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			after := objectsIn(t, dir)
			made, size := 0, int64(0)
			for name, bytes := range after {
				if _, ok := before[name]; !ok {
					made, size = made+1, size+bytes
				}
			}
			if round > 0 && (made != 2 || size > 8<<10) {
				t.Errorf("round %d: a changed document made %d objects of %d bytes in %s", round, made, size, dir)
			}
			list, err := c.Backups(t.Context())
			if err != nil || len(list) != round+1 || list[0].ID != b.ID {
				t.Errorf("round %d: %d backups are listed, %v", round, len(list), err)
			}
		}
	}
	want := digestOf(t, c)
	list, err := c.Backups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.RestoreBackup(t.Context(), list[0].ID); err != nil {
		t.Fatal(err)
	}
	if got := digestOf(t, c); got != want {
		t.Errorf("restored, the digest is %s, want %s", got, want)
	}
}

// digestOf returns the digest of the documents of a daemon.
func digestOf(t *testing.T, c *client.Client) string {
	t.Helper()
	st, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st.Database.Digest
}

// objectsIn returns the sizes of the objects of a cloud in a folder.
func objectsIn(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	sizes := map[string]int64{}
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		return sizes
	}
	for _, path := range allFiles(t, dir) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sizes[path] = info.Size()
	}
	return sizes
}
