package cairn

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is what stands for a secret wherever one is printed.
const redacted = "**redacted**"

// A Secret is text that must reach no log, error or answer: a key or a passphrase.
// Whatever prints it, or encodes it as JSON, shows that it is one and nothing else.
// JSON is decoded into it as into a string.
type Secret string

// Reveal returns the text.
func (s Secret) Reveal() string { return string(s) }

// Format keeps the text out of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText keeps the text out of JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue keeps the text out of package slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
