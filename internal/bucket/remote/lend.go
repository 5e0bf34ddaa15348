package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Lend returns content for one request, and its length in bytes. Whoever sends it
// may go on reading when the answer is there already, which Close ends: content is
// the caller's again when that has returned. When ctx has ended, nothing more is read.
func Lend(ctx context.Context, content io.ReadSeeker) (*Lent, int64, error) {
	size, err := content.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = content.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading what is to be stored: %w", err)
	}
	return &Lent{ctx: ctx, content: content}, size, nil
}

// Lent is content that a request reads.
type Lent struct {
	ctx     context.Context
	mu      sync.Mutex
	content io.ReadSeeker // nil when it was taken back
}

var errTakenBack = errors.New("the request is over")

// Read implements io.Reader.
func (l *Lent) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.content == nil {
		return 0, errTakenBack
	}
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	return l.content.Read(p)
}

// Seek implements io.Seeker.
func (l *Lent) Seek(offset int64, whence int) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.content == nil {
		return 0, errTakenBack
	}
	return l.content.Seek(offset, whence)
}

// Close takes the content back.
func (l *Lent) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.content = nil
	return nil
}
