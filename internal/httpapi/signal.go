package httpapi

import "sync"

// A Signal says that something has changed to all who wait for that. The zero value
// is ready.
type Signal struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each change; nil as long as nobody waits
}

// Raise wakes all who wait. It waits for nobody.
func (s *Signal) Raise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// Wait returns a channel that is closed at the next change. Ask for it before you
// look at what may change.
func (s *Signal) Wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}
