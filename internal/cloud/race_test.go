package cloud_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/cloud"
	"cairn/test/stores"
)

// A careless bucket looks whether there is an object before it puts one, and
// then puts it in the place of whatever is there by now.
type careless struct {
	bucket.Bucket
	mu     sync.Mutex // held while one is put in the place of another
	looked func()     // nil for nothing
	stored func()
}

func (b *careless) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	if _, err := b.Head(ctx, name); err == nil {
		return bucket.ErrExists
	} else if !errors.Is(err, bucket.ErrNotFound) {
		return err
	}
	if b.looked != nil {
		b.looked()
	}
	b.mu.Lock()
	err := b.Delete(ctx, name)
	if err == nil {
		err = b.Bucket.Put(ctx, name, content)
	}
	b.mu.Unlock()
	if err == nil && b.stored != nil {
		b.stored()
	}
	return err
}

// meeting returns a function that returns when it was called so many times.
func meeting(n int) func() {
	var wg sync.WaitGroup
	wg.Add(n)
	return func() { wg.Done(); wg.Wait() }
}

// TestTwoDevicesStoreOneCloud has both store a cairn.json in a bucket that takes
// both, one in the place of the other: who lost it is told so before he uses it.
func TestTwoDevicesStoreOneCloud(t *testing.T) {
	shared := newKey(t)
	for name, keys := range map[string][2]*age.X25519Identity{
		"drawn keys": {}, "supplied keys": {newKey(t), newKey(t)}, "one key": {shared, shared},
	} {
		t.Run(name, func(t *testing.T) {
			b := &careless{Bucket: stores.New(t), looked: meeting(2), stored: meeting(2)}
			var devices [2]*device
			var clouds [2]*cloud.Cloud
			var errs [2]error
			var wg sync.WaitGroup
			for i := range devices {
				devices[i] = newDevice(t, b)
				devices[i].Identity = keys[i]
				wg.Go(func() { clouds[i], errs[i] = cloud.Open(t.Context(), devices[i].Config) })
			}
			wg.Wait()
			b.looked, b.stored = nil, nil
			text := string(get(t, b, "cairn.json"))
			for i, d := range devices {
				files := d.keyFiles(t)
				won := len(files) > 0 && strings.Contains(text, `"id":"`+files[0]) || len(files) > 1 && strings.Contains(text, `"id":"`+files[1])
				if lost := strings.Contains(d.log.String(), "another device made the cloud"); lost == (len(files) == 1 && won) {
					t.Errorf("device %d with the key files %q has the log %s", i, files, d.log)
				}
				switch {
				case name == "one key":
					if clouds[i] == nil || !won {
						t.Errorf("device %d with the key files %q: %v", i, files, errs[i])
					}
				case won:
					if errs[i] != nil {
						t.Errorf("the cloud is that of device %d: %v", i, errs[i])
					}
				default:
					code := cairn.CodeCloudLocked
					if name == "supplied keys" {
						code = cairn.CodeKeyWrong
					}
					wantError(t, errs[i], code, "cairn.json", "Another device made it at the same moment")
					if e, ok := errors.AsType[*cairn.Error](errs[i]); !ok || len(files) != 1 || !strings.Contains(e.Hint, "--key FILE") {
						t.Fatalf("device %d has the key files %q, %#v", i, files, errs[i])
					}
					// With the other's key, as it was told.
					d.Identity = clouds[1-i].Identity()
					if c := d.open(t); c.ID() != clouds[1-i].ID() {
						t.Errorf("with the key of the other, the cloud is %s", c.ID())
					}
				}
			}
			if first, second := clouds[0], clouds[1]; name == "one key" && first != nil && second != nil && first.ID() != second.ID() {
				t.Errorf("the devices opened %s and %s", first.ID(), second.ID())
			}
			if got := names(t, b); !slices.Equal(got, []string{"cairn.json"}) {
				t.Errorf("the bucket has %q", got)
			}
		})
	}
}

// TestCloudStoredOverLater has the cairn.json of a slow device come after another
// device has opened what it made: Check finds that out, and says what to do.
func TestCloudStoredOverLater(t *testing.T) {
	b := &careless{Bucket: stores.New(t)}
	slow, fast := newDevice(t, b), newDevice(t, b)
	var lost *cloud.Cloud
	b.looked = func() { // the slow one has, and its Put is on its way
		b.looked = nil
		lost = fast.open(t)
		if err := lost.Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
	}
	won := slow.open(t)
	if err := won.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	err := lost.Check(t.Context())
	wantError(t, err, cairn.CodeBucketMissing, lost.ID(), won.ID())
	if hint := err.(*cairn.Error).Hint; !strings.Contains(hint, "at the same moment") || !strings.Contains(hint, "--key FILE") {
		t.Errorf("the hint is %q", hint)
	}
	fast.Known = lost.ID()
	_, err = cloud.Open(t.Context(), fast.Config)
	wantError(t, err, cairn.CodeCloudLocked, lost.ID(), won.ID())
	fast.Identity = won.Identity()
	if c := fast.open(t); c.ID() != won.ID() {
		t.Errorf("with its key, the cloud is %s, want %s", c.ID(), won.ID())
	}
	if files := fast.keyFiles(t); !slices.Contains(files, lost.ID()) {
		t.Errorf("the key files are %q, without that of the cloud that was lost", files)
	}
}

// TestOpenReadBack has what was stored not be readable at once: the next try opens
// it.
func TestOpenReadBack(t *testing.T) {
	inner := stores.New(t)
	b := &unreadable{Bucket: inner}
	d := newDevice(t, b)
	_, err := cloud.Open(t.Context(), d.Config)
	wantError(t, err, cairn.CodeCloudLost, "cairn.json")
	files := d.keyFiles(t)
	b.off = true
	if c := d.open(t); !slices.Equal(files, []string{c.ID()}) {
		t.Errorf("the cloud is %s, and the key files were %q", c.ID(), files)
	}
}

// An unreadable bucket does not give back what it has.
type unreadable struct {
	bucket.Bucket
	off bool
}

func (b *unreadable) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	r, err := b.Bucket.Get(ctx, name)
	if err == nil && !b.off {
		return nil, errors.Join(bucket.ErrUnreachable, r.Close())
	}
	return r, err
}
