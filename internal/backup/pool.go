package backup

import (
	"sync"

	"cairn/internal/segment"
)

// A pool lends memory for parts.
type pool struct {
	mu   sync.Mutex
	free [][]byte
}

func newPool() *pool { return &pool{} }

// get returns an empty buffer for so many bytes, though with no more room than a
// usual part needs. It is not much larger, as the bytes are what is counted.
func (p *pool) get(bytes int64) []byte {
	room := int(max(0, min(bytes, segment.PartBytes+lineBytes)))
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		if room <= cap(b) && cap(b) <= 2*room {
			return b
		}
	}
	return make([]byte, 0, room+room>>5) // the next part may need a little more
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
