package connection_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"cairn"
	"cairn/internal/cloud"
	"cairn/internal/connection"
	"cairn/internal/device"
	"cairn/internal/keys"
	"cairn/internal/kit"
)

// passphrase is one that is long enough.
var passphrase = cairn.NewSecret("correct horse battery staple")

// home is a device: a data folder with device.db and keys, and its connections.
type home struct {
	t       *testing.T
	data    string
	device  *failing
	keys    *keys.Store
	engine  *engine
	clouds  *connection.Connections
	changes func(*connection.Config)
}

// engine is a connection.Engine that opens the cloud anew each time.
type engine struct {
	clouds   *connection.Connections
	switched []string // the ids of the clouds that it was told of, "" for none
}

func (e *engine) Switch(c *cloud.Cloud) {
	id := ""
	if c != nil {
		id = c.ID()
	}
	e.switched = append(e.switched, id)
}

func (e *engine) Connect(ctx context.Context) (*cloud.Cloud, error) { return e.clouds.Open(ctx) }

// observer hears nothing.
type observer struct{}

func (observer) Called(string, error) {}
func (observer) Sent(int64)           {}
func (observer) Received(int64)       {}
func (observer) Connected(error)      {}

// failing is a device of which one change fails.
type failing struct {
	*device.Device
	fail string // the method that fails; "" for none
	// What is done once, if not nil: after KnownCloud, before SetKnownCloud, and
	// before SetCurrentCloud.
	then, seen, storing func()
}

// once does what is to be done once.
func once(do *func()) {
	if now := *do; now != nil {
		*do = nil
		now()
	}
}

var errBroken = &cairn.Error{Code: cairn.CodeDiskFull, Message: "There is no room.", Hint: "Free some."}

func (f *failing) KnownCloud(ctx context.Context, place string) (string, error) {
	if f.fail == "KnownCloud" {
		return "", errBroken
	}
	defer once(&f.then)
	return f.Device.KnownCloud(ctx, place)
}

func (f *failing) SetKnownCloud(ctx context.Context, place, url, id string) error {
	if f.fail == "SetKnownCloud" {
		return errBroken
	}
	once(&f.seen)
	return f.Device.SetKnownCloud(ctx, place, url, id)
}

func (f *failing) SetCurrentCloud(ctx context.Context, now cairn.CurrentCloud) error {
	if f.fail == "SetCurrentCloud" {
		return errBroken
	}
	once(&f.storing)
	return f.Device.SetCurrentCloud(ctx, now)
}

// newHome returns a device with an empty data folder.
func newHome(t *testing.T, changes ...func(*connection.Config)) *home {
	t.Helper()
	h := &home{t: t, data: t.TempDir(), device: &failing{}, changes: func(c *connection.Config) {
		for _, change := range changes {
			change(c)
		}
	}}
	h.open()
	t.Cleanup(func() { h.device.Close() })
	return h
}

// open starts the device.
func (h *home) open() {
	h.t.Helper()
	var err error
	if h.device.Device, err = device.Open(h.t.Context(), device.Config{Dir: h.data}); err != nil {
		h.t.Fatal(err)
	}
	h.keys = &keys.Store{Dir: filepath.Join(h.data, "keys"), Log: slog.New(slog.DiscardHandler)}
	cfg := connection.Config{Data: h.data, Device: h.device, Keys: h.keys, Observer: observer{}, WorkFactor: 2, Log: slog.New(slog.DiscardHandler)}
	h.changes(&cfg)
	if h.clouds, err = connection.New(cfg); err != nil {
		h.t.Fatal(err)
	}
	h.engine = &engine{clouds: h.clouds}
	h.clouds.Use(h.engine)
}

// restart stops the device and starts it again.
func (h *home) restart() {
	h.t.Helper()
	if err := h.device.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.open()
}

