package cloud_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"cairn"
	"cairn/internal/cloud"
	"cairn/test/stores"
)

// TestKeyText reads texts that hold a key, and texts that hold none.
func TestKeyText(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	read := func(text string) (*age.X25519Identity, error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return cloud.ReadKey(path)
	}
	key := newKey(t)
	text := key.String()
	for _, good := range []string{
		text, text + "\n", "# created: today\n# public key: age1...\n" + text + "\n",
		"\n\r\n# c\r\n" + text + "\r\n\r\n", "\ufeff" + text, "  " + text + "\t\n",
	} {
		got, err := read(good)
		if err != nil {
			t.Errorf("%q: %v", good, err)
		} else if got.String() != text {
			t.Errorf("%q is another key", good)
		}
	}
	for _, test := range []struct{ text, says string }{
		{"", "holds no key"},
		{"# nothing but a comment", "holds no key"},
		{text + "\n" + newKey(t).String(), "more than one"},
		{text + "\n" + text, "more than one"},
		{key.Recipient().String(), "line 1 is a public key"},
		{"# c\n" + text[:len(text)-1] + "\n", "line 2 is not"},
		{text + "Q", "line 1 is not"},
		{text + " " + text, "line 1 is not"},
		{strings.ToLower(text) + "x", "line 1 is not"},
		{"AGE-SECRET-KEY-PQ-1ABC", "line 1 is not"},
		{"age-encryption.org/v1\n-> scrypt", "encrypted"},
		{"-----BEGIN AGE ENCRYPTED FILE-----\n", "encrypted"},
		{text + strings.Repeat("\n", 64<<10), "longer than"},
	} {
		_, err := read(test.text)
		wantError(t, err, cairn.CodeInvalid, path, test.says)
		if len(test.text) > 20 && strings.Contains(err.Error(), text[20:40]) {
			t.Errorf("a part of the key is in %v", err)
		}
	}
}

func TestReadKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	_, err := cloud.ReadKey(path)
	wantError(t, err, cairn.CodeInvalid, path)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not say that there is no file", err)
	}
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = cloud.ReadKey(path)
	wantError(t, err, cairn.CodeInvalid, path, "line 1")
	if _, err := cloud.ReadKey(filepath.Dir(path)); err == nil {
		t.Error("a folder is a key")
	}
}

// TestKeyFile pins the form, which public tools read.
func TestKeyFile(t *testing.T) {
	d := newDevice(t, stores.New(t))
	c := d.open(t)
	text, err := os.ReadFile(cloud.KeyFile(d.Keys, c.ID()))
	if err != nil {
		t.Fatal(err)
	}
	want := "# created: 2026-11-23T07:25:41Z\n# public key: " + c.Recipient().String() + "\n" + c.Identity().String() + "\n"
	if string(text) != want {
		t.Errorf("the key file is %q, want %q", text, want)
	}
	identities, err := age.ParseIdentities(strings.NewReader(string(text)))
	if err != nil || len(identities) != 1 {
		t.Errorf("age reads %d identities: %v", len(identities), err)
	}
}
