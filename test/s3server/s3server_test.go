package s3server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"cairn/test/s3server"
)

func TestMain(m *testing.M) { os.Exit(s3server.Main(m.Run)) }

// A store is a bucket as a client sees it. What goes wrong is told in short:
// status and code.
type store struct {
	t      *testing.T
	bucket string
	client *s3.Client
}

func newStore(t *testing.T, url, accessKey, secret, bucket string) store {
	return store{t, bucket, s3.New(s3.Options{
		BaseEndpoint:               &url,
		UsePathStyle:               true,
		Region:                     "us-east-1",
		Retryer:                    aws.NopRetryer{},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secret}, nil
		}),
	})}
}

// rootStore returns a new bucket of s, reached at a URL.
func rootStore(t *testing.T, s *s3server.Server, url string) store {
	t.Helper()
	return newStore(t, url, s.AccessKey, s.Secret, s.Bucket(t))
}

// outcome tells how a call ended.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	resp, ok := errors.AsType[*awshttp.ResponseError](err)
	if !ok || resp.HTTPStatusCode() == 0 {
		return "no answer"
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Sprint(resp.HTTPStatusCode())
	}
	return fmt.Sprint(resp.HTTPStatusCode(), " ", api.ErrorCode())
}

// put stores an object unconditionally, create if there is none.
func (s store) put(key, content string) string { return s.putIf(key, content, nil) }

func (s store) create(key, content string) string { return s.putIf(key, content, aws.String("*")) }

func (s store) putIf(key, content string, ifNoneMatch *string) string {
	_, err := s.client.PutObject(s.t.Context(), &s3.PutObjectInput{
		Bucket: &s.bucket, Key: &key, Body: strings.NewReader(content), IfNoneMatch: ifNoneMatch,
	})
	return outcome(err)
}

// get returns the content, or what went wrong.
func (s store) get(key string) string {
	resp, err := s.client.GetObject(s.t.Context(), &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return outcome(err)
	}
	defer resp.Body.Close() // it was only read
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Sprintf("%s, then %v", content, err)
	}
	return string(content)
}

// head returns the size, or what went wrong.
func (s store) head(key string) string {
	resp, err := s.client.HeadObject(s.t.Context(), &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return outcome(err)
	}
	return fmt.Sprintf("%d bytes", *resp.ContentLength)
}

func (s store) delete(key string) string {
	_, err := s.client.DeleteObject(s.t.Context(), &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &key})
	return outcome(err)
}

// list returns the keys with a prefix by pages of so many, and at the end what
// went wrong.
func (s store) list(prefix string, page int32) []string {
	keys := []string{}
	in := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &prefix, MaxKeys: &page}
	for pages := s3.NewListObjectsV2Paginator(s.client, in); pages.HasMorePages(); {
		resp, err := pages.NextPage(s.t.Context())
		if err != nil {
			return append(keys, outcome(err))
		}
		for _, object := range resp.Contents {
			keys = append(keys, *object.Key)
		}
	}
	return keys
}

