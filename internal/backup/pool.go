package backup

import (
	"sync"

	"cairn/internal/segment"
)

// A pool lends memory for parts.
type pool struct {
	bytes int // of what it makes

	mu   sync.Mutex
	free [][]byte
}

// newPool returns a pool that makes buffers of so many bytes. Whoever needs more
// gives back what it took instead.
func newPool(bytes int) *pool { return &pool{bytes: bytes} }

// get returns an empty buffer.
func (p *pool) get() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b
	}
	return make([]byte, 0, p.bytes)
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
