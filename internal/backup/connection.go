package backup

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"

	"cairn"
	"cairn/internal/cloud"
)

// A Place describes where a cloud is.
type Place struct {
	URL string // in the user's words, for messages
	// Local reports that it is in the data folder.
	Local bool
	// Transfers is how many objects are sent or fetched at once; 0 means
	// Config.Transfers.
	Transfers int
}

// transfers returns how many objects are sent or fetched at once.
func (e *Engine) transfers() int { return cmp.Or(e.cfg.Place().Transfers, e.cfg.Transfers) }

// A connection is to one cloud, which may not be open yet. Another one takes its
// place when another cloud is used; what still waits for the store of the old one
// then keeps nobody from the new one.
type connection struct {
	token chan struct{} // holds a token while nobody connects
	cloud atomic.Pointer[cloud.Cloud]
}

func newConnection(c *cloud.Cloud) *connection {
	n := &connection{token: make(chan struct{}, 1)}
	n.token <- struct{}{}
	n.cloud.Store(c)
	return n
}

// Switch has what begins from now on use another cloud: c, or what Config.Connect
// opens if c is nil. What is under way goes on with the cloud that it began with.
func (e *Engine) Switch(c *cloud.Cloud) {
	e.connection.Store(newConnection(c))
	e.cfg.Changed()
}

// Connect opens the cloud unless it is open. When ctx ends before that, the cause
// of ctx is returned, at once.
func (e *Engine) Connect(ctx context.Context) (*cloud.Cloud, error) {
	n := e.connection.Load()
	if c := n.cloud.Load(); c != nil {
		return c, nil
	}
	return ask(ctx, e, func() (*cloud.Cloud, error) {
		select {
		case <-n.token:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		defer func() { n.token <- struct{}{} }()
		if c := n.cloud.Load(); c != nil {
			return c, nil
		}
		c, err := e.cfg.Connect(ctx)
		if err == nil {
			n.cloud.Store(c)
			e.cfg.Changed()
		}
		return c, err
	})
}

// Ready opens the cloud unless it is open, or returns why that is not possible.
func (e *Engine) Ready(ctx context.Context) error {
	_, err := e.Connect(ctx)
	return err
}

// lost has the next operation connect anew when the connection to a cloud is of no
// more use, as the error of what was asked there says. Another one may have taken its
// place by then, which stays.
func (e *Engine) lost(c *cloud.Cloud, err error) error {
	switch cairn.CodeOf(err) {
	case cairn.CodeBucketMissing, // as with a disk that was taken away
		cairn.CodeNoCredentials, cairn.CodeKeyUnknown, cairn.CodeRefused, cairn.CodeExpired, cairn.CodeDenied: // there may be others by now
		if e.connection.Load().cloud.CompareAndSwap(c, nil) {
			e.cfg.Changed()
		}
	}
	return err
}

// Connected returns the id of the cloud; ok is false while it is not open. It
// looks at nothing.
func (e *Engine) Connected() (cloud string, ok bool) {
	c := e.connection.Load().cloud.Load()
	if c == nil {
		return "", false
	}
	return c.ID(), true
}

// statusTime bounds how long a question for the status may take.
const statusTime = 5 * time.Second

// Cloud describes the cloud. It looks into the bucket, for at most five seconds.
func (e *Engine) Cloud(ctx context.Context) cairn.CloudStatus {
	place := e.cfg.Place()
	st := cairn.CloudStatus{URL: place.URL, Local: place.Local, State: cairn.CloudReady}
	ctx, cancel := context.WithTimeoutCause(ctx, statusTime, &cairn.Error{
		Code:    cairn.CodeCloudLost,
		Message: "The cloud did not answer within five seconds.",
		Hint:    "See whether its store can be reached, then ask again.",
	})
	defer cancel()
	c, err := e.Connect(ctx)
	if err == nil {
		st.ID = c.ID()
		var l listing
		l, err = e.list(ctx, c)
		st.Backups, st.Unreadable, err = int64(len(l.backups)), l.unreadable, e.lost(c, err)
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	switch cairn.CodeOf(err) {
	case "":
	case cairn.CodeCloudLocked, cairn.CodeKeyWrong:
		st.State = cairn.CloudLocked
	case cairn.CodeNoCloud:
		st.State = cairn.CloudDisconnected
	default:
		st.State = cairn.CloudUnavailable
	}
	if err != nil {
		st.Problem = problem(err)
	}
	if st.ID != "" {
		if st.Made, err = e.cfg.Device.BackupsMade(ctx, st.ID); err != nil {
			e.cfg.Log.Warn("the number of backups made here cannot be read", "err", err)
		}
	}
	return st
}
