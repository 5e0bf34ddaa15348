package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strconv"

	"cairn/api"
)

// Assets yields all assets as the API shows them, with or without their raw
// contents. It ends with an error when the answer does.
func (c *Client) Assets(ctx context.Context, contents bool) iter.Seq2[json.RawMessage, error] {
	return items[json.RawMessage](ctx, c, "/assets?transferables="+strconv.FormatBool(contents))
}

// AssetIDs yields the ids of all assets.
func (c *Client) AssetIDs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		type reference struct {
			ID string `json:"id"`
		}
		for r, err := range items[reference](ctx, c, "/assets/identifiers") {
			if !yield(r.ID, err) {
				return
			}
		}
	}
}

// items streams the items of {"iterable":[...]}. An answer that ends before
// its last bracket is an error: it is not the whole list.
func items[T any](ctx context.Context, c *Client, path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		resp, err := c.send(ctx, http.MethodGet, path, nil, nil)
		if err != nil {
			yield(none, err)
			return
		}
		defer resp.Body.Close()
		d := json.NewDecoder(resp.Body)
		if err := c.expect(ctx, d, json.Delim('{'), "iterable", json.Delim('[')); err != nil {
			yield(none, err)
			return
		}
		for d.More() {
			var v T
			if err := d.Decode(&v); err != nil {
				yield(none, c.broken(ctx, err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
		if err := c.expect(ctx, d, json.Delim(']'), json.Delim('}')); err != nil {
			yield(none, err)
		}
	}
}

// expect reads the given tokens.
func (c *Client) expect(ctx context.Context, d *json.Decoder, tokens ...json.Token) error {
	for _, want := range tokens {
		switch got, err := d.Token(); {
		case err != nil:
			return c.broken(ctx, err)
		case got != want:
			return notOurs(fmt.Errorf("found %v, not %v", got, want))
		}
	}
	return nil
}

// Asset returns one asset as the API shows it, or cairn.CodeGone.
func (c *Client) Asset(ctx context.Context, id string) (json.RawMessage, error) {
	return c.call(ctx, http.MethodGet, "/asset/"+segment(id), "", nil)
}

// CreateAsset makes an asset from a Seed and returns it.
func (c *Client) CreateAsset(ctx context.Context, seed json.RawMessage) (json.RawMessage, error) {
	return c.call(ctx, http.MethodPost, "/assets/create", api.JSON, jsonBody(seed))
}

// DeleteAsset deletes an asset. One that never existed is cairn.CodeGone.
func (c *Client) DeleteAsset(ctx context.Context, id string) error {
	_, err := c.call(ctx, http.MethodPost, "/assets/"+segment(id)+"/delete", "", nil)
	return err
}

// UpdateAsset merges the given fields, an Asset with at least its id, into the
// asset and returns it whole. With the stored text that the change was made for,
// as [Client.Document] returned it, the change is made only while that is still
// what is stored, else it is cairn.CodeChanged; nil means whatever is.
func (c *Client) UpdateAsset(ctx context.Context, patch, stored json.RawMessage) (json.RawMessage, error) {
	header := http.Header{"Content-Type": {api.JSON}}
	if stored != nil {
		header.Set("If-Match", api.EntityTag(stored))
	}
	return c.callWith(ctx, http.MethodPost, "/asset/update", header, jsonBody(patch))
}

// Format returns one format of an asset as the API shows it, or cairn.CodeGone.
func (c *Client) Format(ctx context.Context, id string) (json.RawMessage, error) {
	return answer[json.RawMessage](ctx, c, http.MethodGet, "/format/"+segment(id))
}

// UpdateFormatValue sets the content of a format, a Format with at least its id,
// and returns it whole. One that is not there is cairn.CodeGone.
func (c *Client) UpdateFormatValue(ctx context.Context, format json.RawMessage) (json.RawMessage, error) {
	return answerTo[json.RawMessage](ctx, c, http.MethodPost, "/format/update/value", format)
}
