package gcs_test

import (
	"testing"

	"cairn/internal/bucket/buckettest"
	"cairn/internal/bucket/gcs"
)

func TestParseURL(t *testing.T) {
	buckettest.URLs(t, gcs.ParseURL, map[string]gcs.Location{
		"gs://bucket":              {Bucket: "bucket"},
		"gs://my_bucket.2-a/a/b_c": {Bucket: "my_bucket.2-a", Prefix: "a/b_c"},
		"gs://bucket/a?endpoint=http://127.0.0.1:7070": {Bucket: "bucket", Prefix: "a", Endpoint: "http://127.0.0.1:7070"},
	}, map[string]string{
		"gs://bucket//a/": "gs://bucket/a",
		"gs://bucket?endpoint=https://STORAGE.googleapis.com:443/": "gs://bucket",
	}, []string{
		"gs:bucket", "gs://", "gs://b", "gs://Bucket", "gs://key@bucket", "gs://bucket#a", "gs://bucket/a b", "gs://bucket?region=a",
		"gs://bucket?endpoint=", "gs://bucket?endpoint=ftp://host", "s3://bucket",
	})
}
