package bucket

import (
	"context"
	"io"
)

// Read opens an object and has read read it. When the body is cut off, it begins
// anew, as often as the default [Policy] has it: read is called again. Opening is
// tried as b does. The error is that of opening, of the body, or else of read.
func Read(ctx context.Context, b Bucket, name string, read func(io.Reader) error) error {
	left := Policy{}.budget()
	for {
		body, err := b.Get(ctx, name)
		if err != nil {
			return err
		}
		r := &watched{r: body}
		err = read(r)
		_ = body.Close() // it was only read
		if r.err == nil {
			return err
		}
		if !Transient(r.err) || !left.pause(ctx, r.err) {
			return left.describe(ctx, r.err)
		}
	}
}

// A watched reader keeps its error, if it is not the end.
type watched struct {
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}
