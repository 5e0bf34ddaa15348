package cloud_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/cloud"
	"cairn/test/stores"
)

// opens reports whether a passphrase opens a cloud on a new device. An error for
// another reason than that it is none of the cloud's fails the test.
func opens(t *testing.T, b bucket.Bucket, p cloud.Passphrase) bool {
	t.Helper()
	_, _, err := unlock(t, b, p)
	if code := cairn.CodeOf(err); err != nil && code != cairn.CodePassphraseWrong && code != cairn.CodeCloudLocked {
		t.Errorf("Open: %v", err)
	}
	return err == nil
}

// wantOpens checks which of the passphrases of the tests open a cloud.
func wantOpens(t *testing.T, b bucket.Bucket, old, new bool) {
	t.Helper()
	if o, n := opens(t, b, oldPhrase), opens(t, b, newPhrase); o != old || n != new {
		t.Errorf("the old passphrase opens the cloud: %t, want %t; the new one: %t, want %t", o, old, n, new)
	}
}

func TestAddPassphrase(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	_, err := c.AddPassphrase(t.Context(), cloud.NewPassphrase("too short"))
	wantError(t, err, cairn.CodeInvalid, "fewer than 15")
	if got := names(t, b); len(got) != 1 {
		t.Errorf("the bucket has %q", got)
	}
	first := add(t, c, oldPhrase)
	second := add(t, c, newPhrase)
	if again := add(t, c, oldPhrase); again != first {
		t.Errorf("adding it again returned %+v, want %+v", again, first)
	}
	if slots := slotsOf(t, c); len(slots) != 2 || !slices.Contains(slots, first) || !slices.Contains(slots, second) {
		t.Errorf("the slots are %+v", slots)
	}
	wantOpens(t, b, true, true)
}

// TestSlotsAreFull fills a cloud with slots.
func TestSlotsAreFull(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	for i := range 16 {
		add(t, c, cloud.NewPassphrase(fmt.Sprintf("passphrase number %d", i)))
	}
	_, err := c.AddPassphrase(t.Context(), newPhrase)
	wantError(t, err, cairn.CodeInvalid, "has 16 passphrases, and can have 16")
	wantError(t, c.ChangePassphrase(t.Context(), cloud.NewPassphrase("passphrase number 3"), newPhrase), cairn.CodeInvalid, "can have 16")
	if got := len(slotsOf(t, c)); got != 16 {
		t.Errorf("there are %d slots", got)
	}
	for i := range 16 { // the oldest is among those that are read
		if !opens(t, b, cloud.NewPassphrase(fmt.Sprintf("passphrase number %d", i))) {
			t.Errorf("passphrase %d opens nothing", i)
		}
	}
	if err := c.RemoveSlot(t.Context(), slotsOf(t, c)[0].Name); err != nil {
		t.Fatal(err)
	}
	add(t, c, newPhrase)
}

// TestManySlots has more slots than are read, the oldest with the right passphrase.
func TestManySlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := stores.New(t)
		c := newDevice(t, b).open(t)
		add(t, c, oldPhrase)
		time.Sleep(time.Second) // the others are newer
		for i := range 1000 {
			put(t, b, slotName(i), []byte("junk"))
		}
		_, d, err := unlock(t, b, oldPhrase)
		wantError(t, err, cairn.CodeDamaged, "keys/")
		if got := strings.Count(d.log.String(), "is skipped"); got != 16 {
			t.Errorf("%d slots were read", got)
		}
		if !strings.Contains(d.log.String(), "more slots than are read") {
			t.Errorf("the log has %s", d.log)
		}
		_, err = c.AddPassphrase(t.Context(), newPhrase)
		wantError(t, err, cairn.CodeInvalid, "has 1001 passphrases")
	})
}

func TestChangePassphrase(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	commit(t, c, 1)
	ctx := t.Context()
	wantError(t, c.ChangePassphrase(ctx, oldPhrase, newPhrase), cairn.CodeCloudLocked, "has no passphrase")
	other := cloud.NewPassphrase("a third passphrase")
	add(t, c, oldPhrase)
	add(t, c, other)
	for name, err := range map[string]error{
		"short": c.ChangePassphrase(ctx, oldPhrase, cloud.NewPassphrase("short")),
		"same":  c.ChangePassphrase(ctx, oldPhrase, oldPhrase),
	} {
		if fault := faultOf(err, cairn.CodeInvalid); fault != nil {
			t.Errorf("%s: %v", name, fault)
		}
	}
	wantError(t, c.ChangePassphrase(ctx, wrongPhrase, newPhrase), cairn.CodePassphraseWrong)
	wantOpens(t, b, true, false)
	before := content(t, b)
	if err := c.ChangePassphrase(ctx, oldPhrase, newPhrase); err != nil {
		t.Fatalf("ChangePassphrase: %v", err)
	}
	wantOpens(t, b, false, true)
	if !opens(t, b, other) {
		t.Error("another passphrase opens nothing any more")
	}
	for name, text := range content(t, b) { // parts and manifests are as they were
		if old, there := before[name]; there && old != text || !there && !strings.HasPrefix(name, "keys/") {
			t.Errorf("%s was written", name)
		}
	}
	// Again, as after a lost answer.
	if err := c.ChangePassphrase(ctx, oldPhrase, newPhrase); err != nil {
		t.Errorf("a second ChangePassphrase: %v", err)
	}
	if got := len(slotsOf(t, c)); got != 2 {
		t.Errorf("there are %d slots", got)
	}
}

