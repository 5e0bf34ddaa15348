package cloud_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"filippo.io/age"

	"cairn/internal/cloud"
)

// sealed returns the two lines, made as docs/format.md has it and without the
// code of the package.
func sealed(t *testing.T, c *cloud.Cloud, name string, line []byte) []byte {
	t.Helper()
	return sealedFor(c.ID(), c.Identity(), name, line)
}

// sealedFor is sealed for a cloud that may not be there.
func sealedFor(id string, identity *age.X25519Identity, name string, line []byte) []byte {
	// HKDF-SHA256 of one block: RFC 5869.
	extract := hmac.New(sha256.New, []byte(id))
	extract.Write([]byte(identity.String()))
	expand := hmac.New(sha256.New, extract.Sum(nil))
	expand.Write([]byte("cairn manifest v1\x01"))
	mac := hmac.New(sha256.New, expand.Sum(nil))
	fmt.Fprintf(mac, "%s\n%s\n%s", id, name, line)
	return fmt.Appendf(nil, "%s\n%s\n", line, hex.EncodeToString(mac.Sum(nil)))
}

// encrypt returns an object as age makes it.
func encrypt(t *testing.T, recipient age.Recipient, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := age.Encrypt(&b, recipient)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// decrypt returns the text of an object.
func decrypt(t *testing.T, identity age.Identity, object []byte) []byte {
	t.Helper()
	r, err := age.Decrypt(bytes.NewReader(object), identity)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// fields returns the JSON object of manifest(c, i).
func fields(t *testing.T, c *cloud.Cloud, i int) map[string]any {
	t.Helper()
	m := manifest(c, i)
	text, err := json.Marshal(map[string]any{
		"format": 1, "id": m.ID, "version": m.Version, "timestamp": m.Timestamp,
		"created": m.Created.Format("2006-01-02T15:04:05.000Z"), "device_name": m.DeviceName, "platform": m.Platform,
		"installation": m.Installation, "line": m.Line, "scope": m.Scope, "revision": m.Revision,
		"documents": m.Documents, "deletions": m.Deletions, "json_bytes": m.JSONBytes, "digest": m.Digest.String(),
		"segments": m.Segments,
	})
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// manifestText returns the line of manifest(c, i), its fields in another order
// than cairn writes.
func manifestText(t *testing.T, c *cloud.Cloud, i int) []byte {
	t.Helper()
	text, err := json.Marshal(fields(t, c, i))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
