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
	storeDocuments(t, d, manyAssets()...)
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
			made, size, b := costOfBackup(t, c, dir)
			if round > 0 && (made != 2 || size > smallBackup) {
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

// TestSecondDevice has a second device go on from what the first has backed up, with
// nothing but the place and a passphrase, and the first from what the second has. What
// either changes costs a part and a manifest, as on one device.
func TestSecondDevice(t *testing.T) {
	t.Parallel()
	eachCloud(t, func(t *testing.T, cloud place) {
		t.Parallel()
		passphrase := cairn.NewSecret("correct horse battery staple")
		first := cloud.serve(t, harness.Options{})
		storeDocuments(t, first, manyAssets()...)
		one := client.New(first.URL)
		_, full, _ := costOfBackup(t, one, cloud.dir)
		if full < 3*smallBackup {
			t.Fatalf("the first backup has only %d bytes", full)
		}
		if _, err := one.AddPassphrase(t.Context(), passphrase); err != nil {
			t.Fatal(err)
		}
		second := harness.Start(t, harness.Options{Env: cloud.env})
		two := client.New(second.URL)
		before := objectsIn(t, cloud.dir)
		if _, err := two.ConnectCloud(t.Context(), cairn.CloudRequest{URL: cloud.url, Passphrase: passphrase}); err != nil {
			t.Fatal(err)
		}
		if after := objectsIn(t, cloud.dir); len(after) != len(before) {
			t.Errorf("connecting made %d objects of %d", len(after), len(before))
		}
		hands := []struct {
			from, to *client.Client
			daemon   *harness.Daemon // that changes something
		}{{one, two, second}, {two, one, first}, {one, two, second}}
		for i, hand := range hands {
			list, err := hand.to.Backups(t.Context())
			if err != nil || len(list) != i+1 {
				t.Fatalf("%d: %d backups are listed, %v", i, len(list), err)
			}
			if _, err := hand.to.RestoreBackup(t.Context(), list[0].ID); err != nil {
				t.Fatal(err)
			}
			if got, want := digestOf(t, hand.to), digestOf(t, hand.from); got != want {
				t.Errorf("%d: restored, the digest is %s, want %s", i, got, want)
			}
			storeDocuments(t, hand.daemon, oddAsset("asset-000", fmt.Sprintf(`"changed %d"`, i), ""))
			if made, size, _ := costOfBackup(t, hand.to, cloud.dir); made != 2 || size > smallBackup {
				t.Errorf("%d: a changed document made %d objects of %d bytes", i, made, size)
			}
		}
	})
}

// smallBackup is the most bytes that the backup of one changed document has.
const smallBackup = 8 << 10

// manyAssets returns assets of which each has its own text.
func manyAssets() (docs []api.DocumentLine) {
	for i := range 500 {
		docs = append(docs, oddAsset(fmt.Sprintf("asset-%03d", i), `"`+strings.Repeat(fmt.Sprint(i), 500)+`"`, ""))
	}
	return docs
}

// costOfBackup makes a backup, and returns how many objects it made in the folder of
// the cloud, and their bytes.
func costOfBackup(t *testing.T, c *client.Client, dir string) (made int, size int64, b api.Backup) {
	t.Helper()
	before := objectsIn(t, dir)
	b, err := c.CreateBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, bytes := range objectsIn(t, dir) {
		if _, ok := before[name]; !ok {
			made, size = made+1, size+bytes
		}
	}
	return made, size, b
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
