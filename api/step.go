package api

import "cairn"

// A Step is an event of work that belongs to the request which asks for it: how far
// it is, and in the last one what it has come to, or why it came to nothing.
type Step[T any] struct {
	Percentage int    `json:"percentage"`  // 0 to 100; 100 with a result, and with nothing else
	DoneBytes  int64  `json:"done_bytes"`  // of what is looked at
	TotalBytes int64  `json:"total_bytes"` // 0 as long as it is not known
	Result     *T     `json:"result,omitempty"`
	Problem    *Cause `json:"problem,omitempty"`
}

// StepOf returns the event of work that goes on.
func StepOf[T any](p cairn.Progress) Step[T] {
	return Step[T]{Percentage: p.Percentage(), DoneBytes: p.Done, TotalBytes: p.Total}
}

// LastStepOf returns the event of work that has ended: with a result, or with an
// error.
func LastStepOf[T any](p cairn.Progress, result T, err error) Step[T] {
	s := StepOf[T](p)
	if err != nil {
		problem := ProblemOf(err)
		s.Problem = &Cause{Code: problem.Code, Detail: problem.Detail, Hint: problem.Hint}
		return s
	}
	s.Percentage, s.Result = 100, &result
	return s
}

// Ended reports whether nothing comes after s.
func (s Step[T]) Ended() bool { return s.Result != nil || s.Problem != nil }

// Err returns why the work came to nothing; nil when it has a result, or goes on.
func (s Step[T]) Err() error {
	if s.Problem == nil {
		return nil
	}
	return &cairn.Error{Code: s.Problem.Code, Message: s.Problem.Detail, Hint: s.Problem.Hint}
}
