package kit_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/kit"
)

// update writes the golden files anew: go test ./internal/kit -run Golden -update
var update = flag.Bool("update", false, "write the golden files of testdata")

// secret is a key that was drawn for these tests.
const secret = "AGE-SECRET-KEY-1XZ59WJXW85HCZDV4H5RZS4Y97ZP5Z80NUTGP6Z7LETS9YJPTPQ6QDA6VSG"

// sample returns a kit of a cloud in a bucket.
func sample() kit.Kit {
	return kit.Kit{
		Cloud: "5b0c6f0e-3f52-4f5e-9d5a-0f2a1c9d7e11", URL: "s3://backups/laptop?endpoint=https://store.example:9000&region=auto",
		Key: cairn.NewSecret(secret), PublicKey: "age1dsuvp9wqw4c64kzvexest9025xsylg4w9d97d7tp0n8ls9jzrsgq4akprl", Device: "dev <box> & \"é\"",
		Created: time.Date(2026, 11, 23, 7, 25, 41, 0, time.UTC), Passphrases: 2,
	}
}

// local returns a kit of a cloud on this computer.
func local() kit.Kit {
	k := sample()
	k.URL, k.Local, k.Passphrases = "file:///home/me/.local/share/cairn/cloud", true, 0
	return k
}

func TestGolden(t *testing.T) {
	azure, google, other := sample(), sample(), sample()
	azure.URL, azure.Passphrases = "azblob://backups/laptop?storage_account=mine", 1
	google.URL = "gs://backups/laptop"
	other.URL = "dav://host/it's"
	for name, k := range map[string]kit.Kit{"s3": sample(), "local": local(), "azure": azure, "gs": google, "other": other} {
		checkGolden(t, name+".txt", k.Text())
		page, err := k.Page()
		if err != nil {
			t.Fatal(err)
		}
		if name == "s3" || name == "local" {
			checkGolden(t, name+".html", page)
		}
	}
}

