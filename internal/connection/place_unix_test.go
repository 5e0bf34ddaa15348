//go:build unix

package connection

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestParsePlace(t *testing.T) {
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	const data = "/home/ada/data"
	for _, c := range []struct {
		given, path, url string
		local            bool
	}{
		{"", data + "/cloud", "file:///home/ada/data/cloud", true},
		{"/mnt/backups", "/mnt/backups", "file:///mnt/backups", false},
		{"/mnt/backups/", "/mnt/backups", "file:///mnt/backups", false},
		{"/home/ada/data/elsewhere/b", "/home/ada/data/elsewhere/b", "file:///home/ada/data/elsewhere/b", true},
		{"/home/ada/data-2", "/home/ada/data-2", "file:///home/ada/data-2", false},
		{"/home/ada", "/home/ada", "file:///home/ada", false},
		{"file:///mnt/my%20backups", "/mnt/my backups", "file:///mnt/my%20backups", false},
		{"file://localhost/mnt/b", "/mnt/b", "file:///mnt/b", false},
		{"relative/b", here + "/relative/b", "file://" + here + "/relative/b", false},
		{"s3", here + "/s3", "file://" + here + "/s3", false},
		{"a:b", here + "/a:b", "file://" + here + "/a:b", false},
	} {
		got, err := Parse(c.given, data)
		key := c.url
		if c.local {
			key = "data:" + strings.TrimPrefix(c.path, data+"/")
		}
		if want := (Place{path: c.path, url: c.url, local: c.local, key: key, given: c.given != ""}); err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", c.given, got, err, want)
		}
	}
	for _, given := range []string{
		"s3:bucket", "s3://b?x=y", "http://host/x", "file://host/share", "file:relative", "file:", "file:///a?b=c", "file:///a#b", "file:///%zz",
		data, data + "/keys", data + "/keys/x", data + "/generations", "file://" + data + "/spool",
	} {
		got, err := Parse(given, data)
		if strings.Contains(given, "?") {
			given, _, _ = strings.Cut(given, ":") // what is behind it may be a secret
		}
		if err == nil || !strings.Contains(err.Error(), given) {
			t.Errorf("Parse(%q) = %+v, %v; want an error that names it", given, got, err)
		}
	}
}

// TestSecretPlace gives secrets where they do not belong: they are not told.
func TestSecretPlace(t *testing.T) {
	for _, given := range []string{
		"s3://AKIA:abc/TOPSECRET@bucket/x", "s3://AKIA:TOPSECRET@bucket/x", "S3://AKIA:TOPSECRET@bucket", "https://AKIA:TOPSECRET@host",
		"s3://bucket?endpoint=https://AKIA:TOPSECRET@store.example", "s3://bucket?secret_access_key=TOPSECRET", "s3://bucket?region=TOPSECRET", "s3://AKIA:TOPSECRET", "s3://AKIA:TOPSECRET%zz",
	} {
		if _, err := Parse(given, "/data"); err == nil || strings.Contains(err.Error(), "TOPSECRET") {
			t.Errorf("Parse(%q): %v, want an error without the secret", given, err)
		}
	}
}