// TestRemovePassphrase removes by passphrase, which may have several slots, and by
// name, the last one included.
func TestRemovePassphrase(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	first := add(t, c, oldPhrase)
	put(t, b, slotName(1), get(t, b, first.Name)) // as two devices make at one moment
	last := add(t, c, newPhrase)
	_, err := c.RemovePassphrase(t.Context(), wrongPhrase)
	wantError(t, err, cairn.CodePassphraseWrong)
	removed, err := c.RemovePassphrase(t.Context(), oldPhrase)
	if err != nil || len(removed) != 2 {
		t.Errorf("removed %+v, %v", removed, err)
	}
	wantOpens(t, b, false, true)
	for _, name := range []string{"", "cairn.json", "keys/x.age", slotName(1), first.Name, "../" + last.Name} {
		if fault := faultOf(c.RemoveSlot(t.Context(), name), cairn.CodeInvalid, "has no slot"); fault != nil {
			t.Errorf("%q: %v", name, fault)
		}
	}
	if err := c.RemoveSlot(t.Context(), last.Name); err != nil {
		t.Errorf("RemoveSlot: %v", err)
	}
	wantOpens(t, b, false, false)
	_, err = c.RemovePassphrase(t.Context(), oldPhrase)
	wantError(t, err, cairn.CodeCloudLocked, "has no passphrase")
	if got := names(t, b); !slices.Equal(got, []string{"cairn.json"}) {
		t.Errorf("the bucket has %q", got)
	}
}

// TestRemoveManySlots removes a passphrase that more slots have than are read.
func TestRemoveManySlots(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	text := get(t, b, add(t, c, oldPhrase).Name)
	for i := range 40 {
		put(t, b, slotName(i), text)
	}
	removed, err := c.RemovePassphrase(t.Context(), oldPhrase)
	if err != nil || len(removed) != 41 || len(slotsOf(t, c)) > 0 {
		t.Errorf("%d slots were removed, and %d are left: %v", len(removed), len(slotsOf(t, c)), err)
	}
}

// TestSlotsOfAnotherCloud has another cloud appear where one was open: nothing is
// written to it, and nothing removed.
func TestSlotsOfAnotherCloud(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	slot := add(t, c, oldPhrase)
	foreign := stores.New(t)
	newDevice(t, foreign).open(t)
	replace(t, b, "cairn.json", get(t, foreign, "cairn.json"))
	before := names(t, b)
	_, addErr := c.AddPassphrase(t.Context(), newPhrase)
	_, removeErr := c.RemovePassphrase(t.Context(), oldPhrase)
	for _, err := range []error{addErr, removeErr, c.ChangePassphrase(t.Context(), oldPhrase, newPhrase), c.RemoveSlot(t.Context(), slot.Name)} {
		wantError(t, err, cairn.CodeBucketMissing, "is not the one that was opened")
	}
	if got := names(t, b); !slices.Equal(got, before) {
		t.Errorf("there are %q, want %q", got, before)
	}
}

// A change is one line of the fault table: what happens to one call of the bucket in
// a change of the passphrase.
type change struct {
	call   int
	effect fault.Effect
	err    error
	rest   bool // and to all calls behind it, as when the computer is switched off
	other  bool // another device goes on, else this one
}

func (ch change) String() string {
	return fmt.Sprintf("call %d effect %d %v rest=%t other=%t", ch.call, ch.effect, ch.err, ch.rest, ch.other)
}

