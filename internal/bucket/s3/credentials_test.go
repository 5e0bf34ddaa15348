package s3_test

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"cairn/internal/bucket"
	"cairn/internal/bucket/s3"
)

// TestMetadataService looks who is asked for credentials, where there are none.
func TestMetadataService(t *testing.T) {
	credentials(t, "", "")
	var asked atomic.Int64
	service := standIn(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusNotFound)
	})
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.URL)
	store := standIn(t, func(http.ResponseWriter, *http.Request) { t.Error("the store was asked without credentials") })
	for _, c := range []struct {
		endpoint, disabled string
		asks               bool
	}{
		{store.URL, "", false},
		{store.URL, "false", false},
		{"", "true", false},
		{"", "false", true}, // as on a machine of AWS
	} {
		t.Setenv("AWS_EC2_METADATA_DISABLED", c.disabled)
		asked.Store(0)
		b, err := s3.Open(t.Context(), s3.Location{Bucket: "bucket", Endpoint: c.endpoint})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Get(t.Context(), "name"); !errors.Is(err, bucket.ErrNoCredentials) {
			t.Errorf("Get from %q without credentials: %v, want ErrNoCredentials", c.endpoint, err)
		}
		if asks := asked.Load() > 0; asks != c.asks {
			t.Errorf("for %q, with AWS_EC2_METADATA_DISABLED=%s, the metadata service was asked: %t, want %t", c.endpoint, c.disabled, asks, c.asks)
		}
	}
}

// TestProfile finds credentials in a file, and says so when a profile is not there.
func TestProfile(t *testing.T) {
	credentials(t, "", "")
	file := t.TempDir() + "/credentials"
	if err := os.WriteFile(file, []byte("[work]\naws_access_key_id = workkey\naws_secret_access_key = s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	var signed atomic.Value
	server := standIn(t, func(w http.ResponseWriter, r *http.Request) {
		signed.Store(r.Header.Get("Authorization"))
		w.Header().Set("ETag", `"1"`)
	})
	b, err := s3.Open(t.Context(), s3.Location{Bucket: "bucket", Endpoint: server.URL, Profile: "work", Region: "mars-1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := calls["Get"](t.Context(), b); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(signed.Load()); !strings.Contains(got, "Credential=workkey/") || !strings.Contains(got, "/mars-1/s3/") {
		t.Errorf("it is signed %q, want by workkey for mars-1", got)
	}
	_, err = s3.Open(t.Context(), s3.Location{Bucket: "bucket", Endpoint: server.URL, Profile: "play"})
	if !errors.Is(err, bucket.ErrNoCredentials) || !strings.Contains(err.Error(), "play") {
		t.Errorf("opening with a profile that is not there: %v, want ErrNoCredentials that names it", err)
	}
}

// TestSSO has a session of SSO that is over, or that cannot be renewed now.
func TestSSO(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	answer := func(status int) string {
		return standIn(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }).URL
	}
	for name, c := range map[string]struct {
		token, service string
		want           error
	}{
		"none":           {"", gone.URL, bucket.ErrExpired},
		"not renewable":  {`{"accessToken": "a", "expiresAt": "2020-01-01T00:00:00Z"}`, gone.URL, bucket.ErrExpired},
		"refused":        {renewable, answer(http.StatusBadRequest), bucket.ErrExpired},
		"nobody answers": {renewable, gone.URL, bucket.ErrUnreachable},
		"busy":           {renewable, answer(http.StatusServiceUnavailable), bucket.ErrBusy},
	} {
		t.Run(name, func(t *testing.T) {
			credentials(t, "", "")
			home := t.TempDir()
			cache := filepath.Join(home, ".aws", "sso", "cache")
			config := filepath.Join(home, "config")
			err := errors.Join(os.MkdirAll(cache, 0o700), os.WriteFile(config, []byte(ssoConfig), 0o600))
			if c.token != "" {
				err = errors.Join(err, os.WriteFile(filepath.Join(cache, fmt.Sprintf("%x.json", sha1.Sum([]byte("ours")))), []byte(c.token), 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("AWS_CONFIG_FILE", config)
			t.Setenv("HOME", home)
			t.Setenv("USERPROFILE", home)
			t.Setenv("AWS_ENDPOINT_URL_SSO_OIDC", c.service)
			b, err := s3.Open(t.Context(), s3.Location{Bucket: "bucket", Endpoint: "http://127.0.0.1:1", Profile: "work"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Get(t.Context(), "name"); !errors.Is(err, c.want) || bucket.Transient(err) != (c.want != bucket.ErrExpired) {
				t.Errorf("Get: %v, want %v", err, c.want)
			}
		})
	}
}

// renewable is a token of SSO that has expired.
const renewable = `{"accessToken": "a", "expiresAt": "2020-01-01T00:00:00Z", "refreshToken": "r", "clientId": "c", "clientSecret": "s",
	"registrationExpiresAt": "2099-01-01T00:00:00Z"}`

const ssoConfig = `[profile work]
region = us-east-1
sso_session = ours
sso_account_id = 111122223333
sso_role_name = backups
[sso-session ours]
sso_region = us-east-1
sso_start_url = http://127.0.0.1:1/start
`

// TestCredentialService has the service that hands out credentials out of order:
// that may be over by the next try, and is no lack of credentials.
func TestCredentialService(t *testing.T) {
	credentials(t, "", "")
	token := t.TempDir() + "/token"
	if err := os.WriteFile(token, []byte("token"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/backups")
	t.Setenv("AWS_REGION", "us-east-1")
	busy := standIn(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	denied := standIn(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	broken := standIn(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	cut := standIn(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, "<AssumeRoleWithWebIdentityResponse>")
	})
	for url, want := range map[string]error{
		busy.URL: bucket.ErrBusy, gone.URL: bucket.ErrUnreachable, broken.URL: bucket.ErrUnreachable, cut.URL: bucket.ErrUnreachable,
		denied.URL: bucket.ErrNoCredentials,
	} {
		t.Setenv("AWS_ENDPOINT_URL_STS", url)
		b, err := s3.Open(t.Context(), s3.Location{Bucket: "bucket", Endpoint: busy.URL})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Get(t.Context(), "name"); !errors.Is(err, want) {
			t.Errorf("Get: %v, want %v", err, want)
		}
	}
}
