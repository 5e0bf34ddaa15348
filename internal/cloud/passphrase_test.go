package cloud_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"cairn"
	"cairn/internal/cloud"
	"cairn/test/stores"
)

func TestPassphraseCheck(t *testing.T) {
	for _, good := range []string{
		"fifteen letters", "               ", strings.Repeat("x", 1024), "ünïcödé ünïcödé", strings.Repeat("日", 15), "a-b_c!d?e\"f'g\\h",
	} {
		if err := cloud.NewPassphrase(good).Check(); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, test := range []struct{ text, says string }{
		{"", "fewer than 15"},
		{"fourteen chars", "fewer than 15"},
		{strings.Repeat("é", 14), "fewer than 15"},
		{strings.Repeat("e\u0301", 14), "fewer than 15"}, // 28 code points that are 14 characters
		{strings.Repeat("x", 1025), "more than 1024 bytes"},
		{"a tab\tis no good here", "control character"},
		{"a line break at its end\n", "control character"},
		{"a control \u0085 of Latin 1", "control character"},
		{"not UTF-8 at all \xff\xfe", "not valid UTF-8"},
	} {
		err := cloud.NewPassphrase(test.text).Check()
		wantError(t, err, cairn.CodeInvalid, test.says)
		if len(test.text) > 15 && strings.Contains(err.Error(), test.text[:15]) {
			t.Errorf("the passphrase is in %v", err)
		}
	}
}

func TestPassphraseIsNormal(t *testing.T) {
	if a, b := cloud.NewPassphrase("Cafe\u0301").Reveal(), cloud.NewPassphrase("Caf\u00e9").Reveal(); a != b {
		t.Errorf("%q and %q are two passphrases", a, b)
	}
}

// TestNothingPrintsAPassphrase has every way in which one could be printed.
func TestNothingPrintsAPassphrase(t *testing.T) {
	const canary = "canary-canary-canary"
	p := cloud.NewPassphrase(canary)
	type inside struct {
		P       cloud.Passphrase
		private cloud.Passphrase
	}
	all := inside{p, p}
	var logged bytes.Buffer
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&logged, nil)), slog.New(slog.NewJSONHandler(&logged, nil))} {
		log.Info("p", "p", p, "pointer", &p, "all", all, "group", slog.GroupValue(slog.Any("p", p)))
	}
	text := logged.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		text += fmt.Sprintf(verb+" "+verb+" "+verb+" "+verb, p, &p, all, &all)
	}
	encoded, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	text += string(encoded)
	d := newDevice(t, stores.New(t))
	d.Passphrase = p
	text += fmt.Sprintf("%v %#v %+v", d.Config, d.Config, &d.Config)
	for _, secret := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%d", []byte(canary))} {
		if strings.Contains(text, secret) {
			t.Errorf("the passphrase is in %s", text)
		}
	}
	if got := fmt.Sprintf("%v %s %#v %s", p, p, p, encoded); strings.Count(got, "**redacted**") != 4 {
		t.Errorf("it prints as %s", got)
	}
}

func TestGeneratePassphrase(t *testing.T) {
	seen, letters := map[string]bool{}, map[rune]bool{}
	for range 200 {
		p := cloud.GeneratePassphrase()
		text := p.Reveal()
		if !regexp.MustCompile(`^([a-km-np-z2-9]{5}-){4}[a-km-np-z2-9]{5}$`).MatchString(text) || seen[text] {
			t.Errorf("%q is not five new groups of five", text)
		}
		if err := p.Check(); err != nil {
			t.Error(err)
		}
		seen[text] = true
		for _, r := range text {
			letters[r] = true
		}
	}
	if len(letters) != 33 { // one of 5,000 is missing once in 10^67 runs
		t.Errorf("%d characters are in use, want 32 and the hyphen", len(letters))
	}
}
