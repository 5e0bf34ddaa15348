package cloud_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"cairn"
	"cairn/internal/cloud"
	"cairn/internal/keys"
	"cairn/internal/segment"
	"cairn/test/stores"
)

// update writes the golden files anew: go test ./internal/cloud -run Golden -update
var update = flag.Bool("update", false, "write the golden files of testdata")

// goldenID is the id of the golden cloud: what goldenRandom makes of it.
const goldenID = "07070707-0707-4707-8707-070707070707"

// goldenPassphrase opens the golden slot.
const goldenPassphrase = "golden passphrase"

// goldenRandom is a source of random bytes that are all 7.
type goldenRandom struct{}

func (goldenRandom) Read(p []byte) (int, error) {
	copy(p, bytes.Repeat([]byte{7}, len(p)))
	return len(p), nil
}

// checkGolden compares text with a golden file, or writes it.
func checkGolden(t *testing.T, name string, text []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden(name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(readGolden(t, name)), string(text)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func golden(name string) string { return filepath.Join("testdata", name) }

func readGolden(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(golden(name))
	if err != nil {
		t.Fatalf("%v; go test -run Golden -update writes it", err)
	}
	return data
}

// goldenManifest is what the golden manifest says.
func goldenManifest(t testing.TB) cloud.Manifest {
	t.Helper()
	created := time.Date(2026, 11, 23, 7, 25, 41, 123_000_000, time.UTC)
	id, timestamp := cairn.NewBackupID("0.1.0", created, 456_789)
	digits := func(d byte) string {
		return string(bytes.Repeat([]byte{d}, 2)) + "/" + string(bytes.Repeat([]byte{d}, 32)) + ".jsonl.zst.age"
	}
	sum := func(b byte) segment.Sum { return segment.Sum(bytes.Repeat([]byte{b}, 32)) }
	return cloud.Manifest{
		Backup: cairn.Backup{
			ID: id, Version: "0.1.0", Timestamp: timestamp, Created: created, Bytes: 6_001_500,
			DeviceName: "dev <box> \"é\"", Platform: "LINUX", Installation: "5b0c6f0e-3f52-4f5e-9d5a-0f2a1c9d7e11", Line: "0d3c8f5e-9a53-4f0e-8c7b-2b1f0e9d8c7a",
			Scope: cairn.ScopeAll, Revision: 1010, Documents: 1002, Deletions: 4, JSONBytes: 17_000_000,
			Digest: cairn.DigestOf(cairn.Document{Revision: 1, Collection: "assets", ID: "a", JSON: []byte(`{}`)}),
		},
		Segments: []segment.Segment{
			{From: 0, To: 1000, Documents: 1000, Plain: 17_100_000, Stored: 6_000_000, Parts: 3, Index: &segment.Object{Name: "indexes/" + digits('1'), Size: 30_000, SHA256: sum(1)}},
			{From: 1000, To: 1007, Documents: 3, Deletions: 4, Plain: 2000, Stored: 1500, Parts: 1, Part: &segment.Part{
				Object: segment.Object{Name: "parts/" + digits('2'), Size: 1500, SHA256: sum(2)},
				From:   1000, To: 1007, Documents: 3, Deletions: 4, Plain: 2000,
			}},
			{From: 1007, To: 1010},
		},
	}
}

// TestGolden pins the bytes of everything that is not a segment. What age makes
// is never the same twice: there the golden object is read, and what is written
// is compared after decrypting it.
func TestGolden(t *testing.T) {
	key, err := keys.Read(golden("key"))
	if err != nil {
		t.Fatal(err)
	}
	b := stores.New(t)
	d := newDevice(t, b)
	d.Identity, d.Rand = key, goldenRandom{}
	c := d.open(t)
	if c.ID() != goldenID {
		t.Fatalf("the golden cloud has the id %s", c.ID())
	}
	file, err := os.ReadFile(d.Keys.Path(c.ID()))
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "key", file)
	checkGolden(t, "cairn.json", get(t, b, "cairn.json"))

	m := goldenManifest(t)
	if _, err := c.Commit(t.Context(), m, c.Fresh()); err != nil {
		t.Fatal(err)
	}
	object := get(t, b, objectOf(m.ID))
	checkGolden(t, "manifest.json", decrypt(t, key, object))
	if *update {
		checkGolden(t, "manifest.json.age", object)
	}
	slot := get(t, b, add(t, c, cloud.NewPassphrase(goldenPassphrase)).Name)
	checkGolden(t, "slot", decryptSlot(t, goldenPassphrase, slot))
	if *update {
		checkGolden(t, "slot.age", slot)
	}

	// The files alone are a cloud that can be read.
	b = stores.New(t)
	put(t, b, "cairn.json", readGolden(t, "cairn.json"))
	object = readGolden(t, "manifest.json.age")
	put(t, b, objectOf(m.ID), object)
	put(t, b, "keys/07070707070707070707070707070707.age", readGolden(t, "slot.age"))
	d = newDevice(t, b)
	d.Passphrase = cloud.NewPassphrase(goldenPassphrase)
	got, err := d.open(t).Manifest(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	m.Bytes += int64(len(object))
	if diff := cmp.Diff(m, got, cmpopts.EquateComparable(cairn.Digest{})); diff != "" {
		t.Errorf("the golden manifest (-want +got):\n%s", diff)
	}
}

// TestGoldenSeal holds the golden files to the words of docs/format.md.
func TestGoldenSeal(t *testing.T) {
	key, err := keys.Read(golden("key"))
	if err != nil {
		t.Fatal(err)
	}
	b := stores.New(t)
	put(t, b, "cairn.json", readGolden(t, "cairn.json"))
	d := newDevice(t, b)
	d.Identity = key
	c := d.open(t)
	for file, name := range map[string]string{"cairn.json": "cairn.json", "manifest.json": goldenManifest(t).ID} {
		text := readGolden(t, file)
		line, _, _ := bytes.Cut(text, []byte("\n"))
		if diff := cmp.Diff(string(sealed(t, c, name, line)), string(text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}