// check compares what was got with what was wanted.
func check[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestRoundTrip(t *testing.T) {
	server := s3server.Shared(t)
	s := rootStore(t, server, server.URL)
	check(t, "put", s.put("a/b", "hello"), "ok")
	check(t, "get", s.get("a/b"), "hello")
	check(t, "head", s.head("a/b"), "5 bytes")
	check(t, "list", s.list("", 1000), []string{"a/b"})
	if s3server.Shared(t) != server {
		t.Error("a second call of Shared starts another server")
	}

	file := server.Dir(s.bucket) + "/a/b"
	if err := os.WriteFile(file, []byte("hullo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := s.get("a/b"), "hullo, then checksum did not match"; !strings.HasPrefix(got, want) {
		t.Errorf("get of a damaged object: %q, want %q", got, want)
	}
	check(t, "create over a damaged object", s.create("a/b", "hello"), "412 PreconditionFailed")

	check(t, "delete", s.delete("a/b"), "ok")
	check(t, "delete again", s.delete("a/b"), "ok")
	check(t, "get of what was deleted", s.get("a/b"), "404 NoSuchKey")
	check(t, "list at the end", s.list("", 1000), []string{})
}

// TestEnv looks for the credentials in the environment, and for each variable
// that could lead to others.
func TestEnv(t *testing.T) {
	server := s3server.Shared(t)
	env := map[string]string{
		"AWS_PROFILE": "ada", "AWS_SESSION_TOKEN": "token", "AWS_CA_BUNDLE": "/etc/ada.pem",
		"AWS_CONFIG_FILE": "/home/ada/.aws/config", "AWS_SHARED_CREDENTIALS_FILE": "/home/ada/.aws/credentials",
		"AWS_ENDPOINT_URL": "https://example.com", "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1",
	}
	for _, entry := range server.Env() {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	check(t, "environment", env, map[string]string{
		"AWS_ACCESS_KEY_ID": server.AccessKey, "AWS_SECRET_ACCESS_KEY": server.Secret, "AWS_REGION": "us-east-1",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_PROFILE": "", "AWS_DEFAULT_PROFILE": "", "AWS_SESSION_TOKEN": "", "AWS_DEFAULT_REGION": "",
		"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "", "AWS_CA_BUNDLE": "",
	})
	s := newStore(t, server.URL, env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], server.Bucket(t))
	check(t, "put", s.put("a", "hello"), "ok")
}

// TestUsers checks who may do what.
func TestUsers(t *testing.T) {
	server := s3server.Shared(t)
	root := rootStore(t, server, server.URL)
	accessKey, secret := server.User(t)
	policy := func(actions string) {
		server.Policy(t, root.bucket, fmt.Sprintf(
			`{"Statement": [{"Effect": "Allow", "Principal": {"AWS": [%q]}, "Action": [%s],
			  "Resource": ["arn:aws:s3:::%s", "arn:aws:s3:::%s/*"]}]}`, accessKey, actions, root.bucket, root.bucket))
	}
	user := newStore(t, server.URL, accessKey, secret, root.bucket)
	const denied = "403 AccessDenied"
	for _, tt := range []struct {
		actions                        string // "" for no policy
		get, missing, put, list, erase string
	}{
		{"", denied, denied, denied, denied, denied},
		{`"s3:GetObject"`, "hello", "404 NoSuchKey", denied, denied, denied}, // S3 itself: missing is 403
		{`"s3:PutObject"`, denied, denied, "ok", denied, denied},
		{`"s3:GetObject", "s3:ListBucket"`, "hello", "404 NoSuchKey", denied, "", denied},
		{`"s3:GetObject", "s3:ListBucket", "s3:PutObject"`, "hello", "404 NoSuchKey", "ok", "", denied},
		{`"s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:DeleteObject"`, "hello", "404 NoSuchKey", "ok", "", "ok"},
	} {
		t.Run(tt.actions, func(t *testing.T) {
			root.t, user.t = t, t
			check(t, "put by root", root.put("a", "hello"), "ok")
			if tt.actions != "" {
				policy(tt.actions)
			}
			check(t, "get", user.get("a"), tt.get)
			check(t, "get of nothing", user.get("missing"), tt.missing)
			check(t, "put", user.put("b", "hello"), tt.put)
			check(t, "list", strings.Join(user.list("none", 1000), " "), tt.list)
			check(t, "delete", user.delete("a"), tt.erase)
		})
	}
	check(t, "wrong secret", newStore(t, server.URL, accessKey, "no", root.bucket).get("a"), "403 SignatureDoesNotMatch")
	check(t, "unknown user", newStore(t, server.URL, "nobody", secret, root.bucket).get("a"), "403 InvalidAccessKeyId")
}

// TestRestart takes the server away and brings it back.
func TestRestart(t *testing.T) {
	server := s3server.Start(t)
	s := rootStore(t, server, server.URL)
	front := s3server.NewFront(t, server, nil)
	behind := newStore(t, front.URL, "any", "any", s.bucket)
	accessKey, secret := server.User(t)
	check(t, "put", s.put("a", "hello"), "ok")
	check(t, "get through the front", behind.get("a"), "hello")
	for range 2 {
		server.Stop()
		check(t, "get while stopped", s.get("a"), "no answer")
		check(t, "get through the front while stopped", behind.get("a"), "no answer")
	}
	for range 2 {
		server.Restart(t)
		check(t, "get", s.get("a"), "hello")
		check(t, "create", s.create("a", "again"), "412 PreconditionFailed")
		check(t, "get through the front", behind.get("a"), "hello")
		check(t, "get by the user", newStore(t, server.URL, accessKey, secret, s.bucket).get("a"), "403 AccessDenied")
	}
}

// TestCreate lets many create the same object.
func TestCreate(t *testing.T) {
	server := s3server.Shared(t)
	s := rootStore(t, server, server.URL)
	for i := range 8 {
		key := fmt.Sprintf("folder/%d", i)
		var mu sync.Mutex
		var wg sync.WaitGroup
		outcomes, winner := map[string]int{}, ""
		for j := range 16 {
			wg.Go(func() {
				content := string(bytes.Repeat([]byte{byte('a' + j)}, 64<<10))
				got := s.create(key, content)
				mu.Lock()
				defer mu.Unlock()
				outcomes[got]++
				if got == "ok" {
					winner = content
				}
			})
		}
		wg.Wait()
		check(t, "outcomes", outcomes, map[string]int{"ok": 1, "412 PreconditionFailed": 15})
		check(t, "object", s.get(key), winner)
	}
}
