package device_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
)

// TestCurrentCloud keeps which cloud is used across starts.
func TestCurrentCloud(t *testing.T) {
	dir := t.TempDir()
	d, _ := open(t, config(dir, "m1"))
	if got := d.CurrentCloud(); got != (cairn.CurrentCloud{}) {
		t.Errorf("at first it is %+v", got)
	}
	for _, want := range []cairn.CurrentCloud{
		{Place: "s3://b/p?region=r", Disconnected: "s3://b/p"}, {Place: "data:cloud"}, {Disconnected: "data:cloud"}, {},
	} {
		if err := d.SetCurrentCloud(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		before := d.CurrentCloud()
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		d, _ = open(t, config(dir, "m1"))
		if got := d.CurrentCloud(); got != want || before != want {
			t.Errorf("it is %+v, then %+v, want %+v", before, got, want)
		}
	}
	// A change that cannot be stored is none.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.SetCurrentCloud(ctx, cairn.CurrentCloud{Place: "x"}); !errors.Is(err, context.Canceled) || d.CurrentCloud().Place != "" {
		t.Errorf("cancelled: %v, %+v", err, d.CurrentCloud())
	}
}

// TestKnownClouds lists what was seen at each place, with what else is known of it.
func TestKnownClouds(t *testing.T) {
	dir := t.TempDir()
	d, _ := open(t, config(dir, "m1"))
	known := func() []cairn.KnownCloud {
		t.Helper()
		list, err := d.KnownClouds(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, k := range list {
			for _, at := range []*time.Time{&list[i].Seen, &list[i].Kit} {
				if age := time.Since(*at); !at.IsZero() && (age < 0 || age > time.Hour) {
					t.Errorf("%s has a time that is %s ago", k.Place, age)
				}
			}
		}
		return list
	}
	if list := known(); len(list) > 0 {
		t.Errorf("at first there are %+v", list)
	}
	query(t, dir, `INSERT INTO clouds (url, cloud) VALUES ('s3://old/p', 'c0')`) // as older builds wrote it
	for _, s := range [][3]string{{"s3://b/p", "s3://b/p?region=r", "c1"}, {"data:cloud", "file:///d/cloud", "c2"}, {"s3://b/p", "s3://b/p?region=q", "c3"}} {
		if err := d.SetKnownCloud(t.Context(), s[0], s[1], s[2]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(d.CountBackup(t.Context(), "c3"), d.AcknowledgeKit(t.Context(), "c2"), d.AcknowledgeKit(t.Context(), "c2")); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d, _ = open(t, config(dir, "m1"))
	list := known()
	if seen, kit := [3]bool{}, [3]bool{}; len(list) == 3 {
		for i := range list {
			seen[i], kit[i] = !list[i].Seen.IsZero(), !list[i].Kit.IsZero()
			list[i].Seen, list[i].Kit = time.Time{}, time.Time{}
		}
		if seen != [3]bool{true, true, false} || kit != [3]bool{true, false, false} {
			t.Errorf("seen %v, kits %v", seen, kit)
		}
	}
	if diff := cmp.Diff([]cairn.KnownCloud{
		{Place: "data:cloud", URL: "file:///d/cloud", ID: "c2"},
		{Place: "s3://b/p", URL: "s3://b/p?region=q", ID: "c3", Made: 1},
		{Place: "s3://old/p", ID: "c0"},
	}, list); diff != "" {
		t.Errorf("the clouds (-want +got):\n%s", diff)
	}
	for _, cloud := range []string{"c1", "c2", "c3"} {
		at, err := d.KitAcknowledged(t.Context(), cloud)
		if err != nil || at.IsZero() == (cloud == "c2") {
			t.Errorf("the kit of %s: %v, %v", cloud, at, err)
		}
	}
	// A copy on another machine has made none.
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d, _ = open(t, config(dir, "m2"))
	if list := known(); slices.ContainsFunc(list, func(k cairn.KnownCloud) bool { return k.Made > 0 }) || len(list) != 3 {
		t.Errorf("a copy has %+v", list)
	}
}
