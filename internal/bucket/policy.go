package bucket

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// A Policy bounds how often and how long something is tried again. Between two
// tries there is a pause of random length, whose bound doubles each time, so
// that many clients of one store do not come back at the same moment. A store
// that says for how long it wants to be left alone is left alone for longer
// than that, or for good if that is beyond Total. The zero value means the
// defaults.
type Policy struct {
	Tries   int           // the first included; 5 by default
	First   time.Duration // bound of the first pause; 200 ms by default
	Longest time.Duration // bound of all pauses; 10 s by default
	Total   time.Duration // no try begins later than this after the first failure; 1 min by default
}

func (p Policy) withDefaults() Policy {
	if p.Tries <= 0 {
		p.Tries = 5
	}
	if p.First <= 0 {
		p.First = 200 * time.Millisecond
	}
	if p.Longest <= 0 {
		p.Longest = 10 * time.Second
	}
	if p.Total <= 0 {
		p.Total = time.Minute
	}
	return p
}

// A budget is what is left of a Policy for one call.
type budget struct {
	policy Policy
	tries  int           // that have failed
	bound  time.Duration // of the next pause
	end    time.Time     // zero until the first failure
}

func (p Policy) budget() *budget {
	p = p.withDefaults()
	return &budget{policy: p, bound: min(p.First, p.Longest)}
}

// pause notes that a try failed with errs and waits before the next one, at least
// for as long as the store asks for in one of them. It returns false when there
// must not be another one, as after the end of ctx.
func (b *budget) pause(ctx context.Context, errs ...error) bool {
	b.tries++
	if b.tries >= b.policy.Tries {
		return false
	}
	now := time.Now()
	if b.end.IsZero() {
		b.end = now.Add(b.policy.Total)
	}
	var after time.Duration
	for _, err := range errs {
		if answer, ok := errors.AsType[*Answer](err); ok {
			after = max(after, answer.After)
		}
	}
	length := after + rand.N(b.bound) + 1
	if now.Add(length).After(b.end) {
		return false
	}
	b.bound = min(2*b.bound, b.policy.Longest)
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
