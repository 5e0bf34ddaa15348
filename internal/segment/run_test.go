package segment_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn/internal/segment"
)

// addInRuns adds rows to a catalog of little memory, which makes files of them,
// and then wants the index. damage gets the first file as soon as it is written.
func addInRuns(t *testing.T, rows []segment.Row, damage func(path string)) (first string, err error) {
	t.Helper()
	dir := t.TempDir()
	c := segment.NewCatalog(dir, 0)
	defer func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if files := namesIn(t, dir); len(files) != 0 {
			t.Errorf("after Close there are %q", files)
		}
	}()
	c.Step = func(do func() error) error {
		err := do()
		if first == "" {
			first = filepath.Join(dir, namesIn(t, dir)[0])
			damage(first)
		}
		return err
	}
	var batch segment.Batch
	for i, r := range rows {
		batch.Add(r)
		if i%200 == 199 {
			if err := c.Add(&batch); err != nil {
				return first, err
			}
		}
	}
	parts, s := twoParts(t, int64(len(rows)))
	_, err = segment.WriteIndex(t.Context(), io.Discard, keys(t).Recipient(), s, parts, c)
	return first, err
}

// TestSpoiledRun has the disk give back something else than what was written to
// a file of a catalog: that gets into no index, and is said of that file.
func TestSpoiledRun(t *testing.T) {
	// at puts a text behind the first place of another.
	at := func(place, text string) func([]byte) []byte {
		return func(data []byte) []byte {
			copy(data[bytes.Index(data, []byte(place))+len(place):], text)
			return data
		}
	}
	for _, test := range []struct {
		name   string
		change func(data []byte) []byte
	}{
		{"the same", nil},
		{"another hash", at(`"hash":"0`, "1")},
		{"another id", at(`"id":"`, "~")},
		{"an earlier id, late", func(data []byte) []byte {
			copy(data[bytes.LastIndex(data, []byte(`{"collection":"`))+len(`{"collection":"`):], "A")
			return data
		}},
		{"a line break in a name", at(`"collection":"`, "\n")},
		{"a line break behind a name", at(`"collection":"a`, "\n")},
		{"a line break lost", at("}", " ")},
		{"all line breaks lost", func(data []byte) []byte { return bytes.ReplaceAll(data, []byte("\n"), []byte(" ")) }},
		{"cut behind a row", func(data []byte) []byte { return data[:bytes.IndexByte(data, '\n')+1] }},
		{"cut in a row", func(data []byte) []byte { return data[:len(data)-5] }},
		{"empty", func([]byte) []byte { return nil }},
	} {
		for _, count := range []int{2000, 20_000} { // merged at the end, and before
			t.Run(fmt.Sprintf("%s, %d rows", test.name, count), func(t *testing.T) {
				path, err := addInRuns(t, randomRows(count), func(path string) {
					data, err := os.ReadFile(path)
					if err != nil || test.change == nil {
						return
					}
					if err := os.WriteFile(path, test.change(data), 0o600); err != nil {
						t.Error(err)
					}
				})
				switch {
				case test.change == nil:
					if err != nil {
						t.Error(err)
					}
				case !errors.Is(err, segment.ErrSpoiled) || !strings.Contains(err.Error(), path):
					t.Errorf("it returned %v, want that %s is spoiled", err, path)
				}
			})
		}
	}
}

// TestLostRun has a file whose rows were never written, which no checksum of the
// file can tell.
func TestLostRun(t *testing.T) {
	c := segment.NewCatalog(t.TempDir(), 0)
	defer c.Close()
	c.Step = func(func() error) error { return nil }
	var batch segment.Batch
	for _, r := range randomRows(1000) {
		batch.Add(r)
	}
	if err := c.Add(&batch); err != nil {
		t.Fatal(err)
	}
	parts, s := twoParts(t, 1000)
	_, err := segment.WriteIndex(t.Context(), io.Discard, keys(t).Recipient(), s, parts, c)
	if err == nil || !strings.Contains(err.Error(), "0 of 1000 rows") {
		t.Errorf("it returned %v, want that no row came back", err)
	}
}
