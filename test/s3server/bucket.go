package s3server

import (
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Client returns a client of the server with the credentials of root.
func (s *Server) Client() *s3.Client { return newClient(s.URL, s.AccessKey, s.Secret) }

// newClient returns a client that tries everything once.
func newClient(url, accessKey, secret string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(url),
		UsePathStyle: true,
		Region:       region,
		Credentials:  credentials(accessKey, secret),
		Retryer:      aws.NopRetryer{},
	})
}

func credentials(accessKey, secret string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secret}, nil
	})
}

// Bucket makes a bucket with a new name, and returns the name.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	bucket := name("bucket")
	if _, err := s.Client().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatalf("making a bucket: %v", err)
	}
	return bucket
}

// Dir returns the folder in which each object of a bucket lies as a file with
// its key as path. To damage an object, write into its file: metadata, the
// checksums with it, belongs to the file, and versitygw takes one without for
// an object that is not there when it looks at If-None-Match.
func (s *Server) Dir(bucket string) string { return filepath.Join(s.dir, "data", bucket) }

// Env returns what to add to the environment of a program, so that it finds
// the credentials of root, and none of the person who runs the tests.
func (s *Server) Env() []string {
	return []string{
		"AWS_ACCESS_KEY_ID=" + s.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + s.Secret,
		"AWS_REGION=" + region,
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true",
		// Empty is as good as not there.
		"AWS_SESSION_TOKEN=", "AWS_PROFILE=", "AWS_DEFAULT_PROFILE=", "AWS_DEFAULT_REGION=",
		"AWS_ENDPOINT_URL=", "AWS_ENDPOINT_URL_S3=", "AWS_CA_BUNDLE=",
	}
}

// User makes a user who may do nothing yet, and returns the credentials. See
// [Server.Policy].
func (s *Server) User(t testing.TB) (accessKey, secret string) {
	t.Helper()
	accessKey, secret = name("user"), rand.Text()
	cmd := exec.CommandContext(t.Context(), s.binary, "admin", "create-user",
		"--access", accessKey, "--secret", secret, "--role", "user")
	cmd.Env = []string{"ADMIN_ENDPOINT_URL=" + s.URL, "ADMIN_REGION=" + region,
		"ADMIN_ACCESS_KEY=" + s.AccessKey, "ADMIN_SECRET_KEY=" + s.Secret}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("making a user: %v\n%s", err, out)
	}
	return accessKey, secret
}

// Policy sets the policy of a bucket, which replaces the one it had. It names
// users by their access keys:
//
//	{"Statement": [{"Effect": "Allow", "Principal": {"AWS": ["KEY"]},
//	  "Action": "s3:GetObject", "Resource": "arn:aws:s3:::BUCKET/*"}]}
func (s *Server) Policy(t testing.TB, bucket, policy string) {
	t.Helper()
	if _, err := s.Client().PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &policy}); err != nil {
		t.Fatalf("setting the policy of %s: %v", bucket, err)
	}
}
