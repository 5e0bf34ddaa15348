package cloud_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/bucket/memory"
	"cairn/internal/cloud"
	"cairn/internal/keys"
	"cairn/test/stores"
)

// Passphrases of the tests.
var (
	oldPhrase   = cloud.NewPassphrase("the old passphrase")
	newPhrase   = cloud.NewPassphrase("a new passphrase, longer")
	wrongPhrase = cloud.NewPassphrase("one that opens nothing")
)

// add adds a passphrase, which must work.
func add(t *testing.T, c *cloud.Cloud, p cloud.Passphrase) cloud.Slot {
	t.Helper()
	slot, err := c.AddPassphrase(t.Context(), p)
	if err != nil {
		t.Fatalf("AddPassphrase: %v", err)
	}
	return slot
}

// slotsOf returns the slots of a cloud.
func slotsOf(t *testing.T, c *cloud.Cloud) []cloud.Slot {
	t.Helper()
	slots, err := c.Slots(t.Context())
	if err != nil {
		t.Fatalf("Slots: %v", err)
	}
	return slots
}

// unlock opens a cloud on a new device with a passphrase alone.
func unlock(t *testing.T, b bucket.Bucket, p cloud.Passphrase) (*cloud.Cloud, *device, error) {
	t.Helper()
	d := newDevice(t, b)
	d.Passphrase = p
	c, err := cloud.Open(t.Context(), d.Config)
	checkNoSecrets(t, d, err)
	if text := d.log.String() + fmt.Sprint(err); p.Reveal() != "" && strings.Contains(text, p.Reveal()) {
		t.Errorf("the passphrase is in %s", text)
	}
	return c, d, err
}

// wrap returns what age makes of a text with a passphrase.
func wrap(t *testing.T, p string, workFactor int, text []byte) []byte {
	t.Helper()
	r, err := age.NewScryptRecipient(p)
	if err != nil {
		t.Fatal(err)
	}
	r.SetWorkFactor(workFactor)
	return encrypt(t, r, text)
}

// decryptSlot decrypts a slot as age -d does.
func decryptSlot(t *testing.T, p string, object []byte) []byte {
	t.Helper()
	id, err := age.NewScryptIdentity(p)
	if err != nil {
		t.Fatal(err)
	}
	return decrypt(t, id, object)
}

// slotName returns the i-th name of a slot.
func slotName(i int) string { return fmt.Sprintf("keys/%032x.age", i) }

func TestPassphraseOpensACloud(t *testing.T) {
	b := stores.New(t)
	owner := newDevice(t, b)
	c := owner.open(t)
	if _, _, err := unlock(t, b, oldPhrase); err == nil {
		t.Error("a cloud without a passphrase opens")
	} else {
		wantError(t, err, cairn.CodeCloudLocked, "has no passphrase")
	}
	before := content(t, b)
	slot := add(t, c, oldPhrase)
	if !regexp.MustCompile(`^keys/[0-9a-f]{32}\.age$`).MatchString(slot.Name) || slot.Created.IsZero() {
		t.Errorf("the slot is %+v", slot)
	}
	if got := slotsOf(t, c); !slices.Equal(got, []cloud.Slot{slot}) {
		t.Errorf("the slots are %+v, want %+v", got, slot)
	}
	after := content(t, b)
	text := after[slot.Name]
	delete(after, slot.Name)
	if fmt.Sprint(after) != fmt.Sprint(before) {
		t.Error("other objects were changed")
	}

	opened, d, err := unlock(t, b, oldPhrase)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	if opened.ID() != c.ID() || opened.Identity().String() != c.Identity().String() {
		t.Error("it is another cloud")
	}
	d.Passphrase = cloud.Passphrase{}
	d.open(t) // with the key that is stored now
	_, d, err = unlock(t, b, wrongPhrase)
	wantError(t, err, cairn.CodePassphraseWrong, "none of those")
	if files := d.keyFiles(t); len(files) > 0 {
		t.Errorf("a wrong passphrase left the keys %q", files)
	}

	// By public means: the content is a key file for age -d -i.
	plain := decryptSlot(t, oldPhrase.Reveal(), []byte(text))
	if want := string(keys.Text(c.ID(), c.Identity(), start())); string(plain) != want {
		t.Errorf("a slot holds %q, want %q", plain, want)
	}
}

// TestWorkFactor pins the cost of a slot that is made without a wish.
func TestWorkFactor(t *testing.T) {
	b := stores.New(t)
	d := newDevice(t, b)
	d.WorkFactor = 0
	slot := add(t, d.open(t), oldPhrase)
	if line := strings.Split(string(get(t, b, slot.Name)), "\n")[1]; !strings.HasSuffix(line, " 18") {
		t.Errorf("the recipient is %q, want the work factor 18", line)
	}
}

