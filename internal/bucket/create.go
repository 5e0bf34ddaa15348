package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// Create stores an object under a name that none has, and settles what became
// of it: a Put that failed may have happened. After any error it reads the
// object back. When these bytes stand there, that is success. Other bytes are
// ErrExists. When there is no object, the same bytes are put again, as often
// as the default [Policy] has it (that of b, if b comes from [Retry]), unless
// the store said that this is pointless.
//
// The error is ErrUnknown, besides what the last Put returned, when the object
// may be stored or may yet be: it cannot be read back either, or a Put had no
// answer. A store may still carry out a request that nobody waits for any more,
// so only success is settled by what is read meanwhile. Else the store itself
// said of each Put that it did not store the object.
//
// Content that is [Perishable] is put as long as it may be.
//
// The end of ctx ends the tries; the outcome may then be unknown. Whoever must
// know it passes context.WithoutCancel. While Create runs, content is its own.
func Create(ctx context.Context, b Bucket, name string, content io.ReadSeeker) error {
	return create(ctx, b, Policy{}, name, content)
}

// Perishable is content that must not be stored any more at some time.
type Perishable interface {
	io.ReadSeeker // whose Read can return what Err does
	// Err returns why it must not be stored any more; nil as long as it may.
	// Create asks before each Put.
	Err() error
	// Unwrap returns the content that can always be read, to compare it with
	// what is stored.
	Unwrap() io.ReadSeeker
}

// perish returns why content must not be stored any more, and with what to compare
// what is stored.
func perish(content io.ReadSeeker) (lasting io.ReadSeeker, err func() error) {
	if p, ok := content.(Perishable); ok {
		return p.Unwrap(), p.Err
	}
	return content, func() error { return nil }
}

// A creator is a Bucket with its own way to settle a Put.
type creator interface {
	create(ctx context.Context, policy Policy, name string, content io.ReadSeeker) error
}

func create(ctx context.Context, b Bucket, policy Policy, name string, content io.ReadSeeker) error {
	if c, ok := b.(creator); ok {
		return c.create(ctx, policy, name, content)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("storing %s: %w", name, err)
	}
	lasting, perished := perish(content)
	left := policy.budget()
	absent := true      // the object, as far as is known
	unanswered := false // a Put, which may still be carried out
	var putErr, readErr error
	for {
		putNow := absent
		if putNow {
			if err := perished(); err != nil && unanswered {
				return fmt.Errorf("storing %s: %w, though it is not there now: %w", name, ErrUnknown, err)
			} else if err != nil {
				return fmt.Errorf("storing %s: %w", name, err)
			}
			putErr = b.Put(ctx, name, content)
			if putErr == nil || errors.Is(putErr, ErrName) {
				return putErr
			}
			unanswered = unanswered || silent(putErr)
		}
		var same bool
		same, readErr = holds(ctx, b, name, lasting)
		switch {
		case same:
			return nil
		case readErr == nil && unanswered:
			// A store without create-if-absent could still put ours in their place.
			return fmt.Errorf("%s: %w, with other bytes; of ours %w: %w", name, ErrExists, ErrUnknown, putErr)
		case readErr == nil:
			return fmt.Errorf("%s: %w, with other bytes", name, ErrExists)
		case errors.Is(readErr, errContent):
			return errors.Join(putErr, readErr)
		case errors.Is(readErr, ErrName):
			return readErr
		}
		absent = errors.Is(readErr, ErrNotFound)
		putAgain := Transient(putErr) || errors.Is(putErr, ErrExists)
		readAgain := absent || Transient(readErr)
		if !putAgain || !readAgain {
			break
		}
		if absent && !putNow {
			continue // the store answers again, so there is no reason to wait
		}
		if !left.pause(ctx, readErr, putErr) {
			break
		}
	}
	switch {
	case !absent:
		if errors.Is(putErr, ErrExists) {
			putErr = errors.New(putErr.Error()) // it may be ours that exists
		}
		putErr = fmt.Errorf("storing %s: %w: %w; reading it back: %w", name, ErrUnknown, putErr, readErr)
	case unanswered:
		putErr = fmt.Errorf("storing %s: %w, though it is not there now: %w", name, ErrUnknown, putErr)
	}
	return left.describe(ctx, putErr)
}

// silent reports whether err leaves it open what the store makes of a request: it
// did not answer, or something else did in its place.
func silent(err error) bool {
	return Transient(err) || errors.Is(err, ErrUnknown) || errors.Is(err, ErrNotStore)
}

// errContent says that not the store but the content to be stored failed.
var errContent = errors.New("the content to be stored cannot be read")

// compared is how many bytes are read back at a time.
const compared = 64 << 10

// holds reports whether b has exactly these bytes under a name. The error is
// ErrNotFound if it has no such object, and errContent if content failed.
func holds(ctx context.Context, b Bucket, name string, content io.ReadSeeker) (same bool, err error) {
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return false, fmt.Errorf("%w: %w", errContent, err)
	}
	r, err := b.Get(ctx, name)
	if err != nil {
		return false, err
	}
	defer r.Close() // it was only read
	want, got := make([]byte, compared), make([]byte, compared)
	for {
		n, wantEnds, err := fill(content, want)
		if err != nil {
			return false, fmt.Errorf("%w: %w", errContent, err)
		}
		m, gotEnds, err := fill(r, got)
		if !bytes.Equal(want[:min(n, m)], got[:min(n, m)]) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("reading %s: %w", name, err)
		}
		if n != m || wantEnds || gotEnds {
			return n == m && wantEnds == gotEnds, nil
		}
	}
}

// fill reads until p is full or r ends. Unlike io.ReadFull it keeps the end
// apart from an r that was cut off, which is io.ErrUnexpectedEOF to many. An end
// that comes with the last bytes of a full p is told the next time, since other
// readers only tell it then.
func fill(r io.Reader, p []byte) (n int, ends bool, err error) {
	for n < len(p) {
		m, err := r.Read(p[n:])
		n += m
		if err == io.EOF && n == len(p) {
			break
		}
		if err == io.EOF {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}