// run changes the passphrase while something happens, and again.
func (ch change) run(t *testing.T) (calls int) {
	inner := stores.New(t)
	owner := newDevice(t, inner)
	c := owner.open(t)
	commit(t, c, 1)
	add(t, c, oldPhrase)
	before := content(t, inner)
	off := false
	store := fault.New(inner, func(fault.Call) fault.Outcome {
		if off {
			return fault.Outcome{}
		}
		if calls++; calls == ch.call || calls > ch.call && ch.rest && ch.call > 0 {
			return fault.Outcome{Effect: ch.effect, Err: ch.err}
		}
		return fault.Outcome{}
	})
	owner.Bucket = store
	off = true
	c = owner.open(t)
	off = false
	err := c.ChangePassphrase(t.Context(), oldPhrase, newPhrase)
	off = true
	old, new := opens(t, inner, oldPhrase), opens(t, inner, newPhrase)
	if !old && !new || err == nil && (old || !new) {
		t.Errorf("ChangePassphrase returned %v, and the old passphrase opens the cloud: %t, the new one: %t", err, old, new)
	}
	if err != nil {
		checkNoSecrets(t, owner, err)
	}
	if ch.other {
		if c, _, err = unlock(t, inner, newPhrase); err != nil {
			if c, _, err = unlock(t, inner, oldPhrase); err != nil {
				t.Fatal(err)
			}
		}
	}
	store.Land(t.Context()) // what the store carries out late
	if err := c.ChangePassphrase(t.Context(), oldPhrase, newPhrase); err != nil {
		t.Errorf("the next ChangePassphrase: %v", err)
	}
	wantOpens(t, inner, false, true)
	for name, text := range content(t, inner) {
		if old, there := before[name]; there && old != text || !there && !strings.HasPrefix(name, "keys/") {
			t.Errorf("%s was written", name)
		}
	}
	return calls
}

// TestChangePassphraseFaults has each call of a change fail, with and without having
// been done, or be the last before a crash: the cloud opens with the old passphrase or
// the new one at every moment, and with the new one alone once a change has succeeded.
func TestChangePassphraseFaults(t *testing.T) {
	calls := change{}.run(t)
	if calls < 6 {
		t.Fatalf("a change makes %d calls", calls)
	}
	t.Logf("%d calls", calls)
	for call := 1; call <= calls; call++ {
		for _, effect := range []fault.Effect{fault.Fail, fault.Lost, fault.Cut, fault.Late} {
			for _, err := range []error{nil, bucket.ErrRefused} {
				for _, rest := range []bool{false, true} {
					for _, other := range []bool{false, true} {
						ch := change{call, effect, err, rest, other}
						t.Run(ch.String(), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { ch.run(t) }) })
					}
				}
			}
		}
	}
}

// TestTwoDevicesChangeOnePassphrase has both change it at the same time: to the same
// one, and to two.
func TestTwoDevicesChangeOnePassphrase(t *testing.T) {
	for _, phrases := range [][2]cloud.Passphrase{{newPhrase, newPhrase}, {newPhrase, cloud.NewPassphrase("that of the second device")}} {
		b := stores.New(t)
		add(t, newDevice(t, b).open(t), oldPhrase)
		var both [2]*cloud.Cloud
		var meet sync.WaitGroup // both have tried the old one before any adds his
		meet.Add(2)
		for i := range both {
			var once sync.Once
			d := newDevice(t, fault.New(b, func(call fault.Call) fault.Outcome {
				if call.Op == fault.Put {
					once.Do(func() { meet.Done(); meet.Wait() })
				}
				return fault.Outcome{}
			}))
			d.Passphrase = oldPhrase
			both[i] = d.open(t)
		}
		var wg sync.WaitGroup
		for i, c := range both {
			wg.Go(func() {
				if err := c.ChangePassphrase(context.Background(), oldPhrase, phrases[i]); err != nil {
					t.Errorf("device %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if opens(t, b, oldPhrase) || !opens(t, b, phrases[0]) || !opens(t, b, phrases[1]) {
			t.Errorf("the old passphrase opens the cloud: %t; the new ones: %t, %t", opens(t, b, oldPhrase), opens(t, b, phrases[0]), opens(t, b, phrases[1]))
		}
	}
}

// TestAddWithoutTime adds a passphrase, and then the store does not say when that
// was: it is in force, which is what counts.
func TestAddWithoutTime(t *testing.T) {
	b := stores.New(t)
	lost := false
	c := newDevice(t, fault.New(b, func(call fault.Call) fault.Outcome {
		if lost = lost || call.Op == fault.Put && strings.HasPrefix(call.Name, "keys/"); lost && call.Op == fault.Head {
			return fault.Outcome{Effect: fault.Fail, Err: bucket.ErrRefused}
		}
		return fault.Outcome{}
	})).open(t)
	slot, err := c.AddPassphrase(t.Context(), newPhrase)
	if err != nil || slot.Name == "" || !slot.Created.IsZero() || !opens(t, b, newPhrase) {
		t.Errorf("it adds %+v, %v, and opens: %t", slot, err, opens(t, b, newPhrase))
	}
}