// connect connects a cloud and returns its id. want is the code of the error.
func (h *home) connect(r cairn.CloudRequest, want cairn.Code) string {
	h.t.Helper()
	before, told := h.current(), len(h.engine.switched)
	c, err := h.clouds.Connect(h.t.Context(), r)
	if cairn.CodeOf(err) != want {
		h.t.Fatalf("connecting %q: %v, want %q", r.URL, err, want)
	}
	if e, ok := errors.AsType[*cairn.Error](err); ok && (e.Hint == "" || strings.Contains(e.Message+e.Hint, passphrase.Reveal())) {
		h.t.Errorf("connecting %q says %q, %q", r.URL, e.Message, e.Hint)
	}
	if err != nil && r.URL != "" && (h.current() != before || len(h.engine.switched) != told) {
		h.t.Errorf("an error (%v) changed %+v to %+v, and the engine was told of %q", err, before, h.current(), h.engine.switched[told:])
	}
	if err == nil && (!c.Current || c.Disconnected || h.opens() != c.ID) {
		h.t.Errorf("connecting %q: %+v", r.URL, c)
	}
	return c.ID
}

// opens returns the id of the cloud that is opened, or the code of the error.
func (h *home) opens() string {
	h.t.Helper()
	c, err := h.clouds.Open(h.t.Context())
	if err != nil {
		return string(cairn.CodeOf(err))
	}
	return c.ID()
}

func (h *home) current() cairn.CurrentCloud { return h.device.CurrentCloud() }

// files returns the paths of the files below a folder.
func files(t *testing.T, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return paths
}

// TestConnect goes from cloud to cloud and back, across starts.
func TestConnect(t *testing.T) {
	h := newHome(t)
	own := h.opens() // the default one, which the first start makes
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	h.connect(cairn.CloudRequest{URL: a}, cairn.CodeBucketMissing)
	if _, err := os.Stat(a); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("connecting made %s: %v", a, err)
	}
	if err := os.Mkdir(b, 0o700); err != nil {
		t.Fatal(err)
	}
	h.connect(cairn.CloudRequest{URL: b}, cairn.CodeCloudNotFound)
	h.connect(cairn.CloudRequest{URL: "http://somewhere", Create: true}, cairn.CodeInvalid)
	if left := files(t, b); len(left) > 0 || h.opens() != own {
		t.Errorf("connecting without --create left %q, and the cloud is %s, want %s", left, h.opens(), own)
	}
	idA := h.connect(cairn.CloudRequest{URL: a, Create: true}, "")
	idB := h.connect(cairn.CloudRequest{URL: b, Create: true}, "")
	if idA == idB || idA == own {
		t.Fatalf("the clouds are %s, %s, %s", own, idA, idB)
	}
	h.restart()
	if h.opens() != idB {
		t.Errorf("after a start the cloud is %s, want %s", h.opens(), idB)
	}
	was := append(files(t, a), files(t, b)...)
	for _, to := range []struct{ url, id string }{{a, idA}, {b, idB}, {filepath.Join(h.data, "cloud"), own}, {a, idA}} {
		if got := h.connect(cairn.CloudRequest{URL: to.url}, ""); got != to.id {
			t.Errorf("at %s is %s, want %s", to.url, got, to.id)
		}
		h.restart()
	}
	if now := append(files(t, a), files(t, b)...); strings.Join(now, " ") != strings.Join(was, " ") || len(was) != 2 {
		t.Errorf("connecting changed what is in the clouds from %q to %q", was, now)
	}
	list, err := h.clouds.List(t.Context())
	if err != nil || len(list) != 3 || list[0].ID != idA || !list[0].Current || list[0].Key != cairn.KeyInFile || list[0].Local || list[0].Seen.IsZero() {
		t.Fatalf("the list is %+v, %v", list, err)
	}
	for _, one := range list[1:] {
		if one.Current || one.Local != (one.ID == own) || one.ID != own && one.ID != idB {
			t.Errorf("the list has %+v", one)
		}
	}
	// A data folder that is moved takes its own cloud along.
	h.connect(cairn.CloudRequest{URL: filepath.Join(h.data, "cloud")}, "")
	if err := h.device.Close(); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(h.data, moved); err != nil {
		t.Fatal(err)
	}
	h.data = moved
	h.open()
	if h.opens() != own || !h.clouds.Place().Local() {
		t.Errorf("moved, the cloud is %s, want %s", h.opens(), own)
	}
}

