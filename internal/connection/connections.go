// Package connection knows which clouds this device has used, where their keys
// are, and which one is used now. It opens that one for package backup.
//
//	clouds, err := connection.New(connection.Config{Data: data, Configured: place, Device: device, ...})
//	engine := backup.New(backup.Config{Connect: clouds.Open, ...})
//	clouds.Use(engine)
//	c, err := clouds.Connect(ctx, cairn.CloudRequest{URL: "s3://bucket/laptop", Passphrase: passphrase})
//
// Connecting neither sends nor deletes anything by itself, but for the one object
// that makes a cloud of an empty place, if that was asked for.
package connection

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"filippo.io/age"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/cloud"
	"cairn/internal/keys"
)

// Device is device.db, as far as it is needed here. Package device describes its
// methods of the same names.
type Device interface {
	cloud.Cache
	KnownCloud(ctx context.Context, place string) (id string, err error)
	SetKnownCloud(ctx context.Context, place, url, id string) error
	KnownClouds(ctx context.Context) ([]cairn.KnownCloud, error)
	CurrentCloud() cairn.CurrentCloud
	SetCurrentCloud(ctx context.Context, current cairn.CurrentCloud) error
	AcknowledgeKit(ctx context.Context, cloud string) error
	KitAcknowledged(ctx context.Context, cloud string) (time.Time, error)
}

// An Observer hears what is asked of stores, and whether they can be opened: an
// error is why not.
type Observer interface {
	bucket.Observer
	Connected(err error)
}

// An Engine works with the cloud that is used. Package backup describes its methods
// of the same names.
type Engine interface {
	Switch(c *cloud.Cloud)
	Connect(ctx context.Context) (*cloud.Cloud, error)
}

// Config is what Connections work with. All but Configured, Identity and Log are
// required.
type Config struct {
	// Data is the path of the data folder.
	Data string
	// Configured is the place that the configuration gives, "" for none: as long as
	// it does, no other one is used.
	Configured string
	// Identity is the key that the configuration gives for that place; nil for none.
	Identity *age.X25519Identity
	Device   Device
	Keys     *keys.Store
	Observer Observer
	// WorkFactor is for slots that are made: see cloud.Config.
	WorkFactor int
	// Log gets what no caller is told; nil means slog.Default.
	Log *slog.Logger
}

// Connections are the clouds of a device. Their methods can be called at the same
// time.
type Connections struct {
	cfg        Config
	configured Place
	engine     Engine

	scrypt   sync.Mutex    // held while a passphrase is tried, by whichever request
	changing sync.Mutex    // held while device.db is changed, and the engine is told
	removing chan struct{} // holds a token while nobody removes what opens a cloud
	mu       sync.Mutex
	current  *connection // that is used, unless it is disconnected; guarded by mu
}

// New returns the connections of a device. It opens nothing yet. Its errors say
// what is wrong with a place.
func New(cfg Config) (*Connections, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	c := &Connections{cfg: cfg, removing: make(chan struct{}, 1)}
	c.removing <- struct{}{}
	place, err := Parse(cfg.Configured, cfg.Data)
	if err != nil {
		return nil, err
	}
	c.configured = place
	if !place.given {
		if place, err = Parse(cfg.Device.CurrentCloud().Place, cfg.Data); err != nil {
			return nil, err
		}
	}
	c.current = newConnection(place)
	c.current.first = true
	return c, nil
}

// Use has an engine hear of which cloud is used. Call it before the other methods.
func (c *Connections) Use(e Engine) { c.engine = e }

// Place returns the place of the cloud that is used, or was before it was
// disconnected.
func (c *Connections) Place() Place { return c.now().place }

func (c *Connections) now() *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

func (c *Connections) setNow(n *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = n
}

// Open opens the cloud that is used. It makes the default one, and the one that is
// configured without a key, if nothing is there that was known. cairn.CodeNoCloud
// means that it was disconnected.
func (c *Connections) Open(ctx context.Context) (*cloud.Cloud, error) {
	n := c.now()
	if c.isDisconnected(n.place) {
		return nil, &cairn.Error{
			Code:    cairn.CodeNoCloud,
			Message: "No cloud is connected: " + n.place.url + " was disconnected.",
			Hint:    "Connect it again with cairn cloud connect, or another one with cairn cloud connect URL.",
		}
	}
	how := opening{create: !n.place.given}
	if c.configured.given {
		how.create = c.cfg.Identity == nil
	}
	var err error
	if how.identity, err = c.configuredKey(ctx, n.place); err != nil {
		return nil, err
	}
	return c.open(ctx, n, how)
}

