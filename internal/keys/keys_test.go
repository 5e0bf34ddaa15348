package keys_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"cairn"
	"cairn/internal/keys"
)

const (
	cloudID = "07070707-0707-4707-8707-070707070707"
	otherID = "17070707-0707-4707-8707-070707070707"
)

var errMade = errors.New("made to fail")

// newStore returns an empty store with a keychain in memory, and what it logs.
func newStore(t *testing.T) (*keys.Store, *chain, *strings.Builder) {
	t.Helper()
	var log strings.Builder
	c := &chain{entries: map[string]string{}}
	return &keys.Store{
		Dir: filepath.Join(t.TempDir(), "keys"), Keychain: c, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Now: func() time.Time { return time.Date(2026, 11, 23, 7, 25, 41, 0, time.UTC) },
	}, c, &log
}

func newKey(t *testing.T) *age.X25519Identity {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// files returns the names in the folder of a store.
func files(t *testing.T, s *keys.Store) []string {
	t.Helper()
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// wantError checks the code of an error, that a person is told the parts and what to
// do, and that no key is in it.
func wantError(t *testing.T, err error, code cairn.Code, parts ...string) {
	t.Helper()
	e, ok := errors.AsType[*cairn.Error](err)
	if !ok || e.Code != code || e.Hint == "" {
		t.Errorf("got %v, want code %q and a hint", err, code)
		return
	}
	for _, part := range parts {
		if !strings.Contains(e.Message, part) {
			t.Errorf("%q does not say %q", e.Message, part)
		}
	}
	if strings.Contains(err.Error()+e.Hint, "AGE-SECRET-KEY-1Q") {
		t.Errorf("a key is in %v", err)
	}
}

// wantKey checks what a store loads: nil for none.
func wantKey(t *testing.T, s *keys.Store, want *age.X25519Identity) {
	t.Helper()
	got, err := s.Load(cloudID)
	if err != nil {
		t.Errorf("Load: %v", err)
	} else if (got == nil) != (want == nil) || want != nil && got.String() != want.String() {
		t.Errorf("another key is loaded, or none: %v, want %v", got != nil, want != nil)
	}
}

func wantPlace(t *testing.T, s *keys.Store, want keys.Place) {
	t.Helper()
	if got, err := s.Place(cloudID); got != want || err != nil {
		t.Errorf("the key is at %q, %v, want %q", got, err, want)
	}
}

func TestStore(t *testing.T) {
	s, _, log := newStore(t)
	key := newKey(t)
	wantKey(t, s, nil)
	wantPlace(t, s, keys.None)
	if err := s.Remove(cloudID); err != nil {
		t.Errorf("Remove of nothing: %v", err)
	}
	if ids, err := s.IDs(); len(ids) > 0 || err != nil {
		t.Errorf("IDs of nothing: %q, %v", ids, err)
	}
	for id, k := range map[string]*age.X25519Identity{cloudID: key, otherID: newKey(t)} {
		if err := s.Save(id, k); err != nil {
			t.Fatalf("Save: %v", err)
		}
	}
	wantKey(t, s, key)
	wantPlace(t, s, keys.File)
	if got := s.Where(cloudID); got != s.Path(cloudID) || got != filepath.Join(s.Dir, cloudID) {
		t.Errorf("the key is where %s says", got)
	}
	if info, err := os.Stat(s.Path(cloudID)); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("the key file is %v, %v", info, err)
	}
	before, _ := os.ReadFile(s.Path(cloudID))
	if want := string(keys.Text("", key, s.Now())); string(before) != want {
		t.Errorf("the file holds %q, want %q", before, want)
	}
	for _, again := range []*age.X25519Identity{key, newKey(t)} {
		if err := s.Save(cloudID, again); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a second Save: %v", err)
		}
	}
	if after, err := os.ReadFile(s.Path(cloudID)); err != nil || string(after) != string(before) {
		t.Errorf("the file was %q and is %q, %v", before, after, err)
	}
	write(t, filepath.Join(s.Dir, cloudID+".told"), "")
	write(t, filepath.Join(s.Dir, cloudID+".X.tmp"), key.String())
	if ids, err := s.IDs(); !slices.Equal(ids, []string{cloudID, otherID}) || err != nil {
		t.Errorf("IDs: %q, %v", ids, err)
	}
	if err := s.Remove(cloudID); err != nil {
		t.Errorf("Remove: %v", err)
	}
	wantKey(t, s, nil)
	if got := files(t, s); !slices.Equal(got, []string{cloudID + ".told", otherID}) {
		t.Errorf("after Remove there are %q", got)
	}
	if log.Len() > 0 {
		t.Errorf("the log has %s", log)
	}
}