// TestLockedSaysWhatHelps has a device without key ask for one.
func TestLockedSaysWhatHelps(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	for _, says := range []string{"Give its key", "It has a passphrase, which cairn cloud unlock", "It has 2 passphrases, of which"} {
		_, _, err := unlock(t, b, cloud.Passphrase{})
		wantError(t, err, cairn.CodeCloudLocked, "its key is not on this device")
		if e, _ := errors.AsType[*cairn.Error](err); !strings.HasPrefix(e.Hint, says) || !strings.Contains(e.Hint, "--key FILE") {
			t.Errorf("the hint is %q, want %q", e.Hint, says)
		}
		add(t, c, cloud.NewPassphrase("one more: "+says))
	}
}

// TestPassphraseYieldsToKeys has a key beside the passphrase.
func TestPassphraseYieldsToKeys(t *testing.T) {
	b := stores.New(t)
	owner := newDevice(t, b)
	c := owner.open(t)
	owner.Passphrase = wrongPhrase
	owner.open(t) // the stored key counts
	d := newDevice(t, b)
	d.Passphrase, d.Identity = wrongPhrase, c.Identity()
	d.open(t) // and so does the supplied one
}

// TestKeysNeedNoListing pins what opening a cloud asks the bucket: with a key, stored or
// supplied, nothing but cairn.json, however many slots there are.
func TestKeysNeedNoListing(t *testing.T) {
	b := stores.New(t)
	owner := newDevice(t, b)
	c := owner.open(t)
	add(t, c, oldPhrase)
	given := newDevice(t, b)
	given.Identity = c.Identity()
	for _, d := range []*device{owner, given} {
		var calls []fault.Call
		d.Bucket = fault.New(b, func(call fault.Call) fault.Outcome {
			calls = append(calls, call)
			return fault.Outcome{}
		})
		d.open(t)
		if want := []fault.Call{{Op: fault.Get, Name: "cairn.json", N: 1}}; !slices.Equal(calls, want) {
			t.Errorf("opening makes the calls %+v, want %+v", calls, want)
		}
	}
}

// TestKeychainThatIsLocked opens a cloud whose key is in a keychain that cannot be
// asked: with what is supplied, and nothing is stored then.
func TestKeychainThatIsLocked(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	add(t, c, oldPhrase)
	d := newDevice(t, b)
	d.Keys.Keychain = brokenKeychain{}
	marker := c.ID() + ".keychain"
	if err := os.WriteFile(filepath.Join(d.Keys.Dir, marker), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := cloud.Open(t.Context(), d.Config)
	wantError(t, err, cairn.CodeCloudLocked, "keychain")
	d.Passphrase = oldPhrase
	d.open(t)
	d.Passphrase, d.Identity = cloud.Passphrase{}, c.Identity()
	d.open(t)
	if got := d.keyFiles(t); !slices.Equal(got, []string{marker}) {
		t.Errorf("there are the key files %q", got)
	}
}

type brokenKeychain struct{}

func (brokenKeychain) Set(_, _, _ string) error        { return errMade }
func (brokenKeychain) Get(_, _ string) (string, error) { return "", errMade }
func (brokenKeychain) Delete(_, _ string) error        { return errMade }

// TestSlotsThatDoNotOpen has objects below keys/ that are not what they should be,
// alone and beside a slot that is whole.
func TestSlotsThatDoNotOpen(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	whole := get(t, b, add(t, c, oldPhrase).Name)
	text := keys.Text(c.ID(), c.Identity(), start())
	foreign := newDevice(t, stores.New(t)).open(t)
	phrase := oldPhrase.Reveal()
	payload := bytes.Clone(whole)
	payload[len(payload)-1] ^= 1
	for _, test := range []struct {
		name string
		data []byte
		code cairn.Code
		says string // besides the name of the slot
		note string // in the log; "" for none
	}{
		{"empty", nil, cairn.CodeDamaged, "no passphrase opens it", "cannot be read"},
		{"junk", []byte("junk"), cairn.CodeDamaged, "no passphrase opens it", "cannot be read"},
		{"a header alone", whole[:bytes.Index(whole, []byte("---"))], cairn.CodeDamaged, "no passphrase opens it", "cannot be read"},
		{"half a header", whole[:40], cairn.CodeDamaged, "no passphrase opens it", "cannot be read"},
		{"for a key", encrypt(t, c.Recipient(), text), cairn.CodeDamaged, "no passphrase opens it", "cannot be read"},
		{"huge", append(bytes.Clone(whole), make([]byte, 64<<10)...), cairn.CodeDamaged, "no passphrase opens it", "cannot be read"},
		{"much work", bytes.Replace(whole, []byte(" 1\n"), []byte(" 21\n"), 1), cairn.CodeDamaged, "no passphrase opens it", "work factor too large"},
		{"endless work", bytes.Replace(whole, []byte(" 1\n"), []byte(" 62\n"), 1), cairn.CodeDamaged, "no passphrase opens it", "work factor too large"},
		{"without end", whole[:len(whole)-1], cairn.CodeDamaged, "holds no key", "holds no key"},
		{"changed content", payload, cairn.CodeDamaged, "holds no key", "holds no key"},
		{"no key file", wrap(t, phrase, 1, []byte("hello")), cairn.CodeDamaged, "holds no key", "holds no key"},
		{"two keys", wrap(t, phrase, 1, append(bytes.Clone(text), text...)), cairn.CodeDamaged, "holds no key", "holds no key"},
		{"another cloud's", wrap(t, phrase, 1, keys.Text(foreign.ID(), foreign.Identity(), start())), cairn.CodeDamaged, "cairn.json", "another cloud"},
		{"another passphrase", wrap(t, "something else", 1, text), cairn.CodePassphraseWrong, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := slotName(1)
			alone := stores.New(t)
			put(t, alone, "cairn.json", get(t, b, "cairn.json"))
			put(t, alone, name, test.data)
			_, d, err := unlock(t, alone, oldPhrase)
			wantError(t, err, test.code, test.says)
			if test.note != "" && !(strings.Contains(err.Error(), name) && strings.Contains(d.log.String(), test.note) && strings.Contains(d.log.String(), name)) {
				t.Errorf("%v, and the log has %s", err, d.log)
			}
			if files := d.keyFiles(t); len(files) > 0 {
				t.Errorf("the keys %q were stored", files)
			}
			// A wrong passphrase is told, and which slot could not be tried.
			_, _, err = unlock(t, with(t, alone, slotName(2), wrap(t, "something else", 1, text)), wrongPhrase)
			if test.note != "" && strings.Contains(test.says, "no passphrase") {
				wantError(t, err, cairn.CodePassphraseWrong, name)
			} else {
				wantError(t, err, cairn.CodePassphraseWrong)
			}
			// A whole one beside it opens the cloud.
			for _, i := range []int{0, 2} {
				if _, _, err := unlock(t, with(t, alone, slotName(i), whole), oldPhrase); err != nil {
					t.Errorf("beside a whole slot: %v", err)
				}
			}
		})
	}
}

