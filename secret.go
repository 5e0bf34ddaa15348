package cairn

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what stands for a secret wherever one is printed.
const redacted = "**redacted**"

// A Secret is text that must reach no log, error or answer: a key or a passphrase.
// Whatever prints it, or encodes it as JSON, shows that it is one and nothing else:
// the text is behind a pointer, so that not even fmt finds it inside of another
// type. JSON is decoded into it as into a string. The zero value is no secret.
type Secret struct{ text *string }

// NewSecret returns the secret of a text; "" is none.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// IsZero reports whether there is none.
func (s Secret) IsZero() bool { return s.text == nil }

// Reveal returns the text; "" if there is none.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Equal reports whether the texts are the same, in a time that does not depend on
// where they differ.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Format keeps the text out of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText keeps the text out of JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalJSON reads a string.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	*s = NewSecret(text)
	return nil
}

// LogValue keeps the text out of package slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
