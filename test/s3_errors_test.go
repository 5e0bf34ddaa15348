package test

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
	"cairn/test/s3server"
)

// s3Prefix is where clouds are in their buckets.
const s3Prefix = "some/prefix"

// s3URL returns the URL of a cloud.
func s3URL(endpoint, bucket string) string {
	return "s3://" + bucket + "/" + s3Prefix + "?endpoint=" + endpoint
}

// TestStoreErrors has a person meet what can be wrong with a store: each is told
// in a sentence of its own, with what to do, and the documents are served all
// the same.
func TestStoreErrors(t *testing.T) {
	t.Parallel()
	s := s3server.Shared(t)
	direct := func(t *testing.T) string { return s3URL(s.URL, s.Bucket(t)) }
	behind := func(handler s3server.Handler) func(*testing.T) string {
		return func(t *testing.T) string { return s3URL(s3server.NewFront(t, s, handler).URL, s.Bucket(t)) }
	}
	refuse := func(status int, code string, header ...string) func(*testing.T) string {
		return behind(s3server.Answer(status, code, "no", header...))
	}
	for name, c := range map[string]struct {
		url    func(*testing.T) string
		env    []string
		status int
		code   cairn.Code
		says   string // the sentence
		hint   string
	}{
		"wrong key": {
			url: direct, env: []string{"AWS_ACCESS_KEY_ID=nobody"},
			status: 511, code: cairn.CodeKeyUnknown, says: "does not know the access key", hint: "AWS_ACCESS_KEY_ID",
		},
		"wrong secret": {
			url: direct, env: []string{"AWS_SECRET_ACCESS_KEY=wrong"},
			status: 511, code: cairn.CodeRefused, says: "refuses the credentials", hint: "AWS_SECRET_ACCESS_KEY",
		},
		"no credentials": {
			url: direct, env: []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="},
			status: 511, code: cairn.CodeNoCredentials, says: "no credentials", hint: "docs/clouds.md",
		},
		"no such profile": {
			url:    func(t *testing.T) string { return s3URL(s.URL, s.Bucket(t)) + "&profile=work" },
			status: 511, code: cairn.CodeNoCredentials, says: "there is no profile work", hint: "profile",
		},
		"expired session": {
			url: refuse(400, "ExpiredToken"), status: 511, code: cairn.CodeExpired, says: "has expired", hint: "aws sso login",
		},
		"no such bucket": {
			url:    func(*testing.T) string { return s3URL(s.URL, "no-such-bucket") },
			status: 500, code: cairn.CodeBucketMissing, says: "is not there", hint: "cairn makes no buckets",
		},
		"no permission": {
			url: refuse(403, "AccessDenied"), status: 500, code: cairn.CodeDenied, says: "does not allow this", hint: "s3:GetObject",
		},
		"wrong clock": {
			url: refuse(403, "RequestTimeTooSkewed"), status: 500, code: cairn.CodeClock, says: "clock of this computer is wrong", hint: "Set the clock",
		},
		"another region": {
			url:    refuse(301, "PermanentRedirect", "X-Amz-Bucket-Region", "eu-west-1"),
			status: 500, code: cairn.CodeRegion, says: "it is in eu-west-1", hint: "region=",
		},
		"a page of a proxy": {
			url: behind(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
				fmt.Fprint(w, "<html><body>Welcome to this hotel</body></html>")
			}),
			status: 500, code: cairn.CodeNotStore, says: "Something else than a store answers", hint: "proxy",
		},
		"too many requests": {
			url: refuse(429, "TooManyRequests"), status: 500, code: cairn.CodeCloudBusy, says: "cannot take requests now (", hint: "later",
		},
		"out of order for long": {
			url: refuse(503, "SlowDown", "Retry-After", "3600"), status: 500, code: cairn.CodeCloudBusy, says: "503 SlowDown", hint: "later",
		},
		"a request that it does not take": {
			url: refuse(400, "InvalidRequest"), status: 500, code: cairn.CodeRejected, says: "400 InvalidRequest", hint: "log",
		},
		"a certificate that nobody knows": {
			url: func(t *testing.T) string {
				secure := httptest.NewUnstartedServer(http.NotFoundHandler())
				secure.Config.ErrorLog = log.New(io.Discard, "", 0)
				secure.StartTLS()
				t.Cleanup(secure.Close)
				return s3URL(secure.URL, "bucket")
			},
			status: 500, code: cairn.CodeTLS, says: "No secure connection", hint: "AWS_CA_BUNDLE",
		},
		"a name that does not resolve": {
			url:    func(*testing.T) string { return s3URL("https://no-such-host.invalid", "bucket") },
			status: 500, code: cairn.CodeHostUnknown, says: "no-such-host.invalid", hint: "online",
		},
		"nobody listens": {
			url: func(*testing.T) string {
				gone := httptest.NewServer(http.NotFoundHandler())
				gone.Close()
				return s3URL(gone.URL, "bucket")
			},
			status: 500, code: cairn.CodeCloudLost, says: "does not answer", hint: "connection",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := c.url(t)
			d := harness.Start(t, harness.Options{Args: []string{"--cloud", url}, Env: append(s.Env(), c.env...)})
			v := harness.NewValidator(t, d.URL)
			doc := oddAsset("kept", `"text"`, "")
			storeDocuments(t, d, doc)
			status, p := ask(t, http.MethodPost, v.URL+"/backups/create", "{}")
			if status != c.status || p.Code != c.code || !strings.Contains(p.Detail, c.says) || !strings.Contains(p.Hint, c.hint) {
				t.Errorf("creating a backup: %d %+v, want %d %s that says %q, and the hint %q", status, p, c.status, c.code, c.says, c.hint)
			}
			if !strings.Contains(p.Detail, url) {
				t.Errorf("the sentence does not name the cloud: %s", p.Detail)
			}
			if status, p := ask(t, http.MethodGet, v.URL+"/backups", ""); status != c.status || p.Code != c.code {
				t.Errorf("listing backups: %d %+v, want %d %s", status, p, c.status, c.code)
			}
			stdout, stderr, code := harness.Cairn(t, d.Env(), "status")
			if code != 0 || !strings.Contains(stdout, "unavailable") || !strings.Contains(strings.ToLower(stdout), strings.ToLower(c.says)) {
				t.Errorf("cairn status: %d\n%s%s", code, stdout, stderr)
			}
			if _, err := client.New(d.URL).Document(t.Context(), doc.Collection, doc.ID); err != nil {
				t.Errorf("the document cannot be read: %v", err)
			}
			if strings.Contains(d.Stderr()+p.Detail+stdout, s.Secret) {
				t.Error("the secret is told")
			}
		})
	}
}

