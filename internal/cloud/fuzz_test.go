package cloud_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/cloud"
	"cairn/internal/keys"
	"cairn/test/stores"
)

// fuzzCloud opens the golden cloud in a store of its own.
func fuzzCloud(f *testing.F) (*cloud.Cloud, bucket.Bucket) {
	f.Helper()
	b := stores.New(f)
	put(f, b, "cairn.json", readGolden(f, "cairn.json"))
	c, err := cloud.Open(f.Context(), cloud.Config{
		Bucket: b, URL: testURL, Keys: &keys.Store{Dir: f.TempDir()}, Now: start, Identity: fuzzKey(f), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.Fatal(err)
	}
	return c, b
}

// fuzzKey is the golden key.
func fuzzKey(f *testing.F) *age.X25519Identity {
	f.Helper()
	key, err := keys.Read(golden("key"))
	if err != nil {
		f.Fatal(err)
	}
	return key
}

// readManifest reads object as the manifest of the golden backup, and leaves the
// store without it.
func readManifest(t *testing.T, c *cloud.Cloud, b bucket.Bucket, id string, object []byte) (cloud.Manifest, error) {
	t.Helper()
	put(t, b, objectOf(id), object)
	defer func() {
		if err := b.Delete(t.Context(), objectOf(id)); err != nil {
			t.Fatal(err)
		}
	}()
	m, err := c.Manifest(t.Context(), id)
	if code := cairn.CodeOf(err); err != nil && code != cairn.CodeDamaged && code != cairn.CodeFormatTooNew {
		t.Fatalf("%s: %v", code, err)
	}
	return m, err
}

// FuzzManifest reads lines that have the right MAC as a manifest. What is taken is
// written as what reads the same, in the one form that cairn writes.
func FuzzManifest(f *testing.F) {
	c, b := fuzzCloud(f)
	id := goldenManifest(f).ID
	line, _, _ := bytes.Cut(readGolden(f, "manifest.json"), []byte("\n"))
	f.Add(line)
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.Contains(line, []byte("\n")) {
			return // FuzzManifestText has these
		}
		m, err := readManifest(t, c, b, id, encrypt(t, c.Recipient(), sealed(t, c, id, line)))
		if err != nil {
			return
		}
		if m.ID != id || m.Revision < 0 || m.Documents < 0 || m.Deletions < 0 || m.JSONBytes < 0 || m.Bytes < 0 {
			t.Errorf("it says %+v", m.Backup)
		}
		if _, err := c.Commit(t.Context(), m, c.Fresh()); err != nil {
			t.Fatalf("it was read, but cannot be written: %v", err)
		}
		object := get(t, b, objectOf(id))
		if err := b.Delete(t.Context(), objectOf(id)); err != nil {
			t.Fatal(err)
		}
		again, err := readManifest(t, c, b, id, object)
		if err != nil {
			t.Fatalf("it is written as what cannot be read: %v", err)
		}
		m.Bytes, again.Bytes = 0, 0 // of the objects, which have other lengths
		same := cmp.Comparer(func(a, b cairn.Digest) bool { return a == b })
		if diff := cmp.Diff(m, again, same, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("it is written as something else (-read +written):\n%s", diff)
		}
	})
}

// FuzzManifestText reads any text that somebody encrypts for the public key, which
// is no secret: it is taken when its two lines are there with the MAC of the first
// and nothing beside.
func FuzzManifestText(f *testing.F) {
	c, b := fuzzCloud(f)
	id := goldenManifest(f).ID
	written := readGolden(f, "manifest.json")
	f.Add(written)
	f.Fuzz(func(t *testing.T, text []byte) {
		_, err := readManifest(t, c, b, id, encrypt(t, c.Recipient(), text))
		if want := bytes.Equal(text, written); (err == nil) != want {
			t.Errorf("it is the one that was written: %t; the error is %v", want, err)
		}
	})
}

// FuzzManifestObject reads any object as a manifest. Only the one that was written
// is.
func FuzzManifestObject(f *testing.F) {
	c, b := fuzzCloud(f)
	id := goldenManifest(f).ID
	written := readGolden(f, "manifest.json.age")
	f.Add(written)
	f.Fuzz(func(t *testing.T, object []byte) {
		_, err := readManifest(t, c, b, id, object)
		if want := bytes.Equal(object, written); (err == nil) != want {
			t.Errorf("it is the one that was written: %t; the error is %v", want, err)
		}
	})
}

// openWith opens a cloud whose cairn.json is text, with the golden key. It changes
// nothing, and keeps no key that opens nothing.
func openWith(t *testing.T, text []byte, key *age.X25519Identity) (*cloud.Cloud, error) {
	t.Helper()
	b := stores.New(t)
	put(t, b, "cairn.json", text)
	d := newDevice(t, b)
	d.Identity = key
	c, err := cloud.Open(t.Context(), d.Config)
	if got := content(t, b); len(got) != 1 || got["cairn.json"] != string(text) {
		t.Errorf("opening it left %q", got)
	}
	entries, readErr := os.ReadDir(d.Keys.Dir)
	switch codes := []cairn.Code{cairn.CodeDamaged, cairn.CodeFormatTooNew, cairn.CodeKeyWrong, cairn.CodeNotCloud}; {
	case readErr != nil && !os.IsNotExist(readErr):
		t.Fatal(readErr)
	case err == nil && (len(entries) != 1 || entries[0].Name() != c.ID()):
		t.Errorf("it was opened, and the keys are %v", entries)
	case err != nil && len(entries) > 0:
		t.Errorf("it was not opened, and the keys are %v", entries)
	case err != nil && !slices.Contains(codes, cairn.CodeOf(err)):
		t.Errorf("%s: %v", cairn.CodeOf(err), err)
	}
	return c, err
}

// FuzzDescription opens a cloud whose cairn.json has any line, with the right MAC.
func FuzzDescription(f *testing.F) {
	key := fuzzKey(f)
	line, _, _ := bytes.Cut(readGolden(f, "cairn.json"), []byte("\n"))
	f.Add(line)
	f.Fuzz(func(t *testing.T, line []byte) {
		var v struct{ ID string }
		_ = json.Unmarshal(line, &v) // what has no id cannot have a MAC
		c, err := openWith(t, sealedFor(v.ID, key, "cairn.json", line), key)
		if err != nil {
			return
		}
		if c.ID() != v.ID || c.Grace() <= 0 || c.Recipient().String() != key.Recipient().String() || filepath.Base(c.ID()) != c.ID() {
			t.Errorf("%s opens as the cloud %q, with a grace of %s", line, c.ID(), c.Grace())
		}
	})
}

// FuzzDescriptionText opens a cloud whose cairn.json is any text. Without the key
// nobody makes one that is taken.
func FuzzDescriptionText(f *testing.F) {
	key := fuzzKey(f)
	written := readGolden(f, "cairn.json")
	f.Add(written)
	f.Fuzz(func(t *testing.T, text []byte) {
		_, err := openWith(t, text, key)
		if want := bytes.Equal(text, written); (err == nil) != want {
			t.Errorf("it is the one that was written: %t; the error is %v", want, err)
		}
	})
}
