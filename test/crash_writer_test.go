package test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"cairn/api"
	"cairn/client"
	"cairn/internal/asset"
)

// crashCollection is where documentWriters write.
const crashCollection = "crash"

// contents is what a daemon holds: the texts of documents and assets by id.
type contents struct{ documents, assets map[string]string }

// A crashWriter is a client with documents of its own. It knows what it was told
// of them, and what its last request would make of them when no answer came.
type crashWriter interface {
	// write makes one request. After an error its outcome is unknown.
	write(ctx context.Context, c *client.Client) error
	// settle compares and takes over what is there, and returns how many
	// documents of this writer that are.
	settle(t *testing.T, state contents) int
	counts() tally
}

// tally counts requests by what became of them.
type tally struct{ requests, doubts int }

func (n tally) counts() tally { return n }

func newWriters(random *rand.Rand) []crashWriter {
	var all []crashWriter
	for i := range 4 {
		own := func() *rand.Rand { return rand.New(rand.NewPCG(random.Uint64(), random.Uint64())) }
		all = append(all,
			&documentWriter{prefix: fmt.Sprintf("w%d-", i), random: own(), known: map[string]string{}},
			&assetWriter{prefix: fmt.Sprintf("w%d ", i), random: own(), known: map[string]string{}})
	}
	return all
}

// documentWriter adds and changes documents through POST /v1/documents. A
// request fits one transaction.
type documentWriter struct {
	tally
	prefix string
	random *rand.Rand
	known  map[string]string // by id
	doubt  map[string]string // the documents of the request without an answer
}

func (w *documentWriter) write(ctx context.Context, c *client.Client) error {
	batch := map[string]string{}
	var lines []api.DocumentLine
	for range 1 + w.random.IntN(40) {
		id := fmt.Sprintf("%s%d", w.prefix, w.random.IntN(150))
		if batch[id] != "" {
			continue
		}
		batch[id] = fmt.Sprintf(`{"n":%d.0,"text":%s}`, w.random.Uint64(), jsonText(randomText(w.random)))
		lines = append(lines, api.DocumentLine{Collection: crashCollection, ID: id, Document: json.RawMessage(batch[id])})
	}
	w.doubt = batch
	written, err := c.WriteDocuments(ctx, lines)
	if err != nil {
		w.doubts++
		return err
	}
	if got := written.Added + written.Changed; got != int64(len(batch)) {
		return fmt.Errorf("of %d documents %d were written: %+v", len(batch), got, written)
	}
	maps.Copy(w.known, batch)
	w.doubt = nil
	w.requests++
	return nil
}

func (w *documentWriter) settle(t *testing.T, state contents) int {
	t.Helper()
	mine := map[string]string{}
	for id, text := range state.documents {
		if strings.HasPrefix(id, w.prefix) {
			mine[id] = text
		}
	}
	done := maps.Clone(w.known)
	maps.Copy(done, w.doubt)
	switch {
	case maps.Equal(mine, w.known):
	case maps.Equal(mine, done):
	default:
		t.Errorf("the documents of %q are neither those acknowledged nor those with the request that was cut off: %s",
			w.prefix, differences(mine, w.known, done))
	}
	w.known, w.doubt = mine, nil
	return len(mine)
}

// differences names a few documents that are as neither map says.
func differences(got, before, after map[string]string) string {
	ids := map[string]bool{}
	for _, m := range []map[string]string{got, before, after} {
		for id := range m {
			ids[id] = true
		}
	}
	var out strings.Builder
	for id := range ids {
		if got[id] != before[id] || got[id] != after[id] {
			fmt.Fprintf(&out, "\n%s is %.60q, was %.60q, would be %.60q", id, got[id], before[id], after[id])
		}
		if out.Len() > 2000 {
			break
		}
	}
	return out.String()
}

// assetWriter creates, updates and deletes assets. Their names begin with its
// prefix.
type assetWriter struct {
	tally
	prefix string
	random *rand.Rand
	number int               // of the last request
	known  map[string]string // the wire form that was answered, by id
	doubt  *assetRequest     // the request without an answer
}

// assetRequest is what a request does: id is empty when it creates, text and
// name are when it deletes.
type assetRequest struct{ id, name, text string }

