package test

import (
	"fmt"
	"strings"
	"testing"

	"cairn/client"
	"cairn/test/harness"
	"cairn/test/s3server"
)

// TestRequests pins what the work costs that is done most often: stores ask
// money for each request, and each takes a while.
func TestRequests(t *testing.T) {
	t.Parallel()
	s := s3server.Shared(t)
	front := s3server.NewFront(t, s, nil)
	cloud := harness.Options{Args: []string{"--cloud", s3URL(front.URL, s.Bucket(t))}, Env: s.Env()}
	var ids []string
	d, c := (*harness.Daemon)(nil), (*client.Client)(nil)
	start := func() error {
		d = harness.Start(t, cloud)
		cloud.Data = d.Data
		c = client.New(d.URL)
		return nil
	}
	create := func() error {
		b, err := c.CreateBackup(t.Context())
		ids = append(ids, b.ID)
		return err
	}
	list := func() error {
		backups, err := c.Backups(t.Context())
		if err == nil && len(backups) != len(ids) {
			err = fmt.Errorf("%d backups are listed, want %d", len(backups), len(ids))
		}
		return err
	}
	restore := func() error { _, err := c.RestoreBackup(t.Context(), ids[0]); return err }
	remove := func() error {
		last := len(ids) - 1
		err := c.DeleteBackup(t.Context(), ids[last])
		ids = ids[:last]
		return err
	}
	for _, step := range []struct {
		name string
		do   func() error
		want string // without the prefix; ... for what is random
	}{
		// Looking for a cloud, finding nothing, here and in what the prefix is
		// below, and making one: whether the store keeps what is there is found
		// out with its first object, and whoever makes a cloud looks whether
		// another device was faster.
		{"the first start", start,
			"get cairn.json, list , list , get some/..., get cairn.json, head cairn.json, put cairn.json, put cairn.json, get cairn.json"},
		{"a first backup", func() error { storeDocuments(t, d, oddAsset("a", `"text"`, "")); return create() },
			"get cairn.json, put parts/..., get cairn.json, put backups/..."},
		{"the list, right after", list, "list backups/"},
		{"another backup", func() error { storeDocuments(t, d, oddAsset("b", `"text"`, "")); return create() },
			"put parts/..., head backups/..., put backups/..."},
		{"another one of the same", create, "head backups/..., put backups/..."},
		{"the list", list, "list backups/"},
		{"a restoration", restore, "get cairn.json, get backups/..., get parts/..."},
		{"a deletion", remove, "get backups/..., put trash/..., delete backups/..., put trash/..."},
		{"stopping", func() error { return d.Stop() }, ""},
		{"a start", start, "get cairn.json"},
		{"the list, from what is remembered", list, "list backups/"},
		{"the first backup after a start", func() error { storeDocuments(t, d, oddAsset("c", `"text"`, "")); return create() },
			"head parts/..., put parts/..., put parts/..., head backups/..., put backups/..."},
		{"another device's list", func() error {
			key := saveCloudKey(t, d)
			if err := d.Stop(); err != nil {
				return err
			}
			cloud.Data, cloud.Args = "", append(cloud.Args, "--key", key)
			if err := start(); err != nil {
				return err
			}
			front.Reset()
			return list()
		}, "list backups/, get backups/..., get backups/..., get backups/..."},
	} {
		front.Reset()
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		var got []string
		for _, r := range front.Requests() {
			key := strings.TrimPrefix(r.Key, s3Prefix+"/")
			if folder, rest, ok := strings.Cut(key, "/"); ok && rest != "" {
				key = folder + "/..."
			}
			got = append(got, r.Op+" "+key)
		}
		if got := strings.Join(got, ", "); got != step.want {
			t.Errorf("%s took %q, want %q", step.name, got, step.want)
		}
	}
}