// configuredKey returns the key that the configuration gives for the cloud that is
// used: that of the place in the configuration, or where that names none, of one
// whose key this device lacks. nil is for none.
func (c *Connections) configuredKey(ctx context.Context, p Place) (*age.X25519Identity, error) {
	if c.cfg.Identity == nil || c.configured.given {
		return c.cfg.Identity, nil
	}
	known, err := c.cfg.Device.KnownCloud(ctx, p.key)
	if err != nil {
		return nil, err
	}
	if known != "" {
		if at, err := c.cfg.Keys.Place(known); err != nil || at != cairn.KeyNowhere {
			return nil, err
		}
	}
	return c.cfg.Identity, nil
}

func (c *Connections) isDisconnected(p Place) bool {
	return c.cfg.Device.CurrentCloud().Disconnected == p.key
}

// Connect has a cloud used from now on, once it is open: until then, and after an
// error, the one that was used stays. Without a URL it connects the one that is
// used or was disconnected, also when that cannot be reached now. It returns the
// cloud as List would.
//
// cairn.CodeInvalid is for a place that is none, or another one than the
// configuration gives; cairn.CodeCloudNotFound for one where no cloud is. The
// others are those of cloud.Open. When ctx ends, the cause of ctx is returned at
// once; what was begun may still come to its end, without being used.
func (c *Connections) Connect(ctx context.Context, r cairn.CloudRequest) (cairn.Connection, error) {
	how, err := c.read(r)
	if err != nil {
		return cairn.Connection{}, err
	}
	place := c.Place()
	if r.URL != "" {
		if place, err = Parse(r.URL, c.cfg.Data); err != nil {
			return cairn.Connection{}, invalid("The place cannot be used: "+err.Error()+".", "Nothing was changed.")
		}
	}
	if c.configured.given && place.key != c.configured.key {
		return cairn.Connection{}, invalid(
			"The configuration of the daemon says which cloud is used: "+c.configured.url+".",
			"Take cloud out of it (--cloud, CAIRN_CLOUD, or the file; cairn config check says which), and start the daemon again. Nothing was changed.")
	}
	if r.URL == "" {
		if place, err = c.reconnect(ctx); err != nil {
			return cairn.Connection{}, err
		}
	}
	if how.identity == nil && r.Passphrase.IsZero() && place.key == c.Place().key {
		if how.identity, err = c.configuredKey(ctx, place); err != nil {
			return cairn.Connection{}, err
		}
	}
	return c.switchTo(ctx, place, how)
}

// read returns what a request says of how to open.
func (c *Connections) read(r cairn.CloudRequest) (opening, error) {
	how := opening{passphrase: r.Passphrase, create: r.Create}
	if r.Key.IsZero() {
		return how, nil
	}
	if !r.Passphrase.IsZero() {
		return how, invalid("A key and a passphrase are given.", "One of them is enough.")
	}
	var err error
	how.identity, err = keys.Parse(r.Key.Reveal())
	if err != nil {
		return how, invalid("The key that was given cannot be used: "+err.Error()+".",
			"A key is one line that begins with AGE-SECRET-KEY-1, as cairn cloud key and age-keygen print it.")
	}
	return how, nil
}

// switchTo opens a place and has it used.
func (c *Connections) switchTo(ctx context.Context, p Place, how opening) (cairn.Connection, error) {
	n := newConnection(p)
	opened, err := within(ctx, func() (*cloud.Cloud, error) { return c.open(ctx, n, how) })
	if err != nil {
		return cairn.Connection{}, err
	}
	if err := c.use(ctx, n, opened); err != nil {
		return cairn.Connection{}, err
	}
	if p.local {
		c.cfg.Log.Warn("backups are on this computer only", "cloud", p.url)
	} else {
		c.cfg.Log.Info("connected", "cloud", p.url, "id", opened.ID())
	}
	return c.describe(ctx, opened.ID())
}

