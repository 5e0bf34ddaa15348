package segment_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cairn"
	"cairn/internal/segment"
)

// TestPublicTools reads objects as a person without cairn does.
func TestPublicTools(t *testing.T) {
	for _, tool := range []string{"age", "zstd"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("this machine has no %s", tool)
		}
	}
	identity := keys(t)
	dir := t.TempDir()
	keyFile, objectFile := filepath.Join(dir, "key"), filepath.Join(dir, "object")
	if err := os.WriteFile(keyFile, []byte(identity.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(what string, object, want []byte) {
		t.Helper()
		if err := os.WriteFile(objectFile, object, 0o600); err != nil {
			t.Fatal(err)
		}
		compressed := pipe(t, nil, "age", "-d", "-i", keyFile, objectFile)
		if got := pipe(t, compressed, "zstd", "-d", "-q", "-c"); !bytes.Equal(got, want) {
			t.Errorf("%s: the tools read %d other bytes, want %d", what, len(got), len(want))
		}
	}
	for name, docs := range map[string][]cairn.Document{
		"small":  {{Revision: 1, Collection: "a", ID: "b", JSON: []byte(`{}`)}},
		"odd":    oddDocuments(),
		"32 MiB": {bigDocument(cairn.MaxDocumentBytes)},
	} {
		object, _ := encode(t, identity.Recipient(), docs)
		read(name, object, unseal(t, identity, object))
	}
	index, _, _, _ := smallIndex(t, identity)
	read("index", index, unseal(t, identity, index))
	c := segment.NewCatalog(dir, 1<<20)
	defer c.Close()
	fill(t, c, randomRows(20_000)) // compressed in several runs
	parts, s := twoParts(t, 20_000)
	index, _ = writeIndex(t, identity.Recipient(), s, parts, c)
	read("large index", index, unseal(t, identity, index))
}

// pipe runs a command with the input and returns its output.
func pipe(t *testing.T, input []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, &stderr)
	}
	return out
}
