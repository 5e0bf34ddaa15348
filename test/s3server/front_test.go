package s3server_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"cairn/test/s3server"
)

// frontStore returns a front and a new bucket behind it, for a client whose
// credentials the server does not know.
func frontStore(t *testing.T, handler s3server.Handler) (*s3server.Server, *s3server.Front, store) {
	t.Helper()
	server := s3server.Shared(t)
	front := s3server.NewFront(t, server, handler)
	return server, front, newStore(t, front.URL, "any", "any", server.Bucket(t))
}

// TestFront sends every kind of request through a front.
func TestFront(t *testing.T) {
	_, front, s := frontStore(t, nil)
	large := strings.Repeat("0123456789abcdef", 3<<20/16) // large enough for Expect: 100-continue
	key := "sp ace/+%&?#é=~"
	check(t, "put", s.put(key, large), "ok")
	check(t, "create", s.create(key, "hello"), "412 PreconditionFailed")
	if s.get(key) != large {
		t.Error("get returns something else")
	}
	check(t, "head", s.head(key), fmt.Sprint(len(large), " bytes"))
	check(t, "list", s.list("sp a", 1000), []string{key})
	_, err := s.client.CopyObject(t.Context(), &s3.CopyObjectInput{
		Bucket: &s.bucket, Key: aws.String("copy"), CopySource: aws.String(s.bucket + "/none"),
	})
	check(t, "copy of nothing", outcome(err), "404 NoSuchKey")
	_, err = s.client.GetBucketPolicy(t.Context(), &s3.GetBucketPolicyInput{Bucket: &s.bucket})
	check(t, "policy", outcome(err), "404 NoSuchBucketPolicy")
	_, err = s.client.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &s.bucket, Key: &key})
	check(t, "tags", outcome(err), "ok")
	check(t, "delete", s.delete(key), "ok")
	check(t, "requests", front.Requests(), []s3server.Request{
		{"put", key}, {"put", key}, {"get", key}, {"head", key}, {"list", "sp a"},
		{"other", "copy"}, {"other", ""}, {"other", key}, {"delete", key},
	})
	front.Reset()
	check(t, "get", s.get(key), "404 NoSuchKey")
	check(t, "requests after Reset", front.Requests(), []s3server.Request{{"get", key}})
}

// TestHandle changes the handler of a front.
func TestHandle(t *testing.T) {
	var failures atomic.Int32
	_, front, s := frontStore(t, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if failures.Add(1) == 1 {
			s3server.Answer(http.StatusForbidden, "ExpiredToken", "The provided token has expired.")(w, r, forward)
			return
		}
		forward.ServeHTTP(w, r)
	})
	check(t, "first put", s.put("a", "hello"), "403 ExpiredToken")
	check(t, "second put", s.put("a", "hello"), "ok")
	front.Handle(func(w http.ResponseWriter, r *http.Request, _ http.Handler) { _, _ = io.WriteString(w, "<html>") })
	check(t, "get of a page", s.get("a"), "<html>")
	front.Handle(nil)
	check(t, "get", s.get("a"), "hello")
}

func TestAnswer(t *testing.T) {
	_, front, s := frontStore(t, s3server.Answer(http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.",
		"Retry-After", "7", "X-Reason", "test"))
	check(t, "put", s.put("a", strings.Repeat("x", 3<<20)), "503 SlowDown")
	check(t, "head", s.head("a"), "503 ServiceUnavailable") // it has no body
	check(t, "list", s.list("", 1000), []string{"503 SlowDown"})
	_, err := s.client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String("a")})
	resp, ok := errors.AsType[*awshttp.ResponseError](err)
	if !ok {
		t.Fatalf("get: %v, want an answer", err)
	}
	check(t, "Retry-After", resp.Response.Header.Get("Retry-After"), "7")
	check(t, "X-Reason", resp.Response.Header.Get("X-Reason"), "test")
	if want := "Please reduce your request rate."; !strings.Contains(err.Error(), want) {
		t.Errorf("error %q, want %q in it", err, want)
	}
	front.Handle(nil)
	check(t, "get of what was refused", s.get("a"), "404 NoSuchKey")
}

func TestWithoutConditions(t *testing.T) {
	_, _, s := frontStore(t, s3server.WithoutConditions)
	check(t, "create", s.create("a", "hello"), "ok")
	check(t, "create again", s.create("a", "again"), "ok")
	check(t, "get", s.get("a"), "again")
}

func TestRefuseConditions(t *testing.T) {
	_, _, s := frontStore(t, s3server.RefuseConditions)
	check(t, "create", s.create("a", "hello"), "501 NotImplemented")
	check(t, "get of what was refused", s.get("a"), "404 NoSuchKey")
	check(t, "put", s.put("a", "hello"), "ok")
	check(t, "get", s.get("a"), "hello")
}