// TestNewCredentials replaces credentials in their file, while a daemon runs that
// began with ones that nobody knows, and again after they have worked.
func TestNewCredentials(t *testing.T) {
	t.Parallel()
	s := s3server.Shared(t)
	bucket := s.Bucket(t)
	file := filepath.Join(t.TempDir(), "credentials")
	write := func(key, secret string) {
		t.Helper()
		text := fmt.Sprintf("[work]\naws_access_key_id = %s\naws_secret_access_key = %s\n", key, secret)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("nobody", "nothing")
	d := harness.Start(t, harness.Options{
		Args: []string{"--cloud", s3URL(s.URL, bucket) + "&profile=work"},
		Env:  append(s.Env(), "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SHARED_CREDENTIALS_FILE="+file),
	})
	c := client.New(d.URL)
	want := func(code cairn.Code) {
		t.Helper()
		if _, err := c.CreateBackup(t.Context()); err == nil != (code == "") || err != nil && cairn.CodeOf(err) != code {
			t.Errorf("creating a backup: %v, want %q", err, code)
		}
	}
	want(cairn.CodeKeyUnknown)
	write(s.AccessKey, s.Secret)
	want("")
	key, secret := s.User(t)
	allow := func(who string) {
		s.Policy(t, bucket, fmt.Sprintf(`{"Statement": [{"Effect": "Allow", "Principal": {"AWS": [%q]}, "Action": "s3:*",
			"Resource": ["arn:aws:s3:::%s", "arn:aws:s3:::%s/*"]}]}`, who, bucket, bucket))
	}
	allow(key)
	write(key, secret)
	want("") // those that it has are good still
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	d = harness.Start(t, harness.Options{
		Data: d.Data,
		Args: []string{"--cloud", s3URL(s.URL, bucket) + "&profile=work"},
		Env:  append(s.Env(), "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SHARED_CREDENTIALS_FILE="+file),
	})
	c = client.New(d.URL)
	want("")
	other, otherSecret := s.User(t)
	allow(other) // and no longer the first
	want(cairn.CodeDenied)
	write(other, otherSecret)
	want("")
}

// ask returns the status of an answer, and the problem that it tells of.
func ask(t *testing.T, method, url, body string) (status int, p api.Problem) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, p
}

