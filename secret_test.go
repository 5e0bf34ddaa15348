package cairn_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"cairn"
)

// TestSecret prints a secret in every way there is: none shows it.
func TestSecret(t *testing.T) {
	const text = "correct horse"
	type holder struct {
		Secret cairn.Secret
		Among  map[string]cairn.Secret
		hidden cairn.Secret
	}
	secret := cairn.NewSecret(text)
	h := holder{secret, map[string]cairn.Secret{"a": secret}, secret}
	var log strings.Builder
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("known", "secret", secret, "holder", h)
	}
	encoded, err := json.Marshal([]any{secret, h, &h})
	if err != nil {
		t.Fatal(err)
	}
	for what, shown := range map[string]string{
		"fmt":  fmt.Sprintf("%v %s %q %x %X %d %+v %#v", secret, secret, secret, secret, secret, secret, h, h),
		"json": string(encoded),
		"slog": log.String(),
		"err":  fmt.Errorf("with %v: %w", secret, fmt.Errorf("%s", h)).Error(),
	} {
		if strings.Contains(shown, text) || strings.Contains(shown, fmt.Sprintf("%x", text)) || !strings.Contains(shown, "redacted") {
			t.Errorf("%s shows %s", what, shown)
		}
	}
	var read holder
	if !secret.Equal(cairn.NewSecret(text)) || secret.Equal(cairn.NewSecret("x")) || secret.IsZero() || !cairn.NewSecret("").IsZero() {
		t.Error("it is not the same as itself, or the same as another, or nothing")
	}
	if err := json.Unmarshal([]byte(`{"Secret":"correct horse"}`), &read); err != nil || read.Secret.Reveal() != text {
		t.Errorf("JSON was decoded into %q: %v", read.Secret.Reveal(), err)
	}
}
