// Package gcs is a store in a bucket of Google Cloud Storage, by its JSON API. An
// object name is that of the object.
//
//	l, err := gcs.ParseURL("gs://bucket/prefix")
//	b, err := gcs.Open(ctx, l)
//
// Credentials are those that Google's tools call application default credentials.
// No call is tried again here; see [bucket.Retry]. Google's client for Go brings gRPC
// along: it would make the program two thirds larger, for the five requests that are
// made here.
package gcs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"cairn/internal/bucket"
	"cairn/internal/bucket/remote"
)

// A Bucket keeps its objects in a bucket of the store. Where names are below the
// prefix of a location is the business of [bucket.Prefix].
type Bucket struct {
	location Location
	client   *client
}

// Open returns the store at a location, without its prefix. It asks the store for
// nothing yet. The error is ErrNoCredentials when none are found.
func Open(ctx context.Context, l Location) (*Bucket, error) {
	return OpenImpatient(ctx, l, remote.StallTime)
}

// OpenImpatient is Open with another time than a minute for which a connection
// may stand still.
func OpenImpatient(ctx context.Context, l Location, stall time.Duration) (*Bucket, error) {
	c, err := newClient(ctx, stall)
	if err != nil {
		return nil, remote.Describe(ctx, "opening", l.String(), err)
	}
	return &Bucket{l, c}, nil
}

// Close closes the connections that no call uses. Calls still work.
func (b *Bucket) Close() { b.client.http.CloseIdleConnections() }

// resource is what the API tells of an object. Source: Google, JSON API, Objects.
type resource struct {
	Kind    string    `json:"kind"`
	Name    string    `json:"name"`
	Size    string    `json:"size"` // bytes, decimal
	Updated time.Time `json:"updated"`
}

// fields are those of a resource.
const fields = "kind,name,size,updated"

// object returns what a resource describes.
func (r resource) object() (bucket.Object, error) {
	size, err := strconv.ParseInt(r.Size, 10, 64)
	if err != nil || size < 0 || r.Name == "" || r.Updated.IsZero() {
		return bucket.Object{}, notStore(fmt.Sprintf("an object with the size %.20q, updated at %v", r.Size, r.Updated))
	}
	return bucket.Object{Name: r.Name, Size: size, Modified: r.Updated.UTC()}, nil
}

// url returns that of the objects, or of one of them, with a query.
func (b *Bucket) url(root, name string, query url.Values) string {
	u := cmp.Or(b.location.Endpoint, host) + root + "/storage/v1/b/" + url.PathEscape(b.location.Bucket) + "/o"
	if name != "" {
		u += "/" + url.PathEscape(name)
	}
	return u + "?" + query.Encode()
}

// Put implements [bucket.Bucket]. The object goes in one request, on the condition
// that there is none, which this store keeps.
func (b *Bucket) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	if err := bucket.ValidateName(name); err != nil {
		return err
	}
	return remote.Describe(ctx, "storing", name, remote.Missing(b.put(ctx, name, content)))
}

func (b *Bucket) put(ctx context.Context, name string, content io.ReadSeeker) error {
	lent, size, err := remote.Lend(ctx, content)
	if err != nil {
		return err
	}
	defer lent.Close()
	query := url.Values{"uploadType": {"media"}, "name": {name}, "ifGenerationMatch": {"0"}, "fields": {fields}}
	var stored resource
	if err := b.client.ask(ctx, http.MethodPost, b.url("/upload", "", query), upload{lent, size}, &stored); err != nil {
		return err
	}
	object, err := stored.object()
	if err == nil && (object.Name != name || object.Size != size) {
		err = notStore(fmt.Sprintf("it stored %d bytes of %d as %q", object.Size, size, object.Name))
	}
	return err
}

// Get implements [bucket.Bucket].
func (b *Bucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := bucket.ValidateName(name); err != nil {
		return nil, err
	}
	response, err := b.client.do(ctx, http.MethodGet, b.url("", name, url.Values{"alt": {"media"}}), upload{})
	if err == nil {
		if err = checkObject(response); err != nil {
			_ = response.Body.Close() // it is of no use
		}
	}
	if err != nil {
		return nil, remote.Describe(ctx, "opening", name, b.which(ctx, err))
	}
	return remote.NewBody(ctx, name, response.Body, remote.Network), nil
}