// checkGolden compares text with a golden file, or writes it.
func checkGolden(t *testing.T, name string, text []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; go test -run Golden -update writes it", err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestWidth(t *testing.T) {
	for _, k := range []kit.Kit{sample(), local()} {
		for line := range strings.Lines(string(k.Text())) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 && !strings.Contains(line, "://") {
				t.Errorf("a line has %d characters: %s", n, line)
			}
			if strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
				t.Errorf("a line ends in blanks: %q", line)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	k := sample()
	// openssl kdf -keylen 5 -kdfopt digest:SHA256 -kdfopt key:KEY -kdfopt salt:CLOUD -kdfopt info:'cairn recovery kit v1' HKDF
	const want = "EVK3-X3DM"
	code := k.Check()
	if code != want {
		t.Errorf("the check code is %s, want %s", code, want)
	}
	for _, other := range []string{"", "-", code[:8], code + "0", "0000-0000", secret} {
		if k.Acknowledges(other) {
			t.Errorf("%q is taken for %s", other, code)
		}
	}
	moved := k
	moved.URL, moved.Device, moved.Created, moved.Passphrases, moved.Local = "", "", time.Time{}, 0, true
	if moved.Check() != code {
		t.Error("the check code depends on more than the cloud and its key")
	}
	another := k
	another.Cloud = "6b0c6f0e-3f52-4f5e-9d5a-0f2a1c9d7e11"
	if another.Check() == code {
		t.Error("two clouds with one key have the same check code")
	}
}

// TestCheckTyped types a check code in every way that people do.
func TestCheckTyped(t *testing.T) {
	k := sample()
	for n := 0; !strings.Contains(k.Check(), "0") || !strings.Contains(k.Check(), "1"); n++ {
		k.Cloud = fmt.Sprintf("cloud %d", n)
	}
	code := k.Check()
	for _, same := range []string{code, strings.ToLower(code), strings.ReplaceAll(code, "-", ""), " " + strings.ReplaceAll(code, "-", " "),
		strings.ReplaceAll(code, "0", "o"), strings.ReplaceAll(code, "1", "l"), strings.ReplaceAll(code, "1", "I")} {
		if !k.Acknowledges(same) {
			t.Errorf("%q is not taken for %s", same, code)
		}
	}
}

func TestKeyFile(t *testing.T) {
	k := sample()
	k.URL += "\nAGE-SECRET-KEY-1\x1b[2J"
	text := k.KeyFile().Reveal()
	identities, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil || len(identities) != 1 || fmt.Sprint(identities[0]) != secret {
		t.Errorf("age reads %q as %v: %v", text, len(identities), err)
	}
	if strings.Count(text, "\n") != 3 || strings.Contains(text, "\x1b") {
		t.Errorf("a URL with control characters makes %q", text)
	}
}

// TestRedacted prints a kit in every way, none of which may show its key.
func TestRedacted(t *testing.T) {
	k := sample()
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("kit", "kit", k, "pointer", &k, "file", k.KeyFile())
	}
	texts := []string{log.String()}
	for _, v := range []any{k, &k, []kit.Kit{k}, k.KeyFile()} {
		texts = append(texts, fmt.Sprintf("%v %+v %#v %s %q %x %d", v, v, v, v, v, v, v))
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	hexadecimal := fmt.Sprintf("%x", secret[16:])
	for _, text := range texts {
		if strings.Contains(text, secret[16:]) || strings.Contains(text, hexadecimal) || !strings.Contains(text, "redacted") {
			t.Errorf("it prints %s", text)
		}
	}
}

// hostile is a kit of names that mean something to HTML, terminals and shells.
func hostile() kit.Kit {
	k := local()
	k.Device = "</dd><script>alert(1)</script>\x1b[2J\n    rm -r ~"
	k.URL = "file:///tmp/it's%20<img src=x onerror=alert(1)>\n$(id)"
	return k
}

func TestHostile(t *testing.T) {
	page, err := hostile().Page()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "<img", "\x1b"} {
		if bytes.Contains(page, []byte(bad)) {
			t.Errorf("the page holds %q", bad)
		}
	}
	text := string(hostile().Text())
	if strings.Contains(text, "\x1b") || strings.Contains(text, "\n    rm") || strings.Contains(text, "\n$(id)") {
		t.Errorf("the text is\n%s", text)
	}
	if want := `cairn cloud connect 'file:///tmp/it'\''s%20<img src=x onerror=alert(1)>$(id)' --key key.txt`; !strings.Contains(text, want) {
		t.Errorf("the text does not quote the URL:\n%s", text)
	}
}

// TestAlone holds that the page needs nothing but itself.
func TestAlone(t *testing.T) {
	page, err := sample().Page()
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{`(?i)<(script|link|img|iframe|object|embed|form|base)\b`, `(?i)\s(src|href|style|on[a-z]+)=`, `url\(`, `@import`} {
		if found := regexp.MustCompile(pattern).Find(page); found != nil {
			t.Errorf("the page holds %s", found)
		}
	}
	if !bytes.Contains(page, []byte("default-src &#39;none&#39;")) {
		t.Error("the page has no policy that forbids everything")
	}
}

func TestTooLong(t *testing.T) {
	k := sample()
	k.URL = "s3://backups/" + strings.Repeat("é", 800) // 1600 bytes
	if _, err := k.Page(); err != nil {
		t.Errorf("a URL of 1,600 bytes: %v", err)
	}
	k.URL += strings.Repeat("é", 500)
	if _, err := k.Page(); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a URL that no QR code can hold: %v", err)
	}
}

// TestPassphrasesNotKnown makes a kit while the cloud cannot be asked: it does not say
// that there is no passphrase.
func TestPassphrasesNotKnown(t *testing.T) {
	k := sample()
	k.Passphrases = -1
	page, err := k.Page()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"text": string(k.Text()), "page": string(page)} {
		if !strings.Contains(text, "was not known") {
			t.Errorf("the %s does not say that they are not known", name)
		}
		for _, claim := range []string{"No passphrase", "none:", "-1 pass", ">-1"} {
			if strings.Contains(text, claim) {
				t.Errorf("the %s says %q", name, claim)
			}
		}
	}
}