// TestIDsThatAreNone has names that would lead out of the folder, or to other files.
func TestIDsThatAreNone(t *testing.T) {
	s, _, _ := newStore(t)
	for _, id := range []string{"", ".", "../" + cloudID, cloudID + ".keychain", strings.ToUpper("a" + cloudID[1:]), "{" + cloudID + "}", "x"} {
		_, loadErr := s.Load(id)
		_, placeErr := s.Place(id)
		for _, err := range []error{loadErr, placeErr, s.Save(id, newKey(t)), s.Remove(id), s.Move(id, keys.File)} {
			wantError(t, err, cairn.CodeInvalid, "is not the id of a cloud")
		}
	}
	if got := files(t, s); len(got) > 0 {
		t.Errorf("there are %q", got)
	}
}

// TestKeyFilesThatCannotBeUsed has what is no key, and what is no file.
func TestKeyFilesThatCannotBeUsed(t *testing.T) {
	s, _, _ := newStore(t)
	key := newKey(t)
	if err := s.Save(otherID, key); err != nil {
		t.Fatal(err)
	}
	for name, place := range map[string]func(path string) error{
		"torn":            func(path string) error { return os.WriteFile(path, []byte(key.String()[:30]), 0o600) },
		"empty":           func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"folder":          func(path string) error { return os.Mkdir(path, 0o700) },
		"link":            func(path string) error { return os.Symlink(s.Path(otherID), path) },
		"link to nothing": func(path string) error { return os.Symlink("nowhere", path) },
	} {
		path := s.Path(cloudID)
		if err := place(path); err != nil {
			t.Fatal(err)
		}
		_, err := s.Load(cloudID)
		wantError(t, err, cairn.CodeCloudLocked, path, "cannot be used")
		if err := s.Save(cloudID, newKey(t)); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: Save: %v", name, err)
		}
		if err := os.Remove(path); err != nil {
			t.Errorf("%s was replaced: %v", name, err)
		}
	}
	wantKey(t, s, nil)
}

func TestFolderThatCannotBeUsed(t *testing.T) {
	s, _, _ := newStore(t)
	write(t, s.Dir, "a file")
	if err := s.Save(cloudID, newKey(t)); err == nil {
		t.Error("Save returned nil")
	}
	if _, err := s.IDs(); err == nil {
		t.Error("IDs returned nil")
	}
}

// TestSaveThatFails has each step fail: no key passes for stored.
func TestSaveThatFails(t *testing.T) {
	for _, step := range []string{"key.write", "key.name", "key.clean", "key.sync"} {
		for _, done := range []bool{false, true} {
			s, _, _ := newStore(t)
			key := newKey(t)
			s.Step = failing(step, done)
			err := s.Save(cloudID, key)
			if !errors.Is(err, errMade) {
				t.Errorf("%s: Save: %v", step, err)
			}
			wantError(t, err, cairn.CodeInternal, s.Path(cloudID))
			s.Step = nil
			wantPlace(t, s, keys.None)
			if err := s.Save(cloudID, key); err != nil {
				t.Errorf("%s: the next Save: %v", step, err)
			}
			wantKey(t, s, key)
		}
	}
}

// TestRemoveThatFails has each step fail: a key that may be there does not pass for
// forgotten, and the next Remove forgets it.
func TestRemoveThatFails(t *testing.T) {
	for _, step := range []string{"keychain.delete", "key.remove", "key.removed", "marker.remove", "marker.removed"} {
		for _, done := range []bool{false, true} {
			s, c, _ := newStore(t)
			if err := s.Save(cloudID, newKey(t)); err != nil {
				t.Fatal(err)
			}
			// As a crash in the midst of a Move leaves them.
			c.entries["cairn "+cloudID] = "the key"
			write(t, s.Path(cloudID)+".keychain", "")
			s.Step = failing(step, done)
			if err := s.Remove(cloudID); !errors.Is(err, errMade) {
				t.Errorf("%s: Remove: %v", step, err)
			}
			s.Step = nil
			if err := s.Remove(cloudID); err != nil {
				t.Errorf("%s: the next Remove: %v", step, err)
			}
			if got := files(t, s); len(got) > 0 || len(c.entries) > 0 {
				t.Errorf("%s: there are %q and the entries %v", step, got, c.entries)
			}
		}
	}
}

// failing returns a Step that has one fail, after it was done or before.
func failing(step string, done bool) func(string, func() error) error {
	return func(name string, do func() error) error {
		if name != step {
			return do()
		}
		if done {
			if err := do(); err != nil {
				return err
			}
		}
		return errMade
	}
}
