package test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cairn"
	"cairn/test/emulator"
	"cairn/test/harness"
)

// otherStores are places in the stores of Google and Azure, by their kinds.
func otherStores(t *testing.T) map[string]place {
	t.Helper()
	google, azure := emulator.GCS(t), emulator.Azure(t)
	return map[string]place{
		"Google": {url: fmt.Sprintf("gs://%s/%s?endpoint=%s", google.Bucket(), s3Prefix, google.URL), env: variables(google.Env())},
		"Azure": {
			url: fmt.Sprintf("azblob://%s/%s?endpoint=%s&storage_account=%s", azure.Bucket(), s3Prefix, azure.URL, emulator.Account),
			env: variables(azure.Env()),
		},
	}
}

// variables returns an environment as a program gets it.
func variables(env map[string]string) (all []string) {
	for name, value := range env {
		all = append(all, name+"="+value)
	}
	return all
}

// TestOtherStores makes a backup in each and restores it on another device.
func TestOtherStores(t *testing.T) {
	t.Parallel()
	for name, cloud := range otherStores(t) {
		t.Run(name, func(t *testing.T) {
			d := cloud.serve(t, harness.Options{})
			storeDocuments(t, d, oddAsset("kept", `"text"`, ""))
			succeed(t, d.Env(), "backup", "create")
			key := filepath.Join(t.TempDir(), "key.txt")
			write(t, key, succeed(t, d.Env(), "cloud", "key"))
			status := succeed(t, d.Env(), "status")
			if !strings.Contains(status, cloud.url) {
				t.Errorf("cairn status does not name %s:\n%s", cloud.url, status)
			}

			other := cloud.serve(t, harness.Options{Args: []string{"--key", key}})
			id, _, _ := strings.Cut(succeed(t, other.Env(), "backup", "list", "--json"), "\n")
			_, id, _ = strings.Cut(id, `"id":"`)
			id, _, _ = strings.Cut(id, `"`)
			succeed(t, other.Env(), "backup", "restore", id)
			if got := succeed(t, other.Env(), "assets", "list"); !strings.Contains(got, "kept") {
				t.Errorf("after the restoration there are the assets:\n%s", got)
			}
			succeed(t, other.Env(), "backup", "verify", "--read-data", id)
			succeed(t, other.Env(), "backup", "delete", id)
			succeed(t, other.Env(), "cloud", "prune")
		})
	}
}

// succeed runs a command, and returns what it prints.
func succeed(t *testing.T, env []string, args ...string) string {
	t.Helper()
	stdout, stderr, code := harness.Cairn(t, env, args...)
	if code != 0 {
		t.Fatalf("cairn %s exits with %d:\n%s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// TestOtherStoresErrors has a person meet what can be wrong with them.
func TestOtherStoresErrors(t *testing.T) {
	t.Parallel()
	stores := otherStores(t)
	with := func(kind string, env ...string) place {
		cloud := stores[kind]
		cloud.env = slices.Concat(cloud.env, env) // the last one counts
		return cloud
	}
	for name, c := range map[string]struct {
		cloud  place
		status int
		code   cairn.Code
		hint   string
	}{
		"no credentials, Google": {
			with("Google", "GOOGLE_APPLICATION_CREDENTIALS="+filepath.Join(t.TempDir(), "none")), 511, cairn.CodeNoCredentials, "gcloud",
		},
		"no credentials, Azure": {with("Azure", "AZURE_STORAGE_KEY=?"), 511, cairn.CodeNoCredentials, "AZURE_STORAGE_KEY"},
		"refused, Azure": {
			with("Azure", "AZURE_STORAGE_KEY=", "AZURE_STORAGE_SAS_TOKEN=sig=wrong"), 511, cairn.CodeRefused, "AZURE_STORAGE_KEY",
		},
		"no bucket, Google": {
			place{url: strings.Replace(stores["Google"].url, "gs://", "gs://no-", 1), env: stores["Google"].env}, 500, cairn.CodeBucketMissing, "cairn makes no buckets",
		},
		"no container, Azure": {
			place{url: strings.Replace(stores["Azure"].url, "azblob://", "azblob://no-", 1), env: stores["Azure"].env}, 500, cairn.CodeBucketMissing, "cairn makes no containers",
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := harness.NewValidator(t, c.cloud.serve(t, harness.Options{}).URL)
			status, p := ask(t, http.MethodPost, v.URL+"/backups/create", "{}")
			if status != c.status || p.Code != c.code || !strings.Contains(p.Hint, c.hint) || !strings.Contains(p.Detail, c.cloud.url) {
				t.Errorf("creating a backup: %d %+v, want %d %s and the hint %q", status, p, c.status, c.code, c.hint)
			}
		})
	}
}
