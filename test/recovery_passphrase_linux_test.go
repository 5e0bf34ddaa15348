package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cairn/internal/cloud"
)

// TestRecoveryFromAPassphrase follows docs/recovery.md with a cloud of two passphrases,
// of which one is typed into age.
func TestRecoveryFromAPassphrase(t *testing.T) {
	t.Parallel()
	h := newHandmade(t)
	_, left := h.layered()
	const typed = "the passphrase that is typed"
	for _, p := range []string{"another passphrase", typed, "yet another passphrase"} {
		if _, err := h.cloud.AddPassphrase(t.Context(), cloud.NewPassphrase(p)); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	commands := strings.NewReplacer("CLOUD", "'"+h.dir+"'", "KEY", "'"+key+"'").Replace(recoveryGuide(t, "## From a passphrase"))
	steps := filepath.Join(dir, "steps")
	if err := os.WriteFile(steps, []byte(commands), 0o600); err != nil {
		t.Fatal(err)
	}
	// age reads passphrases from a terminal: script gives it one.
	cmd := exec.CommandContext(t.Context(), "script", "--quiet", "--return", "--command", "umask 077; sh '"+steps+"'", "/dev/null")
	cmd.Stdin = strings.NewReader(strings.Repeat(typed+"\n", 3)) // once for each slot, at most
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, commands, out)
	}
	target := filepath.Join(dir, "recovered")
	recoverDocuments(t, h.dir, key, target)
	checkRecovered(t, byName(left), target)
	if text, err := os.ReadFile(key); err != nil || !strings.HasPrefix(string(text), "# cloud: "+h.cloud.ID()+"\n") {
		t.Errorf("the key file does not name its cloud: %v", err)
	}
}
