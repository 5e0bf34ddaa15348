package test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// canaryPart is how many bytes in a row of a form of a secret are found, so that one
// that is cut in a message is found too.
const canaryPart = 12

// A canaryFinder looks for secrets in whatever form they may get out: as they are, in
// other case, quoted, percent-encoded, in base64 at each alignment, and in hexadecimal.
type canaryFinder struct {
	parts map[[canaryPart]byte]string // of lower case; the secret and the form that has it
}

// newCanaryFinder returns a finder of secrets by name, all of whose bytes are secret.
func newCanaryFinder(t *testing.T, secrets map[string]string) *canaryFinder {
	t.Helper()
	f := &canaryFinder{parts: map[[canaryPart]byte]string{}}
	for name, secret := range secrets {
		if len(secret) < canaryPart {
			t.Fatalf("%s is too short to be looked for", name)
		}
		for form, text := range canaryForms(secret) {
			lower := lowerASCII([]byte(text))
			for i := range len(lower) - canaryPart + 1 {
				f.parts[[canaryPart]byte(lower[i:])] = name + " " + form
			}
		}
	}
	return f
}

// canaryForms returns a secret in each form that is looked for, by the name of the form.
func canaryForms(secret string) map[string]string {
	forms := map[string]string{
		"as it is":        secret,
		"quoted":          strings.Trim(strconv.Quote(secret), `"`),
		"quoted as ASCII": strings.Trim(strconv.QuoteToASCII(secret), `"`),
		"quoted twice":    strings.Trim(strconv.Quote(strconv.Quote(secret)), `\"`),
		"in a query":      url.QueryEscape(secret),
		"in a path":       url.PathEscape(secret),
		"in hex":          hex.EncodeToString([]byte(secret)),
	}
	if utf8.ValidString(secret) { // else what stands for a wrong byte would be found
		encoded, _ := json.Marshal(secret) // a string always can be
		forms["in JSON"] = strings.Trim(string(encoded), `"`)
	}
	for before := range 3 {
		padded := append(make([]byte, before), secret...)
		whole := padded[:len(padded)/3*3]
		from := (before*8 + 5) / 6 // the first digit that says nothing of what is before
		forms[fmt.Sprint("in base64, at ", before)] = base64.StdEncoding.EncodeToString(whole)[from:]
		forms[fmt.Sprint("in base64 of URLs, at ", before)] = base64.URLEncoding.EncodeToString(whole)[from:]
	}
	return forms
}

// lowerASCII returns a copy with the letters of ASCII in lower case.
func lowerASCII(b []byte) []byte {
	lower := slices.Clone(b)
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	return lower
}

// find returns which secret is in some bytes, in which form and with what around; ""
// for none.
func (f *canaryFinder) find(b []byte) string {
	lower := lowerASCII(b)
	for i := range len(lower) - canaryPart + 1 {
		if what, ok := f.parts[[canaryPart]byte(lower[i:])]; ok {
			return fmt.Sprintf("%s: %q", what, b[max(0, i-80):min(len(b), i+canaryPart+80)])
		}
	}
	return ""
}

// An evidence is what was seen of programs, by where it was seen.
type evidence map[string][]byte

// add adds something to what was seen in a place.
func (e evidence) add(place string, b ...byte) { e[place] = append(e[place], b...) }

// addTree adds each file below a folder, with its name, but those whose path in the
// folder is meant to hold a secret. Files that go meanwhile are not missed.
func (e evidence) addTree(t *testing.T, what, dir string, meant func(path string) bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || meant(filepath.ToSlash(name)) {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		e.add(what+" "+name, b...)
		e.add("names below "+what, []byte(name+"\n")...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// told returns the places where a secret is, each with which one it is.
func (e evidence) told(f *canaryFinder) map[string]string {
	found := map[string]string{}
	for place, b := range e {
		if what := f.find(b); what != "" {
			found[place] = what
		}
	}
	return found
}

// scalarOf returns the 32 bytes of a key of age, without those of its checksum.
func scalarOf(t *testing.T, identity string) string {
	t.Helper()
	const digits = "qpzry9x8gf2tvdw0s3jn54khce6mua7l" // of bech32, BIP 173
	data := strings.ToLower(strings.TrimPrefix(identity, ageSecretKey))
	var scalar []byte
	var bits, n uint
	for _, c := range data[:len(data)-6] {
		bits = bits<<5 | uint(strings.IndexRune(digits, c))
		if n += 5; n >= 8 {
			n -= 8
			scalar = append(scalar, byte(bits>>n))
		}
	}
	if len(scalar) != 32 {
		t.Fatalf("a key of %d bytes", len(scalar))
	}
	return string(scalar)
}

// TestCanaryFinder plants each form of a secret, whole and in part, where one could be
// told, and has it found there and nowhere else.
func TestCanaryFinder(t *testing.T) {
	const passphrase = `Xq7" k&é%Zr\2m /+w9?Tb`
	secrets := map[string]string{"passphrase": passphrase, "scalar": "\x00\xffA\x80bc\n\xfe0123456789abcdef\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7"}
	finder := newCanaryFinder(t, secrets)
	for name, secret := range secrets {
		for form, text := range canaryForms(secret) {
			for part, planted := range map[string]string{
				"whole": text, "first": text[:canaryPart], "last": text[len(text)-canaryPart:], "upper case": strings.ToUpper(text),
			} {
				dir := t.TempDir()
				for _, file := range []string{"CURRENT", "generations/1.db", "backups/1.json.age"} {
					if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o700); err != nil {
						t.Fatal(err)
					}
					write(t, filepath.Join(dir, file), "\x00public "+planted+"\x00")
				}
				write(t, filepath.Join(dir, "url"), "http://127.0.0.1:39300")
				seen := evidence{}
				seen.addTree(t, "a folder", dir, func(path string) bool { return path == "CURRENT" })
				seen.add("a log", []byte("level=INFO msg=\"…\" body="+planted+"\n")...)
				seen.add("another log", []byte("level=INFO msg=…\n")...)
				found := seen.told(finder)
				for _, place := range []string{"a folder generations/1.db", "a folder backups/1.json.age", "a log"} {
					if found[place] == "" {
						t.Errorf("%s %s, %s: not found in %s", name, form, part, place)
					}
					delete(found, place)
				}
				for place, what := range found {
					t.Errorf("%s %s, %s: found in %s, %s", name, form, part, place, what)
				}
			}
		}
	}
	for _, public := range []string{ageSecretKey, passphrase[1:canaryPart], "a passphrase of the cloud; - is standard input"} {
		if what := finder.find([]byte(public)); what != "" {
			t.Errorf("%q is taken for a secret: %s", public, what)
		}
	}
}
