package backup

import (
	"sync"

	"cairn/internal/segment"
)

// A pool lends memory for the plain text of parts.
type pool struct {
	mu   sync.Mutex
	free [][]byte
}

func newPool() *pool { return &pool{} }

// get returns an empty buffer.
func (p *pool) get() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b
	}
	return nil
}

// put takes a buffer back, unless an unusually large document was in it.
func (p *pool) put(b []byte) {
	if cap(b) > 2*segment.PartBytes {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, b[:0])
}
