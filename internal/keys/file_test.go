package keys_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"cairn"
	"cairn/internal/keys"
)

// readText has Read read a text.
func readText(t *testing.T, text string) (string, *age.X25519Identity, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	write(t, path, text)
	identity, err := keys.Read(path)
	return path, identity, err
}

// TestReadTexts reads texts that hold a key, and texts that hold none.
func TestReadTexts(t *testing.T) {
	key := newKey(t)
	text := key.String()
	for _, good := range []string{
		text, text + "\n", "# created: today\n# public key: age1...\n" + text + "\n",
		"\n\r\n# c\r\n" + text + "\r\n\r\n", "\ufeff" + text, "  " + text + "\t\n",
	} {
		_, got, err := readText(t, good)
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
		path, _, err := readText(t, test.text)
		wantError(t, err, cairn.CodeInvalid, path, test.says)
		if len(test.text) > 20 && strings.Contains(err.Error(), test.text[:20]) && strings.HasPrefix(test.text, "AGE-SECRET") {
			t.Errorf("a part of the key is in %v", err)
		}
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	_, err := keys.Read(path)
	wantError(t, err, cairn.CodeInvalid, path)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not say that there is no file", err)
	}
	write(t, path, "hello")
	_, err = keys.Read(path)
	wantError(t, err, cairn.CodeInvalid, path, "line 1")
	if _, err := keys.Read(filepath.Dir(path)); err == nil {
		t.Error("a folder is a key")
	}
}

// TestText pins the form, which public tools read.
func TestText(t *testing.T) {
	key := newKey(t)
	created := time.Date(2026, 11, 23, 8, 25, 41, 5, time.FixedZone("", 3600))
	want := "# created: 2026-11-23T07:25:41Z\n# public key: " + key.Recipient().String() + "\n" + key.String() + "\n"
	if got := string(keys.Text("", key, created)); got != want {
		t.Errorf("the text is %q, want %q", got, want)
	}
	want = "# cloud: " + cloudID + "\n" + want
	if got := string(keys.Text(cloudID, key, created)); got != want {
		t.Errorf("the text with a cloud is %q, want %q", got, want)
	}
	identities, err := age.ParseIdentities(strings.NewReader(want))
	if err != nil || len(identities) != 1 {
		t.Errorf("age reads %d identities: %v", len(identities), err)
	}
	if got, err := keys.Parse(want); err != nil || got.String() != key.String() {
		t.Errorf("Parse: %v", err)
	}
}

// FuzzParse checks that what Parse takes is one key, which the form that is written
// holds too, and that no error quotes the text.
func FuzzParse(f *testing.F) {
	seeds, err := filepath.Glob("testdata/key*")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, path := range seeds {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := keys.Parse(text)
		if err != nil {
			if key != nil || len(err.Error()) > 80 {
				t.Errorf("%v, %v", key, err)
			}
			return
		}
		if !strings.Contains(strings.ToUpper(text), key.String()) {
			t.Errorf("a key that is not in the text: %q", text)
		}
		again, err := keys.Parse(string(keys.Text(cloudID, key, time.Time{})))
		if err != nil || again.String() != key.String() {
			t.Errorf("what is written is not what was read: %v", err)
		}
	})
}