// Head implements [bucket.Bucket].
func (b *Bucket) Head(ctx context.Context, name string) (bucket.Object, error) {
	if err := bucket.ValidateName(name); err != nil {
		return bucket.Object{}, err
	}
	var found resource
	err := b.client.ask(ctx, http.MethodGet, b.url("", name, url.Values{"fields": {fields}}), upload{}, &found)
	var object bucket.Object
	if err == nil {
		object, err = found.object()
	}
	return object, remote.Describe(ctx, "looking for", name, b.which(ctx, err))
}

// which returns err, unless it leaves it open whether the object is not there or
// the bucket: then the store is asked for that.
func (b *Bucket) which(ctx context.Context, err error) error {
	if err == nil || !errors.Is(err, bucket.ErrNotFound) || namesObject(err) {
		return err
	}
	_, asked := b.page(ctx, url.Values{"maxResults": {"1"}})
	if asked == nil || errors.Is(asked, bucket.ErrRefused) { // nobody who may not list has to know
		return err
	}
	return asked
}

// List implements [bucket.Bucket].
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return remote.Ours(b.list(ctx, prefix), prefix)
}

// list yields all that is there, whatever it is named.
func (b *Bucket) list(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		query := url.Values{"prefix": {prefix}}
		for {
			page, err := b.page(ctx, query)
			if err == nil && page.Next != "" && page.Next == query.Get("pageToken") {
				err = remote.CutOff()
			}
			if err != nil {
				yield(bucket.Object{}, remote.Describe(ctx, "listing", fmt.Sprintf("%q", prefix), err))
				return
			}
			for _, item := range page.Items {
				object, err := item.object()
				if !yield(object, remote.Describe(ctx, "listing", fmt.Sprintf("%q", prefix), err)) || err != nil {
					return
				}
			}
			if page.Next == "" {
				return
			}
			query.Set("pageToken", page.Next)
		}
	}
}

// A page is a part of a list.
type page struct {
	Kind  string     `json:"kind"`
	Items []resource `json:"items"`
	Next  string     `json:"nextPageToken"`
}

func (b *Bucket) page(ctx context.Context, query url.Values) (page, error) {
	query.Set("fields", "kind,nextPageToken,items(name,size,updated)")
	var p page
	err := b.client.ask(ctx, http.MethodGet, b.url("", "", query), upload{}, &p)
	return p, remote.Missing(err)
}

// Foreign returns the first object below a prefix, among the first thousand,
// that no object of ours can be named like, or "". An empty object whose name
// ends in a slash, as consoles make for folders, does not count.
func (b *Bucket) Foreign(ctx context.Context, prefix string) (string, error) {
	below := remote.Below(prefix)
	return remote.Foreign(b.list(ctx, below), below)
}

// Delete implements [bucket.Bucket].
func (b *Bucket) Delete(ctx context.Context, name string) error {
	if err := bucket.ValidateName(name); err != nil {
		return err
	}
	response, err := b.client.do(ctx, http.MethodDelete, b.url("", name, url.Values{}), upload{})
	if err == nil {
		_ = response.Body.Close() // it is empty
		if response.StatusCode != http.StatusNoContent {
			err = notStore(response.Status + ", for a deletion")
		}
	}
	if err = b.which(ctx, err); errors.Is(err, bucket.ErrNotFound) {
		return nil
	}
	return remote.Describe(ctx, "deleting", name, err)
}

// decode reads the answer to a request, which is of a kind that the store has.
func decode(response *http.Response, into any) error {
	const longest = 8 << 20 // a thousand names of a kilobyte, escaped
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, longest))
	if err != nil {
		return remote.Network(err)
	}
	var kind struct {
		Kind string `json:"kind"`
	}
	if json.Unmarshal(text, &kind) != nil || kind.Kind != kindOf(into) || json.Unmarshal(text, into) != nil {
		return notStore(response.Status + ", " + response.Header.Get("Content-Type") + ", in place of " + kindOf(into))
	}
	return nil
}

// kindOf returns how an answer calls itself that is read into a value.
func kindOf(into any) string {
	if _, ok := into.(*page); ok {
		return "storage#objects"
	}
	return "storage#object"
}
