package cloud_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"filippo.io/age"
	"github.com/google/uuid"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/cloud"
	"cairn/internal/durable"
	"cairn/internal/keys"
	"cairn/test/stores"
)

var errMade = errors.New("made to fail")

// A firstOpen is a way in which a device that has no key opens a cloud.
type firstOpen struct {
	name    string
	key     *age.X25519Identity // that the user supplies
	cloud   string              // cairn.json that is there
	refuses bool                // the store takes no object at the first try
}

// firstOpens are all of them.
func firstOpens(t *testing.T) []firstOpen {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	return []firstOpen{
		{name: "made"},
		{name: "made with a key of the user", key: newKey(t)},
		{name: "not made", refuses: true},
		{name: "made elsewhere", key: c.Identity(), cloud: string(get(t, b, "cairn.json"))},
	}
}

// A keyTrial is one line of the fault table: what happens to one step in the
// folder of keys, or to one call of the bucket.
type keyTrial struct {
	scene   firstOpen
	step    string        // "" for a call
	done    bool          // the step is done, and fails all the same
	call    int           // 0 for a step
	outcome fault.Outcome // of the call
	rest    bool          // and of all behind it
	restart bool          // before the next try
}

// A keyring is a device in a trial, and what happens to it.
type keyring struct {
	*device
	t      *testing.T
	trial  keyTrial
	inner  bucket.Bucket
	other  string // file of the key of another cloud
	steps  []string
	calls  int
	off    bool
	struck bool
	synced bool // what the folder of keys holds is durable
}

const otherKey = "# the key of another cloud\n"

