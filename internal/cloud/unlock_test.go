package cloud_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"cairn"
	"cairn/internal/bucket/fault"
	"cairn/internal/cloud"
	"cairn/test/stores"
)

// TestUnlock has every combination of a supplied and a stored key, for a whole
// cairn.json and for some that are not.
func TestUnlock(t *testing.T) {
	b := stores.New(t)
	owner := newDevice(t, b)
	c := owner.open(t)
	right, wrong := c.Identity(), newKey(t)
	whole := get(t, b, "cairn.json")
	own := right.Recipient().String()
	recipient := bytes.Replace(whole, []byte(own), []byte(newKey(t).Recipient().String()), 1)
	mac := flipLast(whole)
	line, _, _ := bytes.Cut(recipient, []byte("\n"))
	sealedRecipient := sealed(t, c, "cairn.json", line) // as only the owner of the key could

	const ok = cairn.Code("")
	const locked, damaged, keyWrong = cairn.CodeCloudLocked, cairn.CodeDamaged, cairn.CodeKeyWrong
	for _, test := range []struct {
		name          string
		data          []byte
		given, stored *age.X25519Identity
		code          cairn.Code
		says          string
	}{
		{"whole", whole, nil, nil, locked, "its key is not on this device"},
		{"whole", whole, right, nil, ok, ""},
		{"whole", whole, nil, right, ok, ""},
		{"whole", whole, right, right, ok, ""},
		{"whole", whole, wrong, nil, keyWrong, "supplied is not the one"},
		{"whole", whole, nil, wrong, damaged, "names the public key " + fmt.Sprintf("%q", own)},
		{"whole", whole, wrong, wrong, damaged, "names the public key"},
		{"whole", whole, wrong, right, keyWrong, "supplied is not the one"},
		{"whole", whole, right, wrong, locked, "another key"},

		{"foreign recipient", recipient, nil, nil, locked, "cairn.json"},
		{"foreign recipient", recipient, right, nil, keyWrong, "cairn.json"},
		{"foreign recipient", recipient, nil, right, damaged, "cairn.json"},
		{"foreign recipient", recipient, right, right, damaged, "cairn.json"},
		{"foreign recipient", recipient, wrong, right, keyWrong, "cairn.json"},

		{"sealed foreign recipient", sealedRecipient, right, nil, keyWrong, "cairn.json"},
		{"sealed foreign recipient", sealedRecipient, nil, right, damaged, "cairn.json"},

		{"wrong MAC", mac, nil, nil, locked, "cairn.json"},
		{"wrong MAC", mac, right, nil, damaged, "cairn.json"},
		{"wrong MAC", mac, nil, right, damaged, "cairn.json"},
		{"wrong MAC", mac, right, right, damaged, "cairn.json"},
		{"wrong MAC", mac, wrong, nil, keyWrong, "cairn.json"},
		{"wrong MAC", mac, wrong, right, keyWrong, "cairn.json"},
		{"wrong MAC", mac, right, wrong, damaged, "cairn.json"},
	} {
		t.Run(fmt.Sprintf("%s, given %s, stored %s", test.name, nameOf(test.given, right), nameOf(test.stored, right)), func(t *testing.T) {
			d := newDevice(t, with(t, b, "cairn.json", test.data))
			d.Identity = test.given
			path := d.Keys.Path(c.ID())
			var before []byte
			if test.stored != nil {
				before = []byte("# by hand\n" + test.stored.String() + "\n")
				if err := os.WriteFile(path, before, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			opened, err := cloud.Open(t.Context(), d.Config)
			after, readErr := os.ReadFile(path)
			if test.code == ok {
				if err != nil {
					t.Fatalf("Open: %v", err)
				}
				if opened.Identity().String() != right.String() {
					t.Error("the cloud has another key")
				}
				if readErr != nil {
					t.Errorf("the key was not stored: %v", readErr)
				}
			} else {
				wantError(t, err, test.code, test.says, "mem://user:xxxxx@cloud")
			}
			if before != nil && !bytes.Equal(before, after) {
				t.Error("the stored key was overwritten")
			}
			if before == nil && test.code != ok && readErr == nil {
				t.Error("a key was stored that did not open the cloud")
			}
			checkNoSecrets(t, d, err, right, wrong)
		})
	}
}

// nameOf says which key it is.
func nameOf(key, right *age.X25519Identity) string {
	switch key {
	case nil:
		return "none"
	case right:
		return "right"
	}
	return "wrong"
}

// checkNoSecrets looks for keys and passwords in all that a device says.
func checkNoSecrets(t *testing.T, d *device, err error, keys ...*age.X25519Identity) {
	t.Helper()
	text := d.log.String() + fmt.Sprintf("%v %+v %#v %v", d.Config, d.Config, d.Config, &d.Config)
	if err != nil {
		e, _ := err.(*cairn.Error)
		text += fmt.Sprintf("%v %+v %#v %s", err, err, err, e.Hint)
	}
	for _, key := range keys {
		if strings.Contains(text, key.String()[16:]) {
			t.Errorf("a key is in %q", text)
		}
	}
	if strings.Contains(text, "hunter2") {
		t.Errorf("a password is in %q", text)
	}
}

func TestNothingPrintsTheKey(t *testing.T) {
	d := newDevice(t, stores.New(t))
	d.Identity = newKey(t)
	c := d.open(t)
	d.Config.Log.Info("all", "config", d.Config, "cloud", c)
	checkNoSecrets(t, d, nil, d.Identity)
	if text := fmt.Sprintf("%v %+v %#v %s", c, c, c, c); strings.Contains(text, "seal") || !strings.Contains(text, c.ID()) {
		t.Errorf("a cloud prints as %q", text)
	}
}

// TestUnlockWithADamagedKeyFile has a file that holds no key.
func TestUnlockWithADamagedKeyFile(t *testing.T) {
	d := newDevice(t, stores.New(t))
	c := d.open(t)
	path := d.Keys.Path(c.ID())
	torn := []byte(c.Identity().String()[:40])
	if err := os.WriteFile(path, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, given := range []*age.X25519Identity{nil, c.Identity()} {
		d.Identity = given
		_, err := cloud.Open(t.Context(), d.Config)
		wantError(t, err, cairn.CodeCloudLocked, path)
		checkNoSecrets(t, d, err, c.Identity())
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, torn) {
		t.Errorf("the key file is %q now (%v)", after, err)
	}
}

// TestUnlockKnown has an id that is not the one which was there before.
func TestUnlockKnown(t *testing.T) {
	b := stores.New(t)
	d := newDevice(t, b)
	c := d.open(t)
	d.Known = c.ID()
	d.open(t)

	whole := get(t, b, "cairn.json")
	replace(t, b, "cairn.json", bytes.Replace(whole, []byte(`"id":"`+c.ID()[:1]), []byte(`"id":"`+flip(c.ID()[:1])), 1))
	_, err := cloud.Open(t.Context(), d.Config)
	wantError(t, err, cairn.CodeDamaged, "cairn.json")

	other := newDevice(t, stores.New(t))
	foreign := other.open(t)
	d.Bucket = other.Bucket
	_, err = cloud.Open(t.Context(), d.Config)
	wantError(t, err, cairn.CodeCloudLocked, c.ID(), foreign.ID())

	other = newDevice(t, stores.New(t))
	other.Identity = c.Identity()
	second := other.open(t)
	d.Bucket = other.Bucket
	if got := d.open(t); got.ID() != second.ID() {
		t.Errorf("opened %s, want %s", got.ID(), second.ID())
	}
	if !strings.Contains(d.log.String(), "another cloud is there than before") {
		t.Error("nothing was logged about the other cloud")
	}
}

func TestKeysFolderThatCannotBeUsed(t *testing.T) {
	b := stores.New(t)
	d := newDevice(t, b)
	d.Keys.Dir += "/file"
	if err := os.WriteFile(d.Keys.Dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := cloud.Open(t.Context(), d.Config)
	if cairn.CodeOf(err) != cairn.CodeInternal || !strings.Contains(err.Error(), d.Keys.Dir) {
		t.Errorf("Open: %v", err)
	}
	if got := names(t, b); len(got) != 0 {
		t.Errorf("the bucket has %q, whose key is nowhere", got)
	}
}

// TestUnlockTwice opens a cloud with a passphrase while another one does the same on
// this device: both have the key.
func TestUnlockTwice(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	add(t, c, newPhrase)
	var d *device
	var once sync.Once
	d = newDevice(t, fault.New(b, func(call fault.Call) fault.Outcome {
		if call.Op == fault.Get && strings.HasPrefix(call.Name, "keys/") {
			once.Do(func() {
				if err := d.Keys.Save(c.ID(), c.Identity()); err != nil {
					t.Error(err)
				}
			})
		}
		return fault.Outcome{}
	}))
	d.Passphrase = newPhrase
	if got := d.open(t).ID(); got != c.ID() {
		t.Errorf("it is %s, want %s", got, c.ID())
	}
}
