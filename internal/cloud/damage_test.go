package cloud_test

import (
	"bytes"
	"fmt"
	"testing"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/cloud"
	"cairn/test/stores"
)

// damages returns what can become of an object's bytes: each byte changed by
// each of the masks, cut off and grown.
func damages(whole []byte, masks ...byte) map[string][]byte {
	all := map[string][]byte{
		"empty":          {},
		"without end":    whole[:len(whole)-1],
		"half":           whole[:len(whole)/2],
		"with a newline": append(bytes.Clone(whole), '\n'),
		"twice":          append(bytes.Clone(whole), whole...),
		"huge":           append(bytes.Clone(whole), make([]byte, 5<<20)...),
	}
	for i := range whole {
		for _, mask := range masks {
			flipped := bytes.Clone(whole)
			flipped[i] ^= mask
			all[fmt.Sprintf("byte %d ^ %#x", i, mask)] = flipped
		}
	}
	return all
}

// TestDamagedDescription has a damaged cairn.json on a device that knows the
// cloud, on one that has the key only, and under an open cloud.
func TestDamagedDescription(t *testing.T) {
	b := stores.New(t)
	owner := newDevice(t, b)
	c := owner.open(t)
	knows := newDevice(t, b)
	knows.Keys, knows.Known = owner.Keys, c.ID()
	guest := newDevice(t, b)
	guest.Identity = c.Identity()

	for name, data := range damages(get(t, b, "cairn.json"), 0x01, 0x20, 0xff) {
		replace(t, b, "cairn.json", data)
		for _, d := range []*device{owner, knows, guest} {
			_, err := cloud.Open(t.Context(), d.Config)
			checkNamed(t, name, err, "cairn.json")
		}
		checkNamed(t, name, c.Check(t.Context()), "cairn.json")
	}
	if got := owner.keyFiles(t); len(got) != 1 {
		t.Errorf("the owner has the key files %q", got)
	}
	if got := guest.keyFiles(t); len(got) != 0 {
		t.Errorf("the guest has the key files %q", got)
	}
}

// checkNamed checks that an error names the object and is of a code for damage.
func checkNamed(t *testing.T, what string, err error, object string) {
	t.Helper()
	code := cairn.CodeOf(err)
	switch code {
	case cairn.CodeDamaged, cairn.CodeFormatTooNew:
	case cairn.CodeCloudLocked, cairn.CodeKeyWrong, cairn.CodeBucketMissing: // the id or the recipient is another one
		if object != "cairn.json" {
			t.Errorf("%s: %v", what, err)
		}
	default:
		t.Errorf("%s: got %v of code %q", what, err, code)
		return
	}
	if fault := faultOf(err, code, object); fault != nil {
		t.Errorf("%s: %v", what, fault)
	}
}

func TestDamagedManifest(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	whole, damaged := commit(t, c, 1), commit(t, c, 2)
	name := objectOf(damaged.ID)
	for what, data := range damages(get(t, b, name), 0x01) {
		replace(t, b, name, data)
		_, err := c.Manifest(t.Context(), damaged.ID)
		if fault := faultOf(err, cairn.CodeDamaged, name); fault != nil {
			t.Errorf("%s: %v", what, fault)
		}
	}
	// The others are listed, and this one is named and can be deleted.
	checkList(t, c, []cairn.Backup{whole}, map[string]cairn.Code{name: cairn.CodeDamaged})
	if err := c.Delete(t.Context(), damaged.ID); err != nil {
		t.Errorf("Delete: %v", err)
	}
	checkList(t, c, []cairn.Backup{whole}, nil)
}

