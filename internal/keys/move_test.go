package keys_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"cairn"
	"cairn/internal/durable"
	"cairn/internal/keys"
)

// A chain is a keychain in memory.
type chain struct {
	entries map[string]string // by service and account
	err     error             // of all calls
	deaf    bool              // stores nothing
}

func (c *chain) Set(service, account, secret string) error {
	if c.err == nil && !c.deaf {
		c.entries[service+" "+account] = secret
	}
	return c.err
}

func (c *chain) Get(service, account string) (string, error) {
	secret, ok := c.entries[service+" "+account]
	switch {
	case c.err != nil:
		return "", c.err
	case !ok:
		return "", keys.ErrNoEntry
	}
	return secret, nil
}

func (c *chain) Delete(service, account string) error {
	if _, err := c.Get(service, account); err != nil {
		return err
	}
	delete(c.entries, service+" "+account)
	return nil
}

func TestMove(t *testing.T) {
	s, c, _ := newStore(t)
	key := newKey(t)
	for _, to := range []keys.Place{keys.File, keys.InKeychain} {
		wantError(t, s.Move(cloudID, to), cairn.CodeCloudLocked, cloudID)
	}
	if err := s.Save(cloudID, key); err != nil {
		t.Fatal(err)
	}
	if err := s.Move(cloudID, "elsewhere"); err == nil {
		t.Error("Move to nowhere returned nil")
	}
	for range 2 { // the second time it is there
		if err := s.Move(cloudID, keys.InKeychain); err != nil {
			t.Fatalf("Move: %v", err)
		}
		wantPlace(t, s, keys.InKeychain)
		wantKey(t, s, key)
		if got := files(t, s); !slices.Equal(got, []string{cloudID + ".keychain"}) {
			t.Errorf("there are the files %q", got)
		}
		if got := c.entries["cairn "+cloudID]; got != key.String() {
			t.Error("the entry is not the key")
		}
	}
	if got := s.Where(cloudID); !strings.Contains(got, "keychain") || !strings.Contains(got, cloudID) {
		t.Errorf("the key is where %q says", got)
	}
	if ids, err := s.IDs(); !slices.Equal(ids, []string{cloudID}) || err != nil {
		t.Errorf("IDs: %q, %v", ids, err)
	}
	if err := s.Save(cloudID, newKey(t)); err == nil {
		t.Error("Save beside a key in the keychain returned nil")
	}
	for range 2 {
		if err := s.Move(cloudID, keys.File); err != nil {
			t.Fatalf("Move: %v", err)
		}
		wantPlace(t, s, keys.File)
		wantKey(t, s, key)
		if got := files(t, s); !slices.Equal(got, []string{cloudID}) || len(c.entries) > 0 {
			t.Errorf("there are the files %q and the entries %d", got, len(c.entries))
		}
	}
}

// TestKeychainThatCannotBeUsed has one that is locked, empty, wrong or deaf.
func TestKeychainThatCannotBeUsed(t *testing.T) {
	s, c, log := newStore(t)
	key := newKey(t)
	if err := s.Save(cloudID, key); err != nil {
		t.Fatal(err)
	}
	wantUnusable := func(err error) {
		t.Helper()
		wantError(t, err, cairn.CodeCloudLocked, "keychain")
		if !errors.Is(err, keys.ErrKeychain) {
			t.Errorf("%v is no ErrKeychain", err)
		}
	}
	c.err = errMade
	wantUnusable(s.Move(cloudID, keys.InKeychain))
	c.err, c.deaf = nil, true
	wantUnusable(s.Move(cloudID, keys.InKeychain))
	wantPlace(t, s, keys.File)
	wantKey(t, s, key)

	c.deaf = false
	if err := s.Move(cloudID, keys.InKeychain); err != nil {
		t.Fatal(err)
	}
	c.err = errMade
	_, err := s.Load(cloudID)
	wantUnusable(err)
	wantUnusable(s.Move(cloudID, keys.File))
	wantUnusable(s.Remove(cloudID))
	wantUnusable(s.Save(cloudID, key))
	wantPlace(t, s, keys.InKeychain)

	c.err, c.entries["cairn "+cloudID] = nil, "no key"
	_, err = s.Load(cloudID)
	wantError(t, err, cairn.CodeCloudLocked, cloudID, "cannot be used as a key")

	// Somebody removed the entry: then the key can be given again.
	delete(c.entries, "cairn "+cloudID)
	wantKey(t, s, nil)
	if !strings.Contains(log.String(), "the keychain has no key") {
		t.Errorf("the log has %q", log)
	}
	if err := s.Save(cloudID, key); err != nil {
		t.Errorf("Save: %v", err)
	}
	wantKey(t, s, key)
	if strings.Contains(log.String(), key.String()[16:]) {
		t.Error("the key is in the log")
	}
}