// use stores that a cloud is used, and has it used. Its key may have been forgotten
// since it was opened.
func (c *Connections) use(ctx context.Context, n *connection, opened *cloud.Cloud) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	if at, err := c.cfg.Keys.Place(opened.ID()); err != nil {
		return err
	} else if at == cairn.KeyNowhere {
		return &cairn.Error{
			Code:    cairn.CodeCloudLocked,
			Message: "The key of the cloud " + n.place.url + " was forgotten while the cloud was opened.",
			Hint:    "Unlock it again with cairn cloud unlock.",
		}
	}
	if err := c.setCurrent(ctx, n.place, false); err != nil {
		return err
	}
	c.setNow(n)
	c.engine.Switch(opened)
	return nil
}

// reconnect stores that the cloud which is used is not disconnected, and returns its
// place.
func (c *Connections) reconnect(ctx context.Context) (Place, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	place := c.Place()
	return place, c.setCurrent(ctx, place, false)
}

// within returns what fn does, or the cause of ctx as soon as that ends: the store of
// a cloud may never answer. Then fn goes on by itself.
func within[T any](ctx context.Context, fn func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		var a answer
		defer func() {
			if r := recover(); r != nil { // what a library does to a hostile object
				a.err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			}
			answers <- a
		}()
		a.value, a.err = fn()
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// setCurrent stores which place is used, and whether it is disconnected.
func (c *Connections) setCurrent(ctx context.Context, p Place, disconnected bool) error {
	before := c.cfg.Device.CurrentCloud()
	now := cairn.CurrentCloud{Place: p.url}
	switch {
	case c.configured.given: // what is used without the configuration stays, or stays disconnected
		now.Place = before.Place
		if before.Disconnected != p.key {
			now.Disconnected = before.Disconnected
		}
	case p.local:
		now.Place = p.key
	}
	if disconnected {
		now.Disconnected = p.key
	}
	if now == before {
		return nil
	}
	return c.cfg.Device.SetCurrentCloud(ctx, now)
}

// Disconnect has the cloud not used until it is connected again, also after the
// next start. It returns the id of the cloud, "" where that is not known. Documents,
// backups and the key stay, and what is under way comes to its end. Doing it again
// is no error.
func (c *Connections) Disconnect(ctx context.Context) (cloud string, err error) {
	place, err := c.leave(ctx)
	if err != nil {
		return "", err
	}
	c.cfg.Log.Info("disconnected", "cloud", place.url)
	cloud, err = c.cfg.Device.KnownCloud(ctx, place.key)
	if err != nil {
		c.cfg.Log.Warn("the id of the cloud that was disconnected is not known", "err", err)
	}
	return cloud, nil
}

// leave has the cloud that is used not used, and returns its place.
func (c *Connections) leave(ctx context.Context) (Place, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	place := c.Place()
	if err := c.setCurrent(ctx, place, true); err != nil {
		return place, err
	}
	c.engine.Switch(nil)
	return place, nil
}

// List returns the clouds that this device has used, the one that is used now first.
func (c *Connections) List(ctx context.Context) ([]cairn.Connection, error) {
	known, err := c.cfg.Device.KnownClouds(ctx)
	if err != nil {
		return nil, err
	}
	current := c.Place()
	list := []cairn.Connection{{URL: current.url, Local: current.local, Current: true, Disconnected: c.isDisconnected(current)}}
	for _, k := range known {
		one := cairn.Connection{URL: k.URL, ID: k.ID, Made: k.Made, Seen: k.Seen, Kit: k.Kit}
		if one.Key, err = c.cfg.Keys.Place(k.ID); err != nil {
			c.cfg.Log.Warn("whether the key of a cloud is here is not known", "id", k.ID, "err", err)
		}
		if k.Place == current.key {
			one.URL, one.Local, one.Current, one.Disconnected = current.url, current.local, true, list[0].Disconnected
			list[0] = one
			continue
		}
		if p, err := Parse(k.Place, c.cfg.Data); err == nil && p.local {
			one.URL, one.Local = p.url, true
		} else if one.URL == "" {
			one.URL = k.Place
		}
		list = append(list, one)
	}
	return list, nil
}

// describe returns the cloud that is used now, which has this id.
func (c *Connections) describe(ctx context.Context, id string) (cairn.Connection, error) {
	list, err := c.List(ctx)
	if err != nil {
		return cairn.Connection{}, err
	}
	i := slices.IndexFunc(list, func(one cairn.Connection) bool { return one.Current })
	list[i].ID = id
	return list[i], nil
}

func invalid(message, hint string) error {
	return &cairn.Error{Code: cairn.CodeInvalid, Message: message, Hint: hint}
}
