package device_test

import (
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn/internal/device"
)

// holdForWriting takes the lock of writers on the file in dir, as another
// program would, until the function it returns is called.
func holdForWriting(t *testing.T, dir string) (release func()) {
	t.Helper()
	path := filepath.ToSlash(filepath.Join(dir, device.FileName))
	db, err := sql.Open("sqlite", (&url.URL{
		Scheme: "file", Path: "/" + strings.TrimPrefix(path, "/"), RawQuery: "_txlock=immediate",
	}).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
	}
}

func TestKnownCloud(t *testing.T) {
	dir := t.TempDir()
	d, _ := open(t, config(dir, "m1"))
	check := func(url, want string) {
		t.Helper()
		if id, err := d.KnownCloud(t.Context(), url); id != want || err != nil {
			t.Errorf("KnownCloud(%q) = %q, %v; want %q", url, id, err, want)
		}
	}
	set := func(url, id string) {
		t.Helper()
		if err := d.SetKnownCloud(t.Context(), url, url, id); err != nil {
			t.Errorf("SetKnownCloud(%q): %v", url, err)
		}
	}
	check("file:///a", "")
	set("file:///a", "c1")
	set("file:///b", "c1")
	set("file:///a", "c2")
	for range 2 {
		check("file:///a", "c2")
		check("file:///b", "c1")
		check("file:///A", "")
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		d, _ = open(t, config(dir, "m1"))
	}
}

// TestBackupsMade counts what this installation made: a copy begins at 0.
func TestBackupsMade(t *testing.T) {
	dir := t.TempDir()
	for i, tt := range []struct {
		machine string
		want    int64
	}{{"m1", 0}, {"m1", 3}, {"m2", 0}, {"m2", 3}} {
		d, _ := open(t, config(dir, tt.machine))
		if made, err := d.BackupsMade(t.Context(), "c1"); made != tt.want || err != nil {
			t.Errorf("step %d: BackupsMade = %d, %v; want %d", i, made, err, tt.want)
		}
		for range 3 - tt.want {
			if err := d.CountBackup(t.Context(), "c1"); err != nil {
				t.Error(err)
			}
		}
		if made, err := d.BackupsMade(t.Context(), "c2"); made != 0 || err != nil {
			t.Errorf("step %d: of another cloud: %d, %v", i, made, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestManifests(t *testing.T) {
	dir := t.TempDir()
	d, _ := open(t, config(dir, "m1"))
	check := func(cloud string, want map[string][]byte) {
		t.Helper()
		got, err := d.Cached(t.Context(), cloud)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Cached(%q): %v (-want +got):\n%s", cloud, err, diff)
		}
	}
	check("c1", map[string][]byte{})
	names, all := []string{"never stored"}, map[string][]byte{}
	for i := range 50 {
		name := fmt.Sprint("backups/", i)
		if err := d.Store(t.Context(), "c2", name, nil); err != nil {
			t.Fatal(err)
		}
		names, all[name] = append(names, name), nil
	}
	big := make([]byte, 1<<16)
	for _, s := range []struct {
		name string
		data []byte
	}{{"a", []byte("old")}, {"b", big}, {"a", []byte("new\x00\xff")}} {
		if err := d.Store(t.Context(), "c1", s.name, s.data); err != nil {
			t.Fatal(err)
		}
	}
	check("c1", map[string][]byte{"a": []byte("new\x00\xff"), "b": big})
	check("c2", all)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d, _ = open(t, config(dir, "m1"))
	check("c2", all)
	for _, f := range []struct {
		cloud string
		names []string
	}{{"c1", nil}, {"c1", []string{"b"}}, {"c2", names}} {
		if err := d.Forget(t.Context(), f.cloud, f.names); err != nil {
			t.Errorf("Forget: %v", err)
		}
	}
	check("c1", map[string][]byte{"a": []byte("new\x00\xff")})
	check("c2", map[string][]byte{})
}
