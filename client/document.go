package client

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"cairn/api"
)

// Document returns the document as it is stored, or cairn.CodeGone.
func (c *Client) Document(ctx context.Context, collection, id string) (json.RawMessage, error) {
	return c.call(ctx, http.MethodGet, "/v1/documents/"+segment(collection)+"/"+segment(id), "", nil)
}

// Documents yields what changed after a revision, in the order of revisions:
// documents, and deletions as lines without one. An empty collection means
// all; after 0 yields no deletions.
func (c *Client) Documents(ctx context.Context, collection string, after int64) iter.Seq2[api.DocumentLine, error] {
	q := url.Values{"after": {strconv.FormatInt(after, 10)}}
	if collection != "" {
		q.Set("collection", collection)
	}
	return lines[api.DocumentLine](ctx, c, http.MethodGet, "/v1/documents?"+q.Encode(), nil)
}

// WriteDocuments stores documents as they are and returns what became of
// them. Lines that the daemon refuses are in the answer, not an error.
func (c *Client) WriteDocuments(ctx context.Context, lines []api.DocumentLine) (api.DocumentsWritten, error) {
	var body bytes.Buffer
	for _, line := range lines {
		body.WriteString(`{"collection":`)
		body.Write(quoted(line.Collection))
		body.WriteString(`,"id":`)
		body.Write(quoted(line.ID))
		if line.Document != nil {
			body.WriteString(`,"document":`)
			body.Write(onLine(line.Document)) // encoding/json would escape it anew
		}
		body.WriteString("}\n")
	}
	var written api.DocumentsWritten
	text, err := c.call(ctx, http.MethodPost, "/v1/documents", api.NDJSON, &body)
	if err != nil {
		return written, err
	}
	if err := json.Unmarshal(text, &written); err != nil {
		return written, notOurs(err)
	}
	return written, nil
}

// onLine returns JSON text without newlines. They are white space there, as
// tabs are; text where they are not is no JSON, with tabs neither.
func onLine(text []byte) []byte {
	return bytes.ReplaceAll(text, []byte("\n"), []byte("\t"))
}

// quoted returns s as a JSON string.
func quoted(s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings always marshal
	}
	return text
}
