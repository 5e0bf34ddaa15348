package s3

import (
	"cmp"
	"errors"
	"regexp"

	"cairn/internal/bucket/remote"
)

// A Location says where objects are: in a bucket of a store, below a prefix.
type Location struct {
	Bucket   string
	Prefix   string // of all names, without slashes at its ends; "" for none
	Endpoint string // of the store, as https://host:port; "" means AWS, or what its configuration says
	Region   string // "" means that of the configuration, else us-east-1
	Profile  string // in the files of the AWS configuration; "" means the default one
}

// bucketName is what names of buckets are made of, those of other stores than
// AWS included. Source: AWS, General purpose bucket naming rules; the oldest
// buckets there have capital letters and underscores.
var bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$`)

// regionName is what names of regions are made of: they are part of host names.
var regionName = regexp.MustCompile(`^[a-z0-9-]+$`)

// form is that of the URLs.
func form() remote.Form {
	return remote.Form{Scheme: "s3", Noun: "bucket", Name: bucketName, Params: []string{"endpoint", "region", "profile"}}
}

// ParseURL reads s3://bucket/prefix?endpoint=...&region=...&profile=...; the
// prefix and the parameters can be left out. What it does not know is an error.
func ParseURL(text string) (Location, error) {
	var l Location
	var err error
	l.Bucket, l.Prefix, err = form().Parse(text, map[string]*string{"endpoint": &l.Endpoint, "region": &l.Region, "profile": &l.Profile})
	if err != nil {
		return Location{}, err
	}
	if l.Region != "" && !regionName.MatchString(l.Region) {
		return Location{}, errors.New("its region can have small letters, digits and dashes")
	}
	if l.Endpoint, err = remote.Endpoint(l.Endpoint); err != nil {
		return Location{}, err
	}
	return l, nil
}

// String returns the one URL of a location.
func (l Location) String() string {
	return form().URL(l.Bucket, l.Prefix, map[string]string{"endpoint": l.Endpoint, "region": l.Region, "profile": l.Profile})
}

// Place returns the URL of a location without what only says how to get there:
// two with the same place have the same objects.
func (l Location) Place() string {
	return form().URL(l.Bucket, l.Prefix, map[string]string{"endpoint": l.Endpoint})
}

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

// region returns what requests are signed for.
func (l Location) region() string { return cmp.Or(l.Region, "us-east-1") }