func (w *assetWriter) write(ctx context.Context, c *client.Client) error {
	w.number++
	r := assetRequest{name: fmt.Sprintf("%s%d", w.prefix, w.number), text: randomText(w.random)}
	if kind := w.random.IntN(10); len(w.known) > 5 && kind < 6 {
		r.id = w.pick()
		if kind < 2 || len(w.known) > 60 {
			r.name, r.text = "", ""
		}
	}
	w.doubt = &r
	var answer json.RawMessage
	var err error
	switch {
	case r.id == "":
		answer, err = c.CreateAsset(ctx, assetSeed(r.name, r.text))
	case r.name == "":
		err = c.DeleteAsset(ctx, r.id)
	default:
		answer, err = c.UpdateAsset(ctx, w.patch(r), nil)
	}
	if err != nil {
		w.doubts++
		return err
	}
	w.doubt = nil
	w.requests++
	return w.acknowledged(r, answer)
}

// acknowledged takes over the answer to a request.
func (w *assetWriter) acknowledged(r assetRequest, answer json.RawMessage) error {
	if r.name == "" {
		delete(w.known, r.id)
		return nil
	}
	id, name, text := assetParts(string(answer))
	if name != r.name || text != r.text || r.id != "" && id != r.id {
		return fmt.Errorf("writing %q was answered with %.300s", r.name, answer)
	}
	w.known[id] = string(answer)
	return nil
}

// pick returns the id of an asset that is there.
func (w *assetWriter) pick() string {
	n := w.random.IntN(len(w.known))
	for id := range w.known {
		if n--; n < 0 {
			return id
		}
	}
	return ""
}

// patch returns the body that changes name and text of an asset.
func (w *assetWriter) patch(r assetRequest) json.RawMessage {
	_, format, _ := asset.OriginalText([]byte(w.known[r.id]))
	return json.RawMessage(fmt.Sprintf(`{"id":%s,"name":%s,"formats":{"iterable":[{"id":%s,"fragment":{"string":{"raw":%s}}}]}}`,
		jsonText(r.id), jsonText(r.name), jsonText(format), jsonText(r.text)))
}

func (w *assetWriter) settle(t *testing.T, state contents) int {
	t.Helper()
	mine := map[string]string{}
	for id, form := range state.assets {
		if _, name, _ := assetParts(form); strings.HasPrefix(name, w.prefix) {
			mine[id] = form
		}
	}
	for id, form := range w.known {
		if mine[id] != form && !w.doubted(id, mine[id]) {
			t.Errorf("the asset %s is %.300q, but %.300q was acknowledged", id, mine[id], form)
		}
	}
	for id, form := range mine {
		if w.known[id] == "" && !w.doubted("", form) {
			t.Errorf("there is an asset %s that was deleted or never asked for: %.300q", id, form)
		}
	}
	w.known, w.doubt = mine, nil
	return len(mine)
}

// doubted reports whether the request without an answer would have made this
// of the asset.
func (w *assetWriter) doubted(id, form string) bool {
	if w.doubt == nil || w.doubt.id != id {
		return false
	}
	_, name, text := assetParts(form)
	return w.doubt.name == name && w.doubt.text == text
}

// assetParts takes the wire form of an asset apart; "" is one that is gone.
func assetParts(form string) (id, name, text string) {
	if form == "" {
		return "", "", ""
	}
	var a struct{ ID, Name string }
	if err := json.Unmarshal([]byte(form), &a); err != nil {
		return "", "", "not JSON: " + err.Error()
	}
	text, _, _ = asset.OriginalText([]byte(form))
	return a.ID, a.Name, text
}

// assetSeed returns the body of POST /assets/create.
func assetSeed(name, text string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"type":"SEEDED_ASSET","asset":{"metadata":{"name":%s},"application":{"id":"a5dd2a05-4b5d-4f0c-8f05-ff80a7e8d6c2","name":"OPEN_SOURCE","version":"1.0.0","platform":"LINUX","onboarded":true,"privacy":"OPEN"},"format":{"fragment":{"string":{"raw":%s}}}}}`,
		jsonText(name), jsonText(text)))
}

func jsonText(s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings always marshal
	}
	return text
}

// randomText returns a text, mostly short, now and then of many pages.
func randomText(random *rand.Rand) string {
	n := 1 + random.IntN(400)
	if random.IntN(20) == 0 {
		n *= 50
	}
	var text strings.Builder
	for range n {
		text.WriteString([...]string{"if ", "err", " != nil", "\n\t", "\"é\"", "\\", "日本", "0", " <tag> ", "\x00\x1f"}[random.IntN(10)])
	}
	return text.String()
}
