package cloud_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/cloud"
	"cairn/internal/segment"
	"cairn/test/stores"
)

// TestStock counts what is listed, and what of it is not taken.
func TestStock(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	part, index := c.PartName(), c.IndexName()
	twin := "indexes/" + strings.TrimPrefix(part, "parts/") // of the same digits
	for name, size := range map[string]int{
		part: 10, index: 200, twin: 3000,
		"parts/aa/foreign": 1, "parts/zz/" + part[len("parts/xx/"):]: 1, "indexes/readme.txt": 1, "trash/readme.txt": 1, // no names of ours
		"trash/0.1.0_20261123T072541.123456789Z." + strings.Repeat("0", 32): 1, "elsewhere": 1,
	} {
		put(t, b, name, make([]byte, size))
	}
	s, err := c.Stock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	check := func(objects, bytes int64) {
		t.Helper()
		if s.Objects != objects || s.Bytes != bytes || s.Foreign != 4 {
			t.Errorf("there are %d objects of %d bytes, and %d foreign ones, want %d of %d and 4", s.Objects, s.Bytes, s.Foreign, objects, bytes)
		}
	}
	check(3, 3210)
	for range 2 {
		if size, listed := s.Take(index); size != 200 || !listed {
			t.Errorf("the index has %d bytes, %t", size, listed)
		}
		check(2, 3010)
	}
	if size, listed := s.Take(part); size != 10 || !listed {
		t.Errorf("the part has %d bytes, %t", size, listed)
	}
	if _, listed := s.Take(c.PartName()); listed {
		t.Error("a part that is not there is listed")
	}
	check(1, 3000)
}

// TestPresent looks at one object.
func TestPresent(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	name := c.PartName()
	o := segment.Object{Name: name, Size: 4}
	wantError(t, c.Present(t.Context(), o), cairn.CodeDamaged, name, "it is missing")
	put(t, b, name, []byte("text"))
	if err := c.Present(t.Context(), o); err != nil {
		t.Error(err)
	}
	o.Size = 5
	wantError(t, c.Present(t.Context(), o), cairn.CodeDamaged, name, "it has 4 bytes instead of 5")
}

// TestReadManifests reads all of them, however much is in the cache, and names those
// that cannot be used.
func TestReadManifests(t *testing.T) {
	b := stores.New(t)
	d := newDevice(t, b)
	d.Cache = &cache{}
	c := d.open(t)
	var want []string
	for i := range 3 {
		want = append(want, commit(t, c, i).ID)
	}
	replace(t, b, objectOf(want[1]), []byte("damaged"))
	put(t, b, "backups/readme.txt", []byte("foreign"))
	var ids []string
	unreadable, err := c.ReadManifests(t.Context(), []string{"0.1.0_20261123T072541.123456789Z"}, func(m cloud.Manifest) {
		if len(m.Segments) != 1 {
			t.Errorf("%s has the segments %v", m.ID, m.Segments)
		}
		ids = append(ids, m.ID)
	})
	slices.Sort(ids)
	if err != nil || !slices.Equal(ids, []string{want[0], want[2]}) {
		t.Errorf("read were %v, %v, want the first and the last of %v", ids, err, want)
	}
	if len(unreadable) != 2 || unreadable[0].Name != objectOf(want[1]) || unreadable[1].Name != "backups/readme.txt" {
		t.Errorf("unreadable are %v", unreadable)
	}
	for _, id := range append(want, "no backup", "0.1.0_20261123T072541.123456789Z") {
		there, err := c.Has(t.Context(), id)
		if err != nil || there != slices.Contains(want, id) {
			t.Errorf("it has %s: %t, %v", id, there, err)
		}
	}
}

// TestCheckFailures has each question fail: nothing is taken for damage.
func TestCheckFailures(t *testing.T) {
	store := stores.New(t)
	c := newDevice(t, store).open(t)
	id := commit(t, c, 0).ID
	d := newDevice(t, fault.New(store, func(call fault.Call) fault.Outcome {
		if call.Name == "cairn.json" {
			return fault.Outcome{}
		}
		return fault.Outcome{Effect: fault.Lost, Err: bucket.ErrUnreachable}
	}))
	d.Identity = c.Identity()
	c = d.open(t)
	_, stock := c.Stock(t.Context())
	_, manifests := c.ReadManifests(t.Context(), nil, func(cloud.Manifest) {})
	_, has := c.Has(t.Context(), id)
	present := c.Present(t.Context(), segment.Object{Name: c.PartName()})
	for name, err := range map[string]error{"Stock": stock, "ReadManifests": manifests, "Has": has, "Present": present} {
		if cairn.CodeOf(err) != cairn.CodeCloudLost || !errors.Is(err, bucket.ErrUnreachable) {
			t.Errorf("%s returned %v", name, err)
		}
	}
}