// checkList compares what Backups returns.
func checkList(t *testing.T, c *cloud.Cloud, want []cairn.Backup, unreadable map[string]cairn.Code) {
	t.Helper()
	list, bad, err := c.Backups(t.Context())
	if err != nil {
		t.Errorf("Backups: %v", err)
		return
	}
	newestFirst(want)
	if len(list) != len(want) {
		t.Errorf("got %d backups, want %d", len(list), len(want))
	}
	for i := range min(len(list), len(want)) {
		if list[i] != want[i] {
			t.Errorf("backup %d is\n%+v, want\n%+v", i, list[i], want[i])
		}
	}
	if len(bad) != len(unreadable) {
		t.Errorf("got %d unreadable objects, want %d", len(bad), len(unreadable))
	}
	for _, u := range bad {
		if fault := faultOf(u.Problem, unreadable[u.Name], u.Name); fault != nil {
			t.Errorf("%s: %v", u.Name, fault)
		}
	}
}

// TestManifestInTheWrongPlace has whole manifests that are not the ones which
// belong where they are.
func TestManifestInTheWrongPlace(t *testing.T) {
	key := newKey(t)
	clouds := [2]*cloud.Cloud{}
	buckets := [2]bucket.Bucket{stores.New(t), stores.New(t)}
	for i := range clouds {
		d := newDevice(t, buckets[i])
		d.Identity = key
		clouds[i] = d.open(t)
	}
	first, second := commit(t, clouds[0], 1), commit(t, clouds[0], 2)
	commit(t, clouds[1], 1)
	foreign := newDevice(t, stores.New(t)).open(t)
	for _, test := range []struct {
		name string
		data []byte
	}{
		{"renamed", get(t, buckets[0], objectOf(second.ID))},
		{"of another cloud with the same key", get(t, buckets[1], objectOf(first.ID))},
		{"not encrypted", sealed(t, clouds[0], first.ID, manifestText(t, clouds[0], 1))},
		{"of another key", encrypt(t, foreign.Recipient(), sealed(t, clouds[0], first.ID, manifestText(t, clouds[0], 1)))},
		{"of another key, but encrypted for this", encrypt(t, clouds[0].Recipient(), sealed(t, foreign, first.ID, manifestText(t, clouds[0], 1)))},
		{"without MAC", encrypt(t, clouds[0].Recipient(), manifestText(t, clouds[0], 1))},
		{"with a line beside", encrypt(t, clouds[0].Recipient(), append(sealed(t, clouds[0], first.ID, manifestText(t, clouds[0], 1)), "x\n"...))},
		{"cairn.json", encrypt(t, clouds[0].Recipient(), get(t, buckets[0], "cairn.json"))},
	} {
		replace(t, buckets[0], objectOf(first.ID), test.data)
		_, err := clouds[0].Manifest(t.Context(), first.ID)
		if fault := faultOf(err, cairn.CodeDamaged, objectOf(first.ID)); fault != nil {
			t.Errorf("%s: %v", test.name, fault)
		}
	}
	replace(t, buckets[0], objectOf(first.ID), encrypt(t, clouds[0].Recipient(), sealed(t, clouds[0], first.ID, manifestText(t, clouds[0], 1))))
	if _, err := clouds[0].Manifest(t.Context(), first.ID); err != nil {
		t.Errorf("what the test writes cannot be read even when it is right: %v", err)
	}
}

// TestNewerManifest checks that a newer format is told only where it is
// authentic, and then before anything else is looked at.
func TestNewerManifest(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	whole, newer := commit(t, c, 1), commit(t, c, 2)
	name := objectOf(newer.ID)

	line := []byte(`{"format":2,"wholly":["different"]}`)
	replace(t, b, name, encrypt(t, c.Recipient(), sealed(t, c, newer.ID, line)))
	_, err := c.Manifest(t.Context(), newer.ID)
	wantError(t, err, cairn.CodeFormatTooNew, name)
	checkList(t, c, []cairn.Backup{whole}, map[string]cairn.Code{name: cairn.CodeFormatTooNew})

	forged := flipLast(sealed(t, c, newer.ID, line))
	replace(t, b, name, encrypt(t, c.Recipient(), forged))
	_, err = c.Manifest(t.Context(), newer.ID)
	wantError(t, err, cairn.CodeDamaged, name)
}
