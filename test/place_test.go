package test

import (
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cairn/test/harness"
	"cairn/test/s3server"
)

// A place is where a cloud is: a folder, or a prefix of a bucket.
type place struct {
	url string   // for --cloud; messages name it so
	dir string   // where each object lies as a file, with its name as path
	env []string // of a daemon

	server *s3server.Server // that has the bucket; nil for a folder
	bucket string
}

// eachCloud runs a test with an empty place of each kind.
func eachCloud(t *testing.T, test func(t *testing.T, cloud place)) {
	t.Helper()
	t.Run("folder", func(t *testing.T) { test(t, folderCloud(t)) })
	t.Run("S3", func(t *testing.T) { test(t, s3Cloud(t)) })
}

// folderCloud returns a folder that is not there yet.
func folderCloud(t *testing.T) place {
	t.Helper()
	return folderAt(filepath.Join(t.TempDir(), "cloud"))
}

func folderAt(dir string) place { return place{url: dir, dir: dir} }

// s3Cloud returns a prefix of a new bucket.
func s3Cloud(t testing.TB) place {
	t.Helper()
	return bucketOf(t, s3server.Shared(t))
}

// bucketOf returns a prefix of a new bucket of a server.
func bucketOf(t testing.TB, s *s3server.Server) place {
	t.Helper()
	bucket := s.Bucket(t)
	return place{
		url:    s3URL(s.URL, bucket),
		dir:    filepath.Join(s.Dir(bucket), filepath.FromSlash(s3Prefix)),
		env:    s.Env(),
		server: s,
		bucket: bucket,
	}
}

// behind returns the place as it is seen through a front.
func (p place) behind(front *s3server.Front) place {
	p.url = s3URL(front.URL, p.bucket)
	return p
}

// serve starts a daemon whose cloud is here.
func (p place) serve(t *testing.T, o harness.Options) *harness.Daemon {
	t.Helper()
	o.Args = slices.Concat([]string{"--cloud", p.url}, o.Args)
	o.Env = slices.Concat(p.env, o.Env)
	return harness.Start(t, o)
}

// download returns a folder with a copy of the cloud, like the one of a bucket that
// aws s3 sync makes.
func (p place) download(t *testing.T) string {
	t.Helper()
	to := t.TempDir()
	if p.server == nil {
		if err := os.CopyFS(to, os.DirFS(p.dir)); err != nil {
			t.Fatal(err)
		}
		return to
	}
	prefix, client := s3Prefix+"/", p.server.Client()
	in := &s3.ListObjectsV2Input{Bucket: &p.bucket, Prefix: &prefix}
	for pages := s3.NewListObjectsV2Paginator(client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range page.Contents {
			resp, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &p.bucket, Key: object.Key})
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close() // all of it was read, or not
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(to, filepath.FromSlash((*object.Key)[len(prefix):])), string(text))
		}
	}
	return to
}

// upload copies a folder to an empty place.
func (p place) upload(t *testing.T, from string) {
	t.Helper()
	if p.server == nil {
		if err := os.CopyFS(p.dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, file := range allFiles(t, from) {
		name, err := filepath.Rel(from, file)
		if err != nil {
			t.Fatal(err)
		}
		object, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		key := path.Join(s3Prefix, filepath.ToSlash(name))
		_, err = p.server.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &p.bucket, Key: &key, Body: object})
		_ = object.Close() // it was only read
		if err != nil {
			t.Fatal(err)
		}
	}
}
