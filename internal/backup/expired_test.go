package backup_test

import (
	"context"
	"io"
	"iter"
	"sync/atomic"
	"testing"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/internal/cloud"
	"cairn/test/stores"
)

// A guarded bucket lets in whoever has the key that is valid now.
type guarded struct {
	bucket.Bucket
	key     int64
	valid   *atomic.Int64
	refusal error
}

func (g *guarded) check() error {
	if g.key != g.valid.Load() {
		return g.refusal
	}
	return nil
}

func (g *guarded) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	if err := g.check(); err != nil {
		return err
	}
	return g.Bucket.Put(ctx, name, content)
}

func (g *guarded) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	return g.Bucket.Get(ctx, name)
}

func (g *guarded) Head(ctx context.Context, name string) (bucket.Object, error) {
	if err := g.check(); err != nil {
		return bucket.Object{}, err
	}
	return g.Bucket.Head(ctx, name)
}

func (g *guarded) List(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	if err := g.check(); err != nil {
		return func(yield func(bucket.Object, error) bool) { yield(bucket.Object{}, err) }
	}
	return g.Bucket.List(ctx, prefix)
}

func (g *guarded) Delete(ctx context.Context, name string) error {
	if err := g.check(); err != nil {
		return err
	}
	return g.Bucket.Delete(ctx, name)
}

// TestExpired has the key to the bucket replaced by another one: whatever comes
// next is refused, and what comes then reads the key anew.
func TestExpired(t *testing.T) {
	for refusal, code := range map[error]cairn.Code{
		bucket.ErrRefused:       cairn.CodeDenied,
		bucket.ErrExpired:       cairn.CodeExpired,
		bucket.ErrSecret:        cairn.CodeRefused,
		bucket.ErrKey:           cairn.CodeKeyUnknown,
		bucket.ErrNoCredentials: cairn.CodeNoCredentials,
	} {
		t.Run(string(code), func(t *testing.T) { expire(t, refusal, code) })
	}
}

// expire has a bucket refuse, with an error, whoever has the old key.
func expire(t *testing.T, refusal error, code cairn.Code) {
	store := stores.New(t)
	var valid atomic.Int64
	connected := 0
	h := openHouse(t, t.TempDir(), store, nil)
	h.edit = func(cfg *backup.Config) {
		connect := cfg.Connect
		cfg.Connect = func(ctx context.Context) (*cloud.Cloud, error) {
			connected++
			h.bucket = &guarded{Bucket: store, key: valid.Load(), valid: &valid, refusal: refusal}
			return connect(ctx)
		}
	}
	h.engine = h.newEngine()
	h.apply(doc("a", "", 10))
	kept, deleted := h.create(), h.create()
	for name, use := range map[string]func() error{
		"List":   func() error { _, err := h.engine.List(t.Context()); return err },
		"Backup": func() error { _, err := h.engine.Backup(t.Context(), kept.ID); return err },
		"Create": func() error {
			_, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore)
			return err
		},
		"Restore": func() error { _, err := h.engine.Restore(t.Context(), "job", kept.ID, ignore); return err },
		"Delete":  func() error { return h.engine.Delete(t.Context(), deleted.ID) },
		"Cloud": func() error {
			if st := h.engine.Cloud(t.Context()); st.Problem != nil {
				return st.Problem
			}
			return nil
		},
	} {
		before := connected
		valid.Add(1)
		if err := use(); cairn.CodeOf(err) != code {
			t.Errorf("%s with a key that has expired: %v", name, err)
		}
		if err := use(); err != nil || connected != before+1 {
			t.Errorf("%s afterwards, connected %d times: %v", name, connected-before, err)
		}
	}
}
