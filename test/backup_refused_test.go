package test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"cairn/test/harness"
)

// TestSDKRefused runs the SDK on daemons that cannot use their cloud: each operation
// that declares 511 and 505 answers so, and neither the documents nor the cloud is
// changed.
func TestSDKRefused(t *testing.T) {
	t.Parallel()
	sdk := installSDK(t)
	post := func(path string) func(*testing.T, *harness.Daemon) {
		return func(t *testing.T, d *harness.Daemon) {
			resp, err := http.Post(d.URL+path, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close() // nothing of it is read
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", path, resp.Status)
			}
		}
	}
	for name, c := range map[string]struct {
		own            bool // the daemon has the key, as it made the cloud
		env            []string
		spoil          func(t *testing.T, cloud place)
		then           func(*testing.T, *harness.Daemon)
		status         string
		code, hint     string
		signedIn       string
		onS3, onFolder bool
	}{
		"locked":       {status: "511", code: "cloud_locked", hint: "key", signedIn: "true", onS3: true, onFolder: true},
		"signed out":   {own: true, then: post("/os/sign_out"), status: "511", code: "signed_out", hint: "Sign in", signedIn: "false", onS3: true, onFolder: true},
		"disconnected": {own: true, then: post("/allocations/disconnect"), status: "511", code: "no_cloud", hint: "cairn cloud connect", signedIn: "true", onS3: true, onFolder: true},
		"refused": {
			own: true, env: []string{"AWS_SECRET_ACCESS_KEY=wrong"}, status: "511", code: "credentials_refused", hint: "AWS_SECRET_ACCESS_KEY", signedIn: "true", onS3: true,
		},
		"newer": {own: true, spoil: newerCloud, status: "505", code: "format_too_new", hint: "Update cairn", signedIn: "true", onFolder: true},
	} {
		run := func(t *testing.T, cloud place) {
			t.Parallel()
			maker := cloud.serve(t, harness.Options{})
			if err := maker.Stop(); err != nil {
				t.Fatal(err)
			}
			if c.spoil != nil {
				c.spoil(t, cloud)
			}
			before := snapshot(t, cloud.dir)
			o := harness.Options{Env: c.env}
			if c.own {
				o.Data = maker.Data
			}
			d := cloud.serve(t, o)
			if c.then != nil {
				c.then(t, d)
			}
			v := harness.NewValidator(t, d.URL)
			env := []string{"WANT_STATUS=" + c.status, "WANT_CODE=" + c.code, "WANT_HINT=" + c.hint, "WANT_USER=" + c.signedIn}
			if err := nodeTest(t, filepath.Join(sdk, "backup_refused.mjs"), v.URL, env...); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(before, snapshot(t, cloud.dir)); diff != "" || len(before) != 1 {
				t.Errorf("the cloud held %d objects and was changed (-before +after):\n%s", len(before), diff)
			}
		}
		t.Run(name, func(t *testing.T) {
			if c.onFolder {
				t.Run("folder", func(t *testing.T) { run(t, folderCloud(t)) })
			}
			if c.onS3 {
				t.Run("S3", func(t *testing.T) { run(t, s3Cloud(t)) })
			}
		})
	}
}

// newerCloud has a cloud be of a format that this build does not know.
func newerCloud(t *testing.T, cloud place) {
	t.Helper()
	path := filepath.Join(cloud.dir, "cairn.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(string(text), `"format":1`, `"format":2`, 1)
	if newer == string(text) {
		t.Fatalf("cairn.json has no format: %s", text)
	}
	if err := os.WriteFile(path, []byte(newer), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSDKNewerBackup runs the SDK on a cloud that holds a backup of a format that
// this build does not know, made as docs/format.md has it.
func TestSDKNewerBackup(t *testing.T) {
	t.Parallel()
	sdk := installSDK(t)
	cloud := folderCloud(t)
	d := cloud.serve(t, harness.Options{})
	const id = "0.9.0_20300101T000000.123456789Z"
	object := newerManifest(t, d.Data, id)
	write(t, filepath.Join(cloud.dir, "backups", id+".json.age"), object)
	v := harness.NewValidator(t, d.URL)
	if err := nodeTest(t, filepath.Join(sdk, "backup_newer.mjs"), v.URL, "WANT_BACKUP="+id); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(filepath.Join(cloud.dir, "backups", id+".json.age")); err != nil || string(text) != object {
		t.Errorf("the newer backup was changed: %v", err)
	}
}

// newerManifest returns a manifest of a newer format, sealed with the only key in a
// data folder.
func newerManifest(t *testing.T, data, id string) string {
	t.Helper()
	files := allFiles(t, filepath.Join(data, "keys"))
	if len(files) != 1 {
		t.Fatalf("the keys are %q", files)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	identity := identities[0].(*age.X25519Identity)
	cloud := filepath.Base(files[0])
	key, err := hkdf.Key(sha256.New, []byte(identity.String()), []byte(cloud), "cairn manifest v1", sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	const line = `{"format":2,"wholly":["different"]}`
	mac := hmac.New(sha256.New, key)
	io.WriteString(mac, cloud+"\n"+id+"\n"+line)
	var object bytes.Buffer
	w, err := age.Encrypt(&object, identity.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(w, "%s\n%x\n", line, mac.Sum(nil))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return object.String()
}