func TestCutBodies(t *testing.T) {
	_, _, s := frontStore(t, s3server.CutBodies(5))
	check(t, "put", s.put("a", "hello, world"), "ok")
	check(t, "put", s.put("b", "hello"), "ok")
	check(t, "get", s.get("a"), "hello, then unexpected EOF")
	check(t, "get of a short one", s.get("b"), "hello")
	check(t, "head", s.head("a"), "12 bytes")
	check(t, "list", s.list("", 1000), []string{"a", "b"})
	front := s3server.NewFront(t, s3server.Shared(t), s3server.CutBodies(0))
	s = newStore(t, front.URL, "any", "any", s.bucket)
	check(t, "get of nothing at all", s.get("a"), ", then unexpected EOF")
}

// TestStaleLists lists what was there an hour ago.
func TestStaleLists(t *testing.T) {
	server, _, s := frontStore(t, s3server.StaleLists(time.Hour))
	direct := newStore(t, server.URL, server.AccessKey, server.Secret, s.bucket)
	for _, key := range []string{"a", "b", "c", "d/e"} {
		check(t, "put "+key, direct.put(key, "hello"), "ok")
	}
	before := describe(direct)
	check(t, "list at first", describe(s), before)
	for _, key := range []string{"a", "d/e", "none"} {
		check(t, "delete "+key, s.delete(key), "ok")
	}
	check(t, "create", s.create("new", "hello"), "ok")
	check(t, "create what is there", s.create("b", "again"), "412 PreconditionFailed")
	check(t, "overwrite", s.put("c", "something else"), "ok")
	check(t, "overwrite again", s.put("c", ""), "ok")
	check(t, "put again", s.put("a", "x"), "ok")
	check(t, "list", describe(s), before)
	for page := range int32(4) {
		check(t, "list by pages", s.list("", page+1), []string{"a", "b", "c", "d/e"})
	}
	check(t, "list with a prefix", s.list("d/", 1000), []string{"d/e"})
	check(t, "list after a key", listAfter(s, "b"), []string{"c", "d/e"})
	check(t, "true list", direct.list("", 1000), []string{"a", "b", "c", "new"})
	check(t, "get of a new one", s.get("new"), "hello")
	check(t, "get of a deleted one", s.get("d/e"), "404 NoSuchKey")

	other := s
	other.bucket = server.Bucket(t)
	check(t, "list of another bucket", other.list("", 1000), []string{})
	other.bucket = "no-such-bucket"
	check(t, "list of no bucket", other.list("", 1000), []string{"404 NoSuchBucket"})
	_, err := s.client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &s.bucket, Delimiter: aws.String("/")})
	check(t, "list with a delimiter", outcome(err), "501 NotImplemented")
}

// describe lists all that a list tells of objects.
func describe(s store) (objects []string) {
	resp, err := s.client.ListObjectsV2(s.t.Context(), &s3.ListObjectsV2Input{Bucket: &s.bucket})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, o := range resp.Contents {
		objects = append(objects, fmt.Sprint(*o.Key, " ", *o.Size, " ", *o.ETag, " ", o.LastModified, " ", o.StorageClass))
	}
	return objects
}

func listAfter(s store, key string) (keys []string) {
	resp, err := s.client.ListObjectsV2(s.t.Context(), &s3.ListObjectsV2Input{Bucket: &s.bucket, StartAfter: &key})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, o := range resp.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

// TestStaleListsMany lists more than a page of the server has.
func TestStaleListsMany(t *testing.T) {
	server, _, s := frontStore(t, s3server.StaleLists(time.Hour))
	want := make([]string, 2100)
	for i := range want {
		want[i] = fmt.Sprintf("%04d", i)
		if err := os.WriteFile(filepath.Join(server.Dir(s.bucket), want[i]), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check(t, "put", s.put("0500x", "hello"), "ok")
	check(t, "delete", s.delete("1500"), "ok")
	check(t, "list", s.list("", 1000), want)
}

// TestStaleListsCatchUp waits until a list shows what has happened.
func TestStaleListsCatchUp(t *testing.T) {
	const lag = 300 * time.Millisecond
	_, _, s := frontStore(t, s3server.StaleLists(lag))
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() { check(t, "create", s.create(fmt.Sprint(i), "hello"), "ok") })
	}
	wg.Wait()
	await(t, s, []string{"0", "1", "2", "3"})
	if took := time.Since(begin); took < lag {
		t.Errorf("the objects were listed after %s, want %s", took, lag)
	}
	begin = time.Now()
	check(t, "delete", s.delete("1"), "ok")
	await(t, s, []string{"0", "2", "3"})
	if took := time.Since(begin); took < lag {
		t.Errorf("the deletion was seen after %s, want %s", took, lag)
	}
}

// await lists until the list is as wanted.
func await(t *testing.T, s store, want []string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; {
		got := s.list("", 1000)
		if cmp.Equal(got, want) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the list is still %q, want %q", got, want)
		}
	}
}
