package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGeneratedPassphrase has the answer to a passphrase that was made up be lost: it
// may be in force, and is printed all the same.
func TestGeneratedPassphrase(t *testing.T) {
	answers(t, map[string]string{"POST /v1/cloud/passphrases": "problem cloud_unreachable", "POST /v1/cloud/passphrases/change": "problem cloud_unreachable"})
	for _, args := range [][]string{
		{"cloud", "passphrase", "add", "--generate"},
		{"cloud", "passphrase", "change", "--generate", "--old-passphrase-file", "-"},
	} {
		code, stdout, _ := verb(t, "the old one\n", args...)
		if code != exitCloud || len(strings.TrimSpace(stdout)) != 29 {
			t.Errorf("%v ends with %d, and prints %q", args, code, stdout)
		}
		code, stdout, _ = verb(t, "the old one\n", append(args, "--json")...)
		var shown struct{ Passphrase string }
		if err := json.Unmarshal([]byte(stdout), &shown); code != exitCloud || err != nil || len(shown.Passphrase) != 29 {
			t.Errorf("%v --json ends with %d, and prints %q: %v", args, code, stdout, err)
		}
	}
}

// TestPassphraseFile reads files as editors of all systems write them.
func TestPassphraseFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for text, want := range map[string]string{
		"a b": "a b", "a b\n": "a b", "a b\r\n": "a b", "\ufeffa b\r\n": "a b", " a ": " a ",
		"": "", "\n": "", "\ufeff": "", "a\nb": "", "a\n\n": "",
		"caf\xe9": "", "caf\u00e9": "caf\u00e9", // as JSON, all that is no UTF-8 would be sent as the same
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := passphraseFile(call{}, path)
		if got.Reveal() != want || (err == nil) != (want != "") {
			t.Errorf("of %q it reads %q, %v", text, got.Reveal(), err)
		}
	}
}

// TestFlagsOfSecrets gives two of what only one is done with.
func TestFlagsOfSecrets(t *testing.T) {
	answers(t, map[string]string{"POST /v1/cloud/passphrases/remove": `{"passphrases":[]}`, "POST /v1/cloud/recovery-kit/acknowledge": ""})
	page := filepath.Join(t.TempDir(), "kit.html")
	for _, args := range [][]string{
		{"cloud", "passphrase", "remove", "name", "--passphrase-file", "-"},
		{"cloud", "recovery-kit", "--page", page, "--acknowledge", "0000-0000"},
	} {
		if code, stdout, stderr := verb(t, "a passphrase\n", args...); code != exitUsage || stdout != "" {
			t.Errorf("%v ends with %d, and prints %q, %q", args, code, stdout, stderr)
		}
	}
}

// TestMoveKeyJSON has it said as JSON where the key is kept.
func TestMoveKeyJSON(t *testing.T) {
	answers(t, map[string]string{"POST /v1/cloud/key": ""})
	code, stdout, _ := verb(t, "", "cloud", "key", "--store", "file", "--json")
	var shown struct{ Store string }
	if err := json.Unmarshal([]byte(stdout), &shown); code != 0 || err != nil || shown.Store != "file" {
		t.Errorf("it ends with %d, and prints %q: %v", code, stdout, err)
	}
}