// TestDeleteThatNobodyDid has a gateway that lets no DELETE through answer that
// there is no such thing: the backup is there, and that is what is said.
func TestDeleteThatNobodyDid(t *testing.T) {
	t.Parallel()
	s := s3server.Shared(t)
	front := s3server.NewFront(t, s, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if s3server.RequestOf(r).Op == "delete" {
			http.Error(w, "no route for this method", http.StatusNotFound)
			return
		}
		forward.ServeHTTP(w, r)
	})
	d := bucketOf(t, s).behind(front).serve(t, harness.Options{})
	c := client.New(d.URL)
	b, err := c.CreateBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteBackup(t.Context(), b.ID); cairn.CodeOf(err) != cairn.CodeNotStore {
		t.Errorf("deleting a backup: %v, want %s", err, cairn.CodeNotStore)
	}
	if list, err := c.Backups(t.Context()); err != nil || len(list) != 1 || list[0].ID != b.ID {
		t.Errorf("the list is %v, %v, want %s", list, err, b.ID)
	}
	if _, err := c.RestoreBackup(t.Context(), b.ID); err != nil {
		t.Errorf("restoring it: %v", err)
	}
}

// TestBusyAtFirst has a store answer each request once that it is busy, while a
// cloud is made: that takes longer, and no more.
func TestBusyAtFirst(t *testing.T) {
	t.Parallel()
	s := s3server.Shared(t)
	var seen sync.Map
	var lists atomic.Int64
	front := s3server.NewFront(t, s, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		what := r.Method + r.URL.String()
		if s3server.RequestOf(r).Op == "list" {
			what = fmt.Sprint("list", lists.Add(1)/2) // two look the same
		}
		if _, again := seen.LoadOrStore(what, true); !again {
			s3server.Answer(http.StatusServiceUnavailable, "SlowDown", "no")(w, r, forward)
			return
		}
		forward.ServeHTTP(w, r)
	})
	d := bucketOf(t, s).behind(front).serve(t, harness.Options{})
	if stdout, stderr, code := harness.Cairn(t, d.Env(), "status", "--json"); code != 0 || !strings.Contains(stdout, `"state":"ready"`) {
		t.Errorf("cairn status: %d\n%s%s", code, stdout, stderr)
	}
	if strings.Contains(d.Stderr(), "not possible") {
		t.Errorf("the start failed:\n%s", d.Stderr())
	}
}

// TestKeyWithoutCloud gives the key of a cloud with the address of an empty place,
// as when that was mistyped: no other cloud begins there.
func TestKeyWithoutCloud(t *testing.T) {
	t.Parallel()
	eachCloud(t, func(t *testing.T, cloud place) {
		first := harness.Start(t, harness.Options{})
		key := saveCloudKey(t, first)
		if cloud.server == nil {
			if err := os.Mkdir(cloud.dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		d := cloud.serve(t, harness.Options{Args: []string{"--key", key}})
		status, p := ask(t, http.MethodGet, d.URL+"/backups", "")
		if status != http.StatusInternalServerError || p.Code != cairn.CodeCloudNotFound || !strings.Contains(p.Hint, "leave --key (CAIRN_KEY) out") {
			t.Errorf("listing backups: %d %+v", status, p)
		}
		if entries, err := os.ReadDir(cloud.dir); len(entries) > 0 || err != nil && !os.IsNotExist(err) {
			t.Errorf("the place has %v, %v, want nothing", entries, err)
		}
		if entries, err := os.ReadDir(filepath.Join(d.Data, "keys")); len(entries) > 0 || err != nil {
			t.Errorf("the keys are %v, %v, want none", entries, err)
		}
	})
}

// TestCloudInCloud has a cloud begin at prefixes that are inside of another one.
func TestCloudInCloud(t *testing.T) {
	t.Parallel()
	s := s3server.Shared(t)
	outer := bucketOf(t, s)
	if err := outer.serve(t, harness.Options{}).Stop(); err != nil {
		t.Fatal(err)
	}
	for _, inner := range []string{"backups", "trash", "laptop", "laptop/deeper"} {
		url := strings.Replace(outer.url, s3Prefix, s3Prefix+"/"+inner, 1)
		env := append(s.Env(), "CAIRN_DATA="+t.TempDir())
		_, stderr, code := harness.Cairn(t, env, "serve", "--listen", "127.0.0.1:0", "--cloud", url)
		want := "cairn: " + url + " is inside of the cloud " + outer.url + "\nhint: choose a folder or prefix beside it\n"
		if code != 6 || !strings.HasSuffix(stderr, want) {
			t.Errorf("at %s it ends with %d, want 6, and says %q, want %q", url, code, stderr, want)
		}
	}
	entries, err := os.ReadDir(outer.dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "cairn.json" {
		t.Errorf("the outer cloud has %v, %v, want cairn.json", entries, err)
	}
}
