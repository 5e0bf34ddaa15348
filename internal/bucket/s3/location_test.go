package s3_test

import (
	"slices"
	"strings"
	"testing"

	"cairn/internal/bucket/s3"
)

func TestParseURL(t *testing.T) {
	for _, c := range []struct {
		text       string
		want       s3.Location
		url, place string // "" for text itself
	}{
		{"s3://bucket", s3.Location{Bucket: "bucket"}, "", ""},
		{"s3://bucket/", s3.Location{Bucket: "bucket"}, "s3://bucket", "s3://bucket"},
		{"s3://my.bucket-2/a/b_c", s3.Location{Bucket: "my.bucket-2", Prefix: "a/b_c"}, "", ""},
		{"s3://bucket/a__0x41__/b", s3.Location{Bucket: "bucket", Prefix: "a__0x41__/b"}, "", ""},
		{"s3://bucket//a/", s3.Location{Bucket: "bucket", Prefix: "a"}, "s3://bucket/a", "s3://bucket/a"},
		{"s3://bucket/a?endpoint=http://127.0.0.1:7070", s3.Location{Bucket: "bucket", Prefix: "a", Endpoint: "http://127.0.0.1:7070"}, "", ""},
		{
			"s3://bucket?region=eu-central-1&endpoint=https%3A%2F%2FS3.Example.com%2F&profile=work",
			s3.Location{Bucket: "bucket", Endpoint: "https://s3.example.com", Region: "eu-central-1", Profile: "work"},
			"s3://bucket?endpoint=https://s3.example.com&profile=work&region=eu-central-1",
			"s3://bucket?endpoint=https://s3.example.com",
		},
		{
			"s3://bucket?endpoint=https://s3.example.com.:443", s3.Location{Bucket: "bucket", Endpoint: "https://s3.example.com"},
			"s3://bucket?endpoint=https://s3.example.com", "s3://bucket?endpoint=https://s3.example.com",
		},
		{
			"s3://bucket?endpoint=http://[::1]:9000", s3.Location{Bucket: "bucket", Endpoint: "http://[::1]:9000"},
			"s3://bucket?endpoint=http://%5B::1%5D:9000", "s3://bucket?endpoint=http://%5B::1%5D:9000",
		},
		{
			"s3://bucket/a?profile=my%20own", s3.Location{Bucket: "bucket", Prefix: "a", Profile: "my own"},
			"s3://bucket/a?profile=my+own", "s3://bucket/a",
		},
	} {
		got, err := s3.ParseURL(c.text)
		if err != nil || got != c.want {
			t.Errorf("ParseURL(%q) = %+v, %v, want %+v", c.text, got, err, c.want)
			continue
		}
		if c.url == "" {
			c.url, c.place = c.text, c.text
		}
		if got.String() != c.url || got.Place() != c.place {
			t.Errorf("ParseURL(%q) is %s, its place %s, want %s and %s", c.text, got, got.Place(), c.url, c.place)
		}
		if again, err := s3.ParseURL(got.String()); err != nil || again != got {
			t.Errorf("ParseURL(%q) = %+v, %v, want %+v", got, again, err, got)
		}
	}
}

func TestOuter(t *testing.T) {
	for text, want := range map[string][]string{
		"s3://bucket":                     nil,
		"s3://bucket/a":                   {"s3://bucket"},
		"s3://bucket/a/bc/d?region=eu-1":  {"s3://bucket/a/bc?region=eu-1", "s3://bucket/a?region=eu-1", "s3://bucket?region=eu-1"},
		"s3://bucket/backups/?profile=me": {"s3://bucket?profile=me"},
	} {
		l, err := s3.ParseURL(text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, outer := range l.Outer() {
			got = append(got, outer.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s is below %q, want %q", text, got, want)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"s3:bucket":              "s3://",
		"http://bucket":          "s3://",
		"s3://":                  "name a bucket",
		"s3:///prefix":           "name a bucket",
		"s3://buck et":           "not a URL",
		"s3://bucket:80/a":       "name a bucket",
		"s3://-bucket":           "name a bucket",
		"s3://key:secret@bucket": "credentials",
		"s3://bucket/a#b":        "#",
		"s3://bucket/a b":        "prefix",
		"s3://bucket/a//b":       "prefix",
		"s3://bucket/a/../b":     "prefix",
		"s3://bucket/" + strings.Repeat("a", 257): "prefix",
		"s3://bucket?regoin=eu":                   `"regoin" is not known`,
		"s3://bucket?use_path_style=true":         "is not known",
		"s3://bucket?region=":                     "region must have one value",
		"s3://bucket?region=a&region=b":           "region must have one value",
		"s3://bucket?endpoint=localhost:9000":     "endpoint",
		"s3://bucket?endpoint=ftp://host":         "endpoint",
		"s3://bucket?endpoint=https://host/path":  "endpoint",
		"s3://bucket?endpoint=https://a:b@host":   "endpoint",
		"s3://bucket?endpoint=https://":           "endpoint",
		"s3://bucket?region=x.evil.example/":      "region",
		"s3://bucket?a;b":                         "malformed",
	} {
		if got, err := s3.ParseURL(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseURL(%q) = %+v, %v, want an error that says %q", text, got, err, want)
		} else if strings.Contains(err.Error(), "secret@") {
			t.Errorf("ParseURL(%q) tells the secret: %v", text, err)
		}
	}
}
