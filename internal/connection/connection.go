package connection

import (
	"context"
	"time"

	"filippo.io/age"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/cloud"
)

// staleAfter is when an unfinished file in the folder of a cloud can be no one's
// that still writes it.
const staleAfter = 24 * time.Hour

// A connection is to the cloud in one place, which is opened as often as it must
// be.
type connection struct {
	place Place
	first bool          // it is the one that the process began with
	token chan struct{} // holds a token while nobody opens it
	// The following belong to who holds the token.
	id    string // of the cloud that was opened first
	store store  // that was opened last
}

func newConnection(p Place) *connection {
	n := &connection{place: p, token: make(chan struct{}, 1)}
	n.token <- struct{}{}
	return n
}

// opening says how a place is opened.
type opening struct {
	identity   *age.X25519Identity // nil means the key that is kept here
	passphrase cairn.Secret        // tried where neither is there; zero for none
	create     bool                // has a cloud made in a place that is empty, and not known to have held one
}

// open opens the cloud. A place that held a cloud before is never made anew: it may
// be a folder on a disk that is not mounted.
func (c *Connections) open(ctx context.Context, n *connection, how opening) (*cloud.Cloud, error) {
	select {
	case <-n.token:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { n.token <- struct{}{} }()
	known, err := c.cfg.Device.KnownCloud(ctx, n.place.key)
	if err != nil {
		return nil, err
	}
	s, err := n.place.openStore(ctx, known, !how.create)
	if err != nil {
		c.cfg.Observer.Connected(err)
		return nil, err
	}
	if n.store.close != nil {
		n.store.close() // what it was of use for is over
	}
	n.store = s
	opened, err := cloud.Open(ctx, c.config(n.place, s, known, how))
	if err != nil {
		return nil, err
	}
	if n.id != "" && n.id != opened.ID() {
		return nil, &cairn.Error{
			Code:    cairn.CodeBucketMissing,
			Message: "At " + n.place.url + " is another cloud, " + opened.ID() + ", than this daemon began with, " + n.id + ".",
			Hint:    cloud.Whereabouts(n.place.url) + " To go on with the other cloud, start cairn again.",
		}
	}
	c.tidy(ctx, n)
	n.id = opened.ID()
	return opened, c.note(ctx, n, known)
}

// config returns how package cloud opens a store.
func (c *Connections) config(p Place, s store, known string, how opening) cloud.Config {
	return cloud.Config{
		Bucket:     bucket.Retry(bucket.Meter(s.bucket, c.cfg.Observer), bucket.Policy{}),
		URL:        p.url,
		Keys:       c.cfg.Keys,
		Identity:   how.identity,
		Passphrase: cloud.NewPassphrase(how.passphrase.Reveal()),
		WorkFactor: c.cfg.WorkFactor,
		Scrypt:     &c.scrypt,
		Known:      known,
		Expected:   !how.create,
		Foreign:    s.foreign,
		Outer:      s.outer,
		Cache:      c.cfg.Device,
		Log:        c.cfg.Log,
	}
}

// tidy removes what a crash left half written: it is nobody's after a day, on
// whichever device it was; in the data folder, which is locked, at the start, when
// nothing is under way.
func (c *Connections) tidy(ctx context.Context, n *connection) {
	age := staleAfter
	if n.place.local && n.first && n.id == "" {
		age = 0
	}
	if _, err := n.store.tidy(ctx, age); err != nil {
		c.cfg.Log.Warn("unfinished files of earlier runs could not be removed", "cloud", n.place.url, "err", err)
	}
}

// note stores which cloud is there. That it was seen again need not be kept.
func (c *Connections) note(ctx context.Context, n *connection, known string) error {
	url := n.place.url
	if n.place.local {
		url = n.place.key // the data folder may be moved
	}
	err := c.cfg.Device.SetKnownCloud(ctx, n.place.key, url, n.id)
	if err != nil && n.id == known {
		c.cfg.Log.Warn("that the cloud was seen is not noted", "cloud", n.place.url, "err", err)
		return nil
	}
	return err
}
