package azure

import (
	"net/http"

	"cairn/internal/bucket/remote"
)

// Address returns the URL of the container.
func (b *Bucket) Address() string { return b.container.URL() }

// OpenThrough is Open with a transport for all requests.
func OpenThrough(l Location, transport http.RoundTripper) (*Bucket, error) {
	client := &http.Client{Transport: transport, CheckRedirect: remote.Stay}
	c, err := newClient(l, client)
	return &Bucket{c, client}, err
}