// TestDisconnect has no cloud used until it is connected again, whatever is
// restarted in between.
func TestDisconnect(t *testing.T) {
	h := newHome(t)
	own := h.opens()
	for range 2 { // doing it again is no error
		if id, err := h.clouds.Disconnect(t.Context()); id != own || err != nil {
			t.Errorf("disconnecting: %q, %v", id, err)
		}
		if got := h.opens(); got != string(cairn.CodeNoCloud) {
			t.Errorf("disconnected, it opens %s", got)
		}
		h.restart()
	}
	list, err := h.clouds.List(t.Context())
	if err != nil || len(list) != 1 || !list[0].Disconnected || !list[0].Current || list[0].ID != own {
		t.Errorf("the list is %+v, %v", list, err)
	}
	if got := h.connect(cairn.CloudRequest{}, ""); got != own {
		t.Errorf("connected again, it is %s", got)
	}
	// One that cannot be reached is connected all the same, and opens when it is back.
	if _, err := h.clouds.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	at, away := filepath.Join(h.data, "cloud"), filepath.Join(h.data, "away")
	if err := os.Rename(at, away); err != nil {
		t.Fatal(err)
	}
	h.connect(cairn.CloudRequest{}, cairn.CodeBucketMissing)
	if err := os.Rename(away, at); err != nil {
		t.Fatal(err)
	}
	if got := h.opens(); got != own {
		t.Errorf("when it is back, it opens %s", got)
	}
	// To connect another one is to go on with that.
	if _, err := h.clouds.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := h.connect(cairn.CloudRequest{URL: filepath.Join(t.TempDir(), "c"), Create: true}, "")
	h.connect(cairn.CloudRequest{URL: at}, "")
	if other == own || h.opens() != own {
		t.Errorf("it opens %s, want %s", h.opens(), own)
	}
}

// TestConnectFails has each change that is stored fail: the cloud that was used
// stays, also after a start, and doing it again does it.
func TestConnectFails(t *testing.T) {
	for _, fail := range []string{"KnownCloud", "SetKnownCloud", "SetCurrentCloud"} {
		t.Run(fail, func(t *testing.T) {
			h := newHome(t)
			own := h.opens()
			url := filepath.Join(t.TempDir(), "a")
			h.device.fail = fail
			h.connect(cairn.CloudRequest{URL: url, Create: true}, cairn.CodeDiskFull)
			if _, err := h.clouds.Disconnect(t.Context()); fail == "SetCurrentCloud" && cairn.CodeOf(err) != cairn.CodeDiskFull {
				t.Errorf("disconnecting: %v", err)
			}
			h.device.fail = ""
			if fail != "SetCurrentCloud" {
				h.connect(cairn.CloudRequest{}, "")
			}
			h.restart()
			if got := h.opens(); got != own {
				t.Errorf("the cloud is %s, want %s", got, own)
			}
			made := h.connect(cairn.CloudRequest{URL: url, Create: true}, "")
			if list := files(t, url); len(list) != 1 || made == own {
				t.Errorf("in the end %s holds %q", url, list)
			}
		})
	}
}

// TestConfigured has the configuration say which cloud is used.
func TestConfigured(t *testing.T) {
	url := filepath.Join(t.TempDir(), "configured")
	configured := ""
	h := newHome(t, func(c *connection.Config) { c.Configured = configured })
	other := h.connect(cairn.CloudRequest{URL: filepath.Join(t.TempDir(), "other"), Create: true}, "")
	configured = url
	h.restart()
	made := h.opens()
	if made == other || len(files(t, url)) != 1 {
		t.Errorf("an empty place that is configured becomes no cloud: %s", made)
	}
	h.connect(cairn.CloudRequest{URL: filepath.Join(t.TempDir(), "third"), Create: true}, cairn.CodeInvalid)
	if got := h.connect(cairn.CloudRequest{URL: url}, ""); got != made {
		t.Errorf("it connects %s, want %s", got, made)
	}
	if _, err := h.clouds.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.restart()
	if got := h.opens(); got != string(cairn.CodeNoCloud) {
		t.Errorf("disconnected, it opens %s", got)
	}
	// What was used without the configuration is used without it again.
	configured = ""
	h.restart()
	if got := h.opens(); got != other {
		t.Errorf("without the configuration it opens %s, want %s", got, other)
	}
	// What was disconnected without it stays so.
	if _, err := h.clouds.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	configured = url
	h.restart()
	h.connect(cairn.CloudRequest{}, "")
	configured = ""
	h.restart()
	if got := h.opens(); got != string(cairn.CodeNoCloud) {
		t.Errorf("what was disconnected opens %s", got)
	}
}

