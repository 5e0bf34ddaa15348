package cloud_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"cairn"
	"cairn/internal/bucket/fault"
	"cairn/internal/segment"
)

// TestFetch copies an object to a file, over answers that are cut off, and refuses
// another one.
func TestFetch(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789"), 20_000)
	other := bytes.Clone(text)
	other[100_000] ^= 1
	cut := fault.Outcome{Effect: fault.Cut}
	for _, test := range []struct {
		name   string
		stored []byte // nil for none
		cuts   int
		code   cairn.Code
		says   string
	}{
		{"whole", text, 0, "", ""},
		{"cut twice", text, 2, "", ""},
		{"cut always", text, always, cairn.CodeCloudLost, ""},
		{"another", other, 0, cairn.CodeDamaged, "its SHA-256 is"},
		{"longer", append(bytes.Clone(text), 0), 0, cairn.CodeDamaged, "more than its 200000 bytes"},
		{"shorter", text[1:], 0, cairn.CodeDamaged, "has 199999 bytes instead of 200000"},
		{"missing", nil, 0, cairn.CodeDamaged, "missing"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, inner := faulty(t, on(fault.Get, "indexes/", test.cuts, cut))
			o := segment.Object{Name: c.IndexName(), Size: int64(len(text)), SHA256: sha256.Sum256(text)}
			if test.stored != nil {
				put(t, inner, o.Name, test.stored)
			}
			f, err := os.Create(filepath.Join(t.TempDir(), "file"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			err = c.Fetch(t.Context(), o, f)
			if test.code != "" {
				wantError(t, err, test.code, o.Name, test.says)
				return
			}
			got, readErr := io.ReadAll(f)
			if err != nil || readErr != nil || !bytes.Equal(got, text) {
				t.Errorf("%s: %d bytes, %v, %v", test.name, len(got), err, readErr)
			}
			f.Close()
			if err := c.Fetch(t.Context(), o, f); !errors.Is(err, os.ErrClosed) || cairn.CodeOf(err) != cairn.CodeInternal {
				t.Errorf("a file that cannot be written is told as %v", err)
			}
		})
	}
}
