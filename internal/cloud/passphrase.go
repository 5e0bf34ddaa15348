package cloud

import (
	"crypto/rand"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"cairn"
)

const (
	// minPassphrase is how many characters a new passphrase has at least. Source:
	// NIST SP 800-63B-4, 3.1.1.2, for one that is the only factor.
	minPassphrase = 15
	// maxPassphrase is how many bytes of UTF-8 it has at most.
	maxPassphrase = 1024
)

// A Passphrase is what opens a slot: a secret in the form NFC of Unicode. The zero
// value is no passphrase.
type Passphrase struct{ cairn.Secret }

// NewPassphrase returns the passphrase that a person typed, whatever it is; "" is
// no passphrase. It is brought into the form NFC of Unicode, so that it is the same
// on every keyboard. Source: NIST SP 800-63B-4, 3.1.1.2; Unicode Standard Annex 15.
func NewPassphrase(text string) Passphrase { return Passphrase{cairn.NewSecret(norm.NFC.String(text))} }

// Check returns cairn.CodeInvalid for a passphrase that is not to be added: it has
// less than 15 characters or more than 1024 bytes, is no UTF-8, or holds a control
// character.
func (p Passphrase) Check() error {
	text := p.Reveal()
	why := ""
	switch {
	case !utf8.ValidString(text):
		why = "is not valid UTF-8"
	case utf8.RuneCountInString(text) < minPassphrase:
		why = fmt.Sprintf("has fewer than %d characters", minPassphrase)
	case len(text) > maxPassphrase:
		why = fmt.Sprintf("has more than %d bytes", maxPassphrase)
	case strings.ContainsFunc(text, unicode.IsControl):
		why = "holds a control character, such as a tab or a line break"
	default:
		return nil
	}
	return &cairn.Error{
		Code:    cairn.CodeInvalid,
		Message: "The passphrase " + why + ".",
		Hint:    "Whoever has a copy of the bucket can try as many as he likes: choose five or more random words, or have cairn generate one.",
	}
}

// passphraseLetters are 32 characters, five bits each, of which none is taken for
// another one: there is no l, o, 0 or 1.
const passphraseLetters = "abcdefghijkmnpqrstuvwxyz23456789"

// GeneratePassphrase draws a passphrase of 125 bits: five groups of five letters and
// digits with hyphens between them.
func GeneratePassphrase() Passphrase {
	const groups, length = 5, 5
	random := make([]byte, groups*length)
	_, _ = rand.Read(random) // never fails, as its documentation has it
	var b strings.Builder
	for i, r := range random {
		if i > 0 && i%length == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(passphraseLetters[r%32]) // 256 is a multiple of 32
	}
	return NewPassphrase(b.String())
}
