package gcs

import (
	"regexp"

	"cairn/internal/bucket/remote"
)

// A Location says where objects are: in a bucket, below a prefix.
type Location struct {
	Bucket   string
	Prefix   string // of all names, without slashes at its ends; "" for none
	Endpoint string // of the store, as https://host:port; "" means Google
}

// host is where Google Cloud Storage is.
const host = "https://storage.googleapis.com"

// bucketName is what names of buckets are made of. Source: Google, Cloud Storage
// bucket names.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`)

// form is that of the URLs.
func form() remote.Form {
	return remote.Form{Scheme: "gs", Noun: "bucket", Name: bucketName, Params: []string{"endpoint"}}
}

// ParseURL reads gs://bucket/prefix?endpoint=...; the prefix and the endpoint can
// be left out. What it does not know is an error.
func ParseURL(text string) (Location, error) {
	var l Location
	var err error
	if l.Bucket, l.Prefix, err = form().Parse(text, map[string]*string{"endpoint": &l.Endpoint}); err != nil {
		return Location{}, err
	}
	if l.Endpoint, err = remote.Endpoint(l.Endpoint); err != nil {
		return Location{}, err
	}
	if l.Endpoint == host {
		l.Endpoint = "" // one place, one URL
	}
	return l, nil
}

// String returns the one URL of a location.
func (l Location) String() string {
	return form().URL(l.Bucket, l.Prefix, map[string]string{"endpoint": l.Endpoint})
}

// Place returns the URL of a location: two with the same have the same objects.
func (l Location) Place() string { return l.String() }

// Below returns the prefix of all names.
func (l Location) Below() string { return l.Prefix }

// Outer returns the locations whose prefixes this one's is below, nearest first.
func (l Location) Outer() []Location {
	var outer []Location
	for _, l.Prefix = range remote.Outer(l.Prefix) {
		outer = append(outer, l)
	}
	return outer
}