// TestJunkBelowKeys has objects of other names, which are not slots.
func TestJunkBelowKeys(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	slot := add(t, c, oldPhrase)
	for i, name := range []string{"keys/x.age", "keys/readme.txt", "keys/a/" + slot.Name[5:], strings.ToUpper(slot.Name[5:]), slot.Name + ".bak", slot.Name[:len(slot.Name)-4]} {
		put(t, b, name, fmt.Appendf(nil, "junk %d", i))
	}
	if got := slotsOf(t, c); !slices.Equal(got, []cloud.Slot{slot}) {
		t.Errorf("the slots are %+v", got)
	}
	_, d, err := unlock(t, b, oldPhrase)
	if err != nil || strings.Contains(d.log.String(), "WARN") {
		t.Errorf("Open: %v\n%s", err, d.log)
	}
}

// TestSlotAlone has a slot where cairn.json is not: no other cloud is made there.
func TestSlotAlone(t *testing.T) {
	b := stores.New(t)
	slot := add(t, newDevice(t, b).open(t), oldPhrase)
	alone := stores.New(t)
	put(t, alone, slot.Name, get(t, b, slot.Name))
	_, err := cloud.Open(t.Context(), newDevice(t, alone).Config)
	wantError(t, err, cairn.CodeDamaged, "cairn.json", slot.Name)
}

// TestPruneKeepsSlots prunes a cloud whose slots are older than the grace.
func TestPruneKeepsSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(memory.Bucket) // the others have the real time
		d := newDevice(t, b)
		d.Now = time.Now
		c := d.open(t)
		add(t, c, oldPhrase)
		put(t, b, "keys/junk", []byte("junk"))
		commit(t, c, 1)
		before := names(t, b)
		if err := c.Put(t.Context(), c.PartName(), strings.NewReader("nothing names it")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * day)
		if pruned, err := c.Prune(t.Context(), cloud.PruneOptions{}); err != nil || pruned.Deleted.Objects != 1 {
			t.Fatalf("Prune: %+v, %v", pruned, err)
		}
		if got := names(t, b); !slices.Equal(got, before) {
			t.Errorf("after prune there are %q, want %q", got, before)
		}
		if _, _, err := unlock(t, b, oldPhrase); err != nil {
			t.Errorf("Open: %v", err)
		}
	})
}

// turns is a lock that counts how often it was taken.
type turns struct {
	sync.Mutex
	taken int
}

func (l *turns) Lock() {
	l.Mutex.Lock()
	l.taken++
}

// TestScryptTakesTurns has each try of a passphrase, and each slot that is made, wait
// for its turn: they take much memory.
func TestScryptTakesTurns(t *testing.T) {
	b := stores.New(t)
	turn := &turns{}
	d := newDevice(t, b)
	d.Scrypt = turn
	c, err := cloud.Open(t.Context(), d.Config)
	if err != nil {
		t.Fatal(err)
	}
	if turn.taken != 0 {
		t.Errorf("a cloud without passphrases took %d turns", turn.taken)
	}
	add(t, c, oldPhrase)
	if turn.taken != 1 {
		t.Errorf("a slot took %d turns", turn.taken)
	}
	other := newDevice(t, b)
	other.Scrypt, other.Passphrase = turn, oldPhrase
	if _, err := cloud.Open(t.Context(), other.Config); err != nil || turn.taken != 2 {
		t.Errorf("a try took %d turns: %v", turn.taken-1, err)
	}
	if !turn.TryLock() {
		t.Error("the turn is not given back")
	}
}
