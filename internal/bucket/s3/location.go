package s3

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"cairn/internal/bucket"
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

// ParseURL reads s3://bucket/prefix?endpoint=...&region=...&profile=...; the
// prefix and the parameters can be left out. What it does not know is an error.
func ParseURL(text string) (Location, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Location{}, errors.New("it is not a URL")
	}
	l := Location{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	switch {
	case u.Scheme != "s3" || u.Opaque != "":
		return Location{}, errors.New("it does not begin with s3://")
	case u.User != nil:
		return Location{}, errors.New("credentials do not belong into it: put them into the environment or a profile, as docs/clouds.md shows")
	case u.Fragment != "":
		return Location{}, errors.New("nothing may follow a #")
	case !bucketName.MatchString(l.Bucket):
		return Location{}, errors.New("it does not name a bucket, as in s3://bucket/prefix")
	}
	if l.Prefix != "" {
		// What stands below has to have room for the longest of our names.
		if err := bucket.ValidateName(l.Prefix); err != nil || len(l.Prefix) > bucket.MaxName/2 {
			return Location{}, fmt.Errorf("its prefix can have letters, digits, dots, dashes and underscores between slashes, and %d bytes", bucket.MaxName/2)
		}
	}
	if strings.Contains(l.Prefix, "__0x") {
		return Location{}, errors.New("its prefix cannot have __0x in it") // which gocloud.dev writes for other characters
	}
	params, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Location{}, errors.New("its parameters are malformed")
	}
	for name, values := range params {
		field := map[string]*string{"endpoint": &l.Endpoint, "region": &l.Region, "profile": &l.Profile}[name]
		switch {
		case field == nil:
			return Location{}, fmt.Errorf("its parameter %.60q is not known: there are endpoint, region and profile", name)
		case len(values) != 1 || values[0] == "":
			return Location{}, fmt.Errorf("its parameter %s must have one value", name)
		}
		*field = values[0]
	}
	if l.Region != "" && !regionName.MatchString(l.Region) {
		return Location{}, errors.New("its region can have small letters, digits and dashes")
	}
	if l.Endpoint != "" {
		if l.Endpoint, err = cleanEndpoint(l.Endpoint); err != nil {
			return Location{}, err
		}
	}
	return l, nil
}

// cleanEndpoint returns the one form of an endpoint.
func cleanEndpoint(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("its endpoint is not of the form https://host or http://host:port")
	}
	host, port := strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), u.Port()
	if port == map[string]string{"https": "443", "http": "80"}[u.Scheme] {
		port = ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" {
		host += ":" + port
	}
	return u.Scheme + "://" + host, nil
}

// String returns the one URL of a location.
func (l Location) String() string {
	params := url.Values{}
	for name, value := range map[string]string{"endpoint": l.Endpoint, "region": l.Region, "profile": l.Profile} {
		if value != "" {
			params.Set(name, value)
		}
	}
	return l.url(params)
}

// Outer returns the locations whose prefixes this one's is below, nearest first.
func (l Location) Outer() []Location {
	var outer []Location
	for l.Prefix != "" {
		l.Prefix = l.Prefix[:max(0, strings.LastIndexByte(l.Prefix, '/'))]
		outer = append(outer, l)
	}
	return outer
}

// Place returns the URL of a location without what only says how to get there:
// two with the same place have the same objects.
func (l Location) Place() string {
	params := url.Values{}
	if l.Endpoint != "" {
		params.Set("endpoint", l.Endpoint)
	}
	return l.url(params)
}

func (l Location) url(params url.Values) string {
	u := url.URL{Scheme: "s3", Host: l.Bucket, Path: "/" + l.Prefix}
	if l.Prefix == "" {
		u.Path = ""
	}
	// The endpoint is easier to read unescaped, and a query may hold it so.
	u.RawQuery = strings.NewReplacer("%3A", ":", "%2F", "/").Replace(params.Encode())
	return u.String()
}

// region returns what requests are signed for.
func (l Location) region() string { return cmp.Or(l.Region, "us-east-1") }