// TestConfiguredKey has the configuration give a key and no place: it is that of the
// cloud which is used, where the device lacks it, and of no other one.
func TestConfiguredKey(t *testing.T) {
	var identity *age.X25519Identity
	h := newHome(t, func(c *connection.Config) { c.Identity = identity })
	id := h.opens()
	other := filepath.Join(t.TempDir(), "other")
	otherID := h.connect(cairn.CloudRequest{URL: other, Create: true}, "")
	h.connect(cairn.CloudRequest{URL: filepath.Join(h.data, "cloud")}, "")
	var err error
	if identity, err = h.keys.Load(id); err != nil {
		t.Fatal(err)
	}
	if err := h.keys.Remove(id); err != nil {
		t.Fatal(err)
	}
	h.restart()
	if got := h.opens(); got != id {
		t.Errorf("with the key it opens %s", got)
	}
	if _, err := h.clouds.AddPassphrase(t.Context(), passphrase); err != nil {
		t.Fatal(err)
	}
	if err := h.clouds.Lock(t.Context()); cairn.CodeOf(err) != cairn.CodeInvalid {
		t.Errorf("locking: %v", err)
	}
	if got := h.connect(cairn.CloudRequest{URL: other}, ""); got != otherID {
		t.Errorf("it connects %s", got)
	}
	made := h.connect(cairn.CloudRequest{URL: filepath.Join(t.TempDir(), "third"), Create: true}, "")
	if stored, err := h.keys.Load(made); err != nil || stored == nil || stored.String() == identity.String() {
		t.Errorf("another cloud has the key that was configured: %v", err)
	}
}

// TestUnlock has a second device open a cloud, with what each device can have and
// with what it cannot.
func TestUnlock(t *testing.T) {
	url := filepath.Join(t.TempDir(), "cloud")
	first := newHome(t)
	id := first.connect(cairn.CloudRequest{URL: url, Create: true}, "")
	identity, err := first.keys.Load(id)
	if err != nil {
		t.Fatal(err)
	}
	second := newHome(t)
	second.opens() // has a cloud, and a key, of its own
	own, err := second.keys.Load(second.opens())
	if err != nil {
		t.Fatal(err)
	}
	second.connect(cairn.CloudRequest{URL: url}, cairn.CodeCloudLocked)
	second.connect(cairn.CloudRequest{URL: url, Passphrase: passphrase}, cairn.CodeCloudLocked) // it has none
	if _, err := first.clouds.AddPassphrase(t.Context(), passphrase); err != nil {
		t.Fatal(err)
	}
	second.connect(cairn.CloudRequest{URL: url}, cairn.CodeCloudLocked)
	second.connect(cairn.CloudRequest{URL: url, Passphrase: cairn.NewSecret("another one that is long")}, cairn.CodePassphraseWrong)
	second.connect(cairn.CloudRequest{URL: url, Key: cairn.NewSecret(own.String())}, cairn.CodeKeyWrong)
	second.connect(cairn.CloudRequest{URL: url, Key: cairn.NewSecret("no key")}, cairn.CodeInvalid)
	second.connect(cairn.CloudRequest{URL: url, Key: cairn.NewSecret(identity.String()), Passphrase: passphrase}, cairn.CodeInvalid)
	if ids, err := second.keys.IDs(); err != nil || len(ids) != 1 {
		t.Errorf("the keys are %q, %v", ids, err)
	}
	if got := second.connect(cairn.CloudRequest{URL: url, Passphrase: passphrase}, ""); got != id {
		t.Errorf("it is %s, want %s", got, id)
	}
	second.restart()
	if got := second.opens(); got != id {
		t.Errorf("after a start it opens %s", got)
	}
	third := newHome(t)
	text := "# a file\n" + identity.String() + "\n"
	if got := third.connect(cairn.CloudRequest{URL: url, Key: cairn.NewSecret(text)}, ""); got != id {
		t.Errorf("with the key it is %s", got)
	}
}