// newKeyring returns the device before its first try.
func newKeyring(t *testing.T, trial keyTrial) *keyring {
	t.Helper()
	k := &keyring{t: t, trial: trial, inner: stores.New(t)}
	if trial.scene.cloud != "" {
		put(t, k.inner, "cairn.json", []byte(trial.scene.cloud))
	}
	k.device = newDevice(t, fault.New(k.inner, k.decide))
	k.Identity, k.Keys.Step = trial.scene.key, k.do
	k.other = k.Keys.Path(uuid.NewString())
	if err := os.WriteFile(k.other, []byte(otherKey), 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// decide decides about a call. A cloud must not be made before its key is safe.
func (k *keyring) decide(c fault.Call) fault.Outcome {
	if c.Op == fault.Put && !k.synced {
		k.t.Error("cairn.json is written before the key is durable")
	}
	if k.off {
		return fault.Outcome{}
	}
	k.calls++
	switch {
	case k.calls == k.trial.call, k.calls > k.trial.call && k.trial.rest:
		k.struck = true
		return k.trial.outcome
	case c.Op == fault.Put && k.trial.scene.refuses:
		return fault.Outcome{Effect: fault.Fail, Err: bucket.ErrRefused}
	}
	return fault.Outcome{}
}

// do does a step.
func (k *keyring) do(name string, do func() error) (err error) {
	defer func() { k.synced = name == "key.sync" && err == nil || k.synced && name != "key.name" }()
	if k.off {
		return do()
	}
	k.steps = append(k.steps, name)
	if name != k.trial.step {
		return do()
	}
	k.struck = true
	err = &fs.PathError{Op: "write", Path: name, Err: errMade}
	if k.trial.done {
		err = errors.Join(do(), err)
	}
	return err
}

// files returns the key files but that of the other cloud.
func (k *keyring) files() []string {
	k.t.Helper()
	if text, err := os.ReadFile(k.other); err != nil || string(text) != otherKey {
		k.t.Errorf("the key of another cloud is %q now (%v)", text, err)
	}
	return slices.DeleteFunc(k.keyFiles(k.t), func(name string) bool { return name == filepath.Base(k.other) })
}

// tidy does to the folder of keys what a start of the daemon does.
func (k *keyring) tidy() {
	k.t.Helper()
	if _, err := durable.RemoveTemps(k.Keys.Dir); err != nil {
		k.t.Fatal(err)
	}
}

// run opens the cloud while something fails, and again.
func (trial keyTrial) run(t *testing.T) {
	k := newKeyring(t, trial)
	first, err := cloud.Open(t.Context(), k.Config)
	k.off = true
	if !k.struck {
		t.Fatal("nothing was made to fail")
	}
	if trial.step != "" {
		trial.judge(k, err)
	}
	if trial.restart {
		k.tidy()
	}
	if first != nil && !k.synced {
		t.Error("the cloud is open, and its key is not durable")
	}
	c := first
	if err != nil {
		c = k.open(t)
	}
	if !k.synced {
		t.Error("the next try opened the cloud, and its key is not durable")
	}
	trial.check(k, c)
}

// judge looks at what a step that failed has led to.
func (trial keyTrial) judge(k *keyring, err error) {
	k.t.Helper()
	left := 0
	switch {
	case strings.HasPrefix(trial.step, "key.remove"):
		wantError(k.t, err, cairn.CodeDenied, "cairn.json")
	default:
		wantError(k.t, err, cairn.CodeInternal, k.Keys.Dir)
		if !errors.Is(err, errMade) {
			k.t.Errorf("%v does not say why", err)
		}
	}
	if !trial.done && (trial.step == "key.remove" || trial.step == "key.clean") {
		left = 1 // what could not be removed
	}
	files := k.files()
	if len(files) != left || left == 1 && (trial.step == "key.clean") != strings.HasSuffix(files[0], durable.TempSuffix) {
		k.t.Errorf("the key files %q are left", files)
	}
	want := map[string]string{}
	if trial.scene.cloud != "" {
		want["cairn.json"] = trial.scene.cloud
	}
	if got := content(k.t, k.inner); !maps.Equal(got, want) {
		k.t.Errorf("the bucket has %q, want %q", got, want)
	}
}

// check looks at all that is stored when the cloud is open, and opens it with
// what is stored alone.
func (trial keyTrial) check(k *keyring, c *cloud.Cloud) {
	k.t.Helper()
	if got := names(k.t, k.inner); !slices.Equal(got, []string{"cairn.json"}) {
		k.t.Errorf("the bucket has %q", got)
	}
	if text := string(get(k.t, k.inner, "cairn.json")); trial.scene.cloud != "" && text != trial.scene.cloud {
		k.t.Errorf("cairn.json was %q and is %q", trial.scene.cloud, text)
	}
	if key := trial.scene.key; key != nil && c.Identity().String() != key.String() {
		k.t.Error("the cloud has another key than the one supplied")
	}
	k.tidy()
	files := k.files()
	if !slices.Contains(files, c.ID()) {
		k.t.Errorf("the cloud is %s, and the key files are %q", c.ID(), files)
	}
	// A cloud whose fate was not known keeps its key, and so does one whose key
	// could not be removed.
	if most := 2; len(files) > most || len(files) == most && trial.step != "" && trial.step != "key.remove" {
		k.t.Errorf("the key files are %q for one cloud", files)
	}
	k.Identity = nil
	again := k.open(k.t)
	if again.ID() != c.ID() || again.Identity().String() != c.Identity().String() {
		k.t.Error("what is stored opens another cloud")
	}
	commit(k.t, c, 1)
	if list, unreadable, err := again.Backups(k.t.Context()); err != nil || len(list) != 1 || len(unreadable) > 0 {
		k.t.Errorf("the stored key reads %d backups, not %d, %v", len(list), len(unreadable), err)
	}
}

// TestFirstOpenFaults has each write in the folder of keys and each call of the
// bucket fail, with and without having been done, when a device first opens a
// cloud: no key is overwritten, no cloud is without its key, and the next try
// opens it, in the same process and after a restart.
func TestFirstOpenFaults(t *testing.T) {
	for _, scene := range firstOpens(t) {
		clean := newKeyring(t, keyTrial{scene: scene})
		if _, err := cloud.Open(t.Context(), clean.Config); (err != nil) != scene.refuses {
			t.Fatalf("%s: %v", scene.name, err)
		}
		t.Logf("%s: %d calls, steps %q", scene.name, clean.calls, clean.steps)
		var trials []keyTrial
		for _, restart := range []bool{false, true} {
			for _, step := range clean.steps {
				trials = append(trials, keyTrial{scene: scene, step: step, restart: restart},
					keyTrial{scene: scene, step: step, done: true, restart: restart})
			}
			for call := 1; call <= clean.calls; call++ {
				for _, outcome := range []fault.Outcome{
					{Effect: fault.Fail}, {Effect: fault.Lost}, {Effect: fault.Cut}, {Effect: fault.Fail, Err: bucket.ErrRefused},
				} {
					trials = append(trials, keyTrial{scene: scene, call: call, outcome: outcome, restart: restart},
						keyTrial{scene: scene, call: call, outcome: outcome, rest: true, restart: restart})
				}
			}
		}
		for _, trial := range trials {
			name := fmt.Sprintf("%s/call %d effect %d %v rest=%t restart=%t", scene.name, trial.call, trial.outcome.Effect, trial.outcome.Err, trial.rest, trial.restart)
			if trial.step != "" {
				name = fmt.Sprintf("%s/%s done=%t restart=%t", scene.name, trial.step, trial.done, trial.restart)
			}
			t.Run(name, func(t *testing.T) { synctest.Test(t, trial.run) })
		}
	}
}

// TestForeignKeyFileStays has another key file appear under the name of the one
// that is being written, which fails: what is not ours is not taken back.
func TestForeignKeyFileStays(t *testing.T) {
	dir := t.TempDir()
	const foreign = "the key of somebody else"
	var path string
	_, err := cloud.Open(t.Context(), cloud.Config{
		Bucket: stores.New(t), URL: "memory", Keys: &keys.Store{Dir: dir, Step: func(name string, do func() error) error {
			if name != "key.name" {
				return do()
			}
			temps, err := filepath.Glob(filepath.Join(dir, "*"+durable.TempSuffix))
			if err != nil || len(temps) != 1 {
				t.Fatalf("the key is written to %v, %v", temps, err)
			}
			id, _, _ := strings.Cut(filepath.Base(temps[0]), ".")
			path = filepath.Join(dir, id)
			return errors.Join(os.WriteFile(path, []byte(foreign), 0o600), errMade)
		}},
	})
	if !errors.Is(err, errMade) {
		t.Errorf("Open returned %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != foreign {
		t.Errorf("the file holds %q, %v", text, err)
	}
}