// TestMoveKeepsOtherKeys has the keychain hold another key of the cloud.
func TestMoveKeepsOtherKeys(t *testing.T) {
	s, c, _ := newStore(t)
	key, other := newKey(t), newKey(t)
	if err := s.Save(cloudID, key); err != nil {
		t.Fatal(err)
	}
	c.entries["cairn "+cloudID] = other.String()
	wantError(t, s.Move(cloudID, keys.InKeychain), cairn.CodeChanged, "another key")
	write(t, s.Path(cloudID)+".keychain", "")
	for _, to := range []keys.Place{keys.InKeychain, keys.File} {
		wantError(t, s.Move(cloudID, to), cairn.CodeChanged, "another key")
	}
	wantKey(t, s, key)
	if c.entries["cairn "+cloudID] != other.String() {
		t.Error("the other key was overwritten")
	}
}

// A moving is one line of the fault table: what happens at one step of a Move.
type moving struct {
	to    keys.Place
	step  int  // the how-manieth, from 1; 0 for none
	done  bool // the step is done before that
	crash bool // nothing is done after it, and the daemon starts again; else it fails
}

var errCrash = errors.New("the computer is off")

// run moves a key while something happens, and looks at what is left.
func (m moving) run(t *testing.T) (steps int) {
	s, c, _ := newStore(t)
	key := newKey(t)
	if err := s.Save(cloudID, key); err != nil {
		t.Fatal(err)
	}
	from := keys.File
	if m.to == keys.File {
		from = keys.InKeychain
		if err := s.Move(cloudID, from); err != nil {
			t.Fatal(err)
		}
	}
	off := false
	s.Step = func(_ string, do func() error) error {
		if off {
			return errCrash
		}
		if steps++; steps != m.step {
			return do()
		}
		off = m.crash
		if m.done {
			if err := do(); err != nil {
				return err
			}
		}
		return errMade
	}
	err := s.Move(cloudID, m.to)
	if (err != nil) != (m.step > 0) {
		t.Errorf("Move: %v", err)
	}
	s.Step = nil
	if m.crash {
		if _, err := durable.RemoveTemps(s.Dir); err != nil {
			t.Fatal(err)
		}
	}
	wantKey(t, s, key)
	m.checkEntries(t, s, c)
	// The next one gets there, or back, and nothing is left over.
	for _, to := range []keys.Place{m.to, from} {
		if err := s.Move(cloudID, to); err != nil {
			t.Errorf("Move to %s: %v", to, err)
		}
		wantPlace(t, s, to)
		wantKey(t, s, key)
		if _, err := durable.RemoveTemps(s.Dir); err != nil { // as the next start does
			t.Fatal(err)
		}
		m.checkLeft(t, s, c, to, key)
	}
	return steps
}

// checkEntries checks that an entry is never in the keychain without its marker.
func (m moving) checkEntries(t *testing.T, s *keys.Store, c *chain) {
	t.Helper()
	if len(c.entries) > 0 && !slices.Contains(files(t, s), cloudID+".keychain") {
		t.Error("nothing says that there is an entry in the keychain")
	}
}

// checkLeft checks all that is stored when the key is in a place.
func (m moving) checkLeft(t *testing.T, s *keys.Store, c *chain, at keys.Place, key *age.X25519Identity) {
	t.Helper()
	names, entries := []string{cloudID}, map[string]string{}
	if at == keys.InKeychain {
		names, entries["cairn "+cloudID] = []string{cloudID + ".keychain"}, key.String()
	}
	if got := files(t, s); !slices.Equal(got, names) || fmt.Sprint(c.entries) != fmt.Sprint(entries) {
		t.Errorf("with the key at %s there are the files %q and %d entries", at, got, len(c.entries))
	}
}

// TestMoveFaults has each step of a Move fail or be the last before a crash, with
// and without having been done.
func TestMoveFaults(t *testing.T) {
	for _, to := range []keys.Place{keys.InKeychain, keys.File} {
		steps := moving{to: to}.run(t)
		if steps < 4 {
			t.Fatalf("a Move to %s has %d steps", to, steps)
		}
		for step := 1; step <= steps; step++ {
			for _, m := range []moving{{to, step, false, false}, {to, step, true, false}, {to, step, false, true}, {to, step, true, true}} {
				t.Run(fmt.Sprintf("%s/step %d done=%t crash=%t", to, step, m.done, m.crash), func(t *testing.T) { m.run(t) })
			}
		}
	}
}
