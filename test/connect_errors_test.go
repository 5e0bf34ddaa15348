package test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"cairn"
	"cairn/client"
	"cairn/test/harness"
)

// TestConnectErrors has a second device connect to a cloud on S3 with each thing that
// can be wrong: each is told by an error of its own, and what is used stays. Then it
// connects with the URL and a passphrase alone.
func TestConnectErrors(t *testing.T) {
	t.Parallel()
	cloud, other, empty := s3Cloud(t), s3Cloud(t), s3Cloud(t)
	passphrase := cairn.NewSecret("correct horse battery staple")
	make := func(p place) *client.Client {
		t.Helper()
		c := client.New(harness.Start(t, harness.Options{Env: p.env}).URL)
		if _, err := c.ConnectCloud(t.Context(), cairn.CloudRequest{URL: p.url, Create: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.AddPassphrase(t.Context(), passphrase); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := make(cloud)
	make(other)
	made, err := first.CreateBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d := harness.Start(t, harness.Options{Env: cloud.env})
	second := client.New(d.URL)
	before, err := second.Clouds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(d.Data, "keys", before[0].ID)) // that of its own cloud
	if err != nil {
		t.Fatal(err)
	}
	stranger := client.New(harness.Start(t, harness.Options{Env: append(cloud.env, "AWS_SECRET_ACCESS_KEY=wrong")}).URL)
	description := filepath.Join(cloud.dir, "cairn.json")
	own, foreign := readFile(t, description), readFile(t, filepath.Join(other.dir, "cairn.json"))
	seen := map[string]string{}
	for _, c := range []struct {
		what    string
		client  *client.Client
		request cairn.CloudRequest
		code    cairn.Code
		replace bool
	}{
		{"nothing that opens it", second, cairn.CloudRequest{URL: cloud.url}, cairn.CodeCloudLocked, false},
		{"a wrong passphrase", second, cairn.CloudRequest{URL: cloud.url, Passphrase: cairn.NewSecret("incorrect horse battery")}, cairn.CodePassphraseWrong, false},
		{"a wrong identity", second, cairn.CloudRequest{URL: cloud.url, Key: cairn.NewSecret(string(key))}, cairn.CodeKeyWrong, false},
		{"wrong credentials", stranger, cairn.CloudRequest{URL: cloud.url, Passphrase: passphrase}, cairn.CodeRefused, false},
		{"no cairn.json", second, cairn.CloudRequest{URL: empty.url, Passphrase: passphrase}, cairn.CodeCloudNotFound, false},
		{"another cloud's descriptor", second, cairn.CloudRequest{URL: cloud.url, Passphrase: passphrase}, cairn.CodeDamaged, true},
	} {
		if c.replace {
			write(t, description, foreign)
		}
		_, err := c.client.ConnectCloud(t.Context(), c.request)
		if c.replace {
			write(t, description, own)
		}
		e, ok := errors.AsType[*cairn.Error](err)
		if !ok || e.Code != c.code || e.Hint == "" {
			t.Errorf("%s: %v, want %s", c.what, err, c.code)
			continue
		}
		if was, ok := seen[e.Message]; ok {
			t.Errorf("%s is told as %s: %s", c.what, was, e.Message)
		}
		seen[e.Message] = c.what
	}
	if after, err := second.Clouds(t.Context()); err != nil || len(after) != 1 || after[0] != before[0] {
		t.Errorf("the clouds were %+v, and are %+v, %v", before, after, err)
	}
	if _, err := second.ConnectCloud(t.Context(), cairn.CloudRequest{URL: cloud.url, Passphrase: passphrase}); err != nil {
		t.Fatal(err)
	}
	list, err := second.Backups(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != made.ID || list[0].DeviceName != made.DeviceName || list[0].Platform != made.Platform {
		t.Errorf("the second device sees %+v, %v; want %+v", list, err, made)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