// TestLock forgets the key only where something else opens the cloud.
func TestLock(t *testing.T) {
	h := newHome(t)
	id := h.opens()
	lock := func(want cairn.Code) {
		t.Helper()
		if err := h.clouds.Lock(t.Context()); cairn.CodeOf(err) != want {
			t.Fatalf("locking: %v, want %q", err, want)
		}
	}
	lock(cairn.CodeKeyNeeded)
	identity, err := h.keys.Load(id)
	if err != nil || identity == nil {
		t.Fatalf("the key is %v, %v", identity, err)
	}
	if _, err := h.clouds.AddPassphrase(t.Context(), passphrase); err != nil {
		t.Fatal(err)
	}
	lock("")
	lock("") // doing it again is no error
	if got := h.opens(); got != string(cairn.CodeCloudLocked) || len(files(t, filepath.Join(h.data, "keys"))) > 0 {
		t.Errorf("locked, it opens %s, with the keys %q", got, files(t, filepath.Join(h.data, "keys")))
	}
	h.restart()
	h.connect(cairn.CloudRequest{Passphrase: cairn.NewSecret("another one that is long")}, cairn.CodePassphraseWrong)
	if got := h.connect(cairn.CloudRequest{Passphrase: passphrase}, ""); got != id {
		t.Errorf("unlocked, it is %s", got)
	}
	// Without a passphrase it takes a kit.
	if removed, err := h.clouds.RemovePassphrase(t.Context(), passphrase); err != nil || len(removed) != 1 {
		t.Fatalf("removing: %v, %v", removed, err)
	}
	lock(cairn.CodeKeyNeeded)
	code := kit.Kit{Cloud: id, Key: cairn.NewSecret(identity.String())}.Check()
	for _, wrong := range []string{"", "0000-0000", code[:4]} {
		if err := h.clouds.AcknowledgeKit(t.Context(), wrong); cairn.CodeOf(err) != cairn.CodeInvalid {
			t.Errorf("the code %q: %v", wrong, err)
		}
	}
	lock(cairn.CodeKeyNeeded)
	if err := h.clouds.AcknowledgeKit(t.Context(), strings.ToLower(strings.ReplaceAll(code, "-", " "))); err != nil {
		t.Fatal(err)
	}
	lock("")
	if err := h.clouds.AcknowledgeKit(t.Context(), code); cairn.CodeOf(err) != cairn.CodeCloudLocked {
		t.Errorf("acknowledging a kit without the key: %v", err)
	}
	h.connect(cairn.CloudRequest{}, cairn.CodeCloudLocked)
	if got := h.connect(cairn.CloudRequest{Key: cairn.NewSecret(identity.String())}, ""); got != id {
		t.Errorf("with the key it is %s", got)
	}
	// Where the cloud cannot be asked for its passphrases, the key stays.
	other := newHome(t)
	other.opens()
	if err := os.Rename(filepath.Join(other.data, "cloud"), filepath.Join(other.data, "away")); err != nil {
		t.Fatal(err)
	}
	if err := other.clouds.Lock(t.Context()); cairn.CodeOf(err) != cairn.CodeBucketMissing || !strings.Contains(err.Error(), "its key stays") {
		t.Errorf("locking what cannot be asked: %v", err)
	}
	if len(files(t, filepath.Join(other.data, "keys"))) != 1 {
		t.Error("the key is gone")
	}
}
