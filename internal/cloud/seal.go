package cloud

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"filippo.io/age"
)

// sealInfo separates the key of MACs from whatever else is derived from an
// identity.
const sealInfo = "cairn manifest v1"

// macDigits is the length of a MAC in its text form.
const macDigits = 2 * sha256.Size

// A seal makes and checks the two-line form of cairn.json and of manifests:
//
//	line "\n" MAC "\n"
//
// line is one JSON object without a newline, MAC is in lower-case hexadecimal
// digits
//
//	HMAC-SHA256( key, cloud id "\n" name "\n" line )
//	key = HKDF-SHA256( secret: identity as age prints it, salt: cloud id, info: "cairn manifest v1", 32 bytes )
//
// where name is the backup id, or "cairn.json". Neither it nor the cloud id
// can hold a newline, so no two things have the same input.
type seal struct {
	cloud string
	key   []byte
}

// newSeal derives the key.
func newSeal(identity *age.X25519Identity, cloud string) (seal, error) {
	key, err := hkdf.Key(sha256.New, []byte(identity.String()), []byte(cloud), sealInfo, sha256.Size)
	if err != nil {
		return seal{}, fmt.Errorf("deriving the key of MACs: %w", err)
	}
	return seal{cloud, key}, nil
}

// mac returns the MAC of a line in digits.
func (s seal) mac(name string, line []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(s.cloud + "\n" + name + "\n"))
	h.Write(line)
	return hex.AppendEncode(nil, h.Sum(nil))
}

// close returns the two lines.
func (s seal) close(name string, line []byte) []byte {
	text := append(bytes.Clone(line), '\n')
	text = append(text, s.mac(name, line)...)
	return append(text, '\n')
}

// fits reports whether the MAC of a line is right.
func (s seal) fits(name string, line, mac []byte) bool {
	return hmac.Equal(s.mac(name, line), mac)
}

// open returns the line of what close wrote for that name, and nothing else.
func (s seal) open(name string, text []byte) (line []byte, err error) {
	line, mac, err := split(text)
	if err != nil {
		return nil, err
	}
	if !s.fits(name, line, mac) {
		return nil, errMAC
	}
	return line, nil
}

// What a text in two lines can be that it should not be. The messages go on
// from "is damaged: ".
var (
	errForm = errors.New("it is not a line of JSON and a line with its MAC")
	errMAC  = errors.New("its MAC is wrong, so it is not what the owner of the key wrote here")
)

// split cuts a text into its line and its MAC.
func split(text []byte) (line, mac []byte, err error) {
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	mac, beside, ended := bytes.Cut(rest, []byte("\n"))
	if !ended || len(beside) > 0 || len(mac) != macDigits {
		return nil, nil, errForm
	}
	return line, mac, nil
}

// encodeLine returns v as one line of compact JSON, without its newline.
func encodeLine(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// formatOf returns the format that a line says it has; 0 when it says none.
func formatOf(line []byte) (int64, error) {
	var v struct {
		Format int64 `json:"format"`
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return 0, errForm
	}
	return v.Format, nil
}
