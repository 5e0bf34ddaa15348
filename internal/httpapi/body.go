package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"cairn"
)

const (
	// largeBody is the size in bytes from which on a body waits for its turn.
	largeBody = 1 << 20
	// largeBodies is how many bytes of large bodies are in memory at a time.
	largeBodies = 128 << 20
	// bodyTime is how long the whole body of a single document may take, that it
	// waits for its turn included.
	bodyTime = 10 * time.Minute
)

// body gives each piece of a request's body its own time, and where until is set,
// all of it its time.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration
	until   time.Time // zero: no bound of the whole
	bodies  *budget
	length  int64 // as the request says; -1 when it does not
	held    int64 // of bodies
	err     error // that ended it; the http.Server's body says io.EOF afterwards
}

// timeBody returns the request with a body that may not stall, and what gives back
// the room that it takes. It is a copy: the http.Server looks at the body of its own
// request to find out what is left of it before it answers, and it would read all of
// one that it does not know.
func (s *Server) timeBody(r *http.Request, control *http.ResponseController) (timed *http.Request, release func()) {
	if r.Body == http.NoBody {
		return r, func() {}
	}
	// A handler may answer without reading; then the http.Server reads.
	_ = control.SetReadDeadline(time.Now().Add(s.cfg.ReadStall))
	b := &body{ReadCloser: r.Body, control: control, stall: s.cfg.ReadStall, bodies: s.bodies, length: r.ContentLength}
	timed = r.WithContext(r.Context())
	timed.Body = b
	return timed, b.release
}

// bounded gives all of a body its time, from now on.
func bounded(r *http.Request) {
	if b, ok := r.Body.(*body); ok && b.until.IsZero() {
		b.until = time.Now().Add(bodyTime)
	}
}

// takeTurn waits until there is room for the body, or for the document of it that
// comes. It is taken at once for all of that, since several that had a part each could
// wait for each other. Who has it has the time of one document for each that comes.
func takeTurn(r *http.Request) error {
	b, ok := r.Body.(*body)
	if !ok || b.held > 0 {
		return nil
	}
	size := int64(maxBodyBytes)
	if b.length >= 0 {
		size = min(size, b.length)
	}
	bounded(r)
	ctx, cancel := context.WithDeadline(r.Context(), b.until)
	defer cancel()
	if err := b.bodies.acquire(ctx, size); err != nil {
		if r.Context().Err() != nil {
			return r.Context().Err()
		}
		return &cairn.Error{
			Code:    cairn.CodeTimeout,
			Message: fmt.Sprintf("For %s so many other large bodies came that there was no room for this one.", bodyTime),
			Hint:    "Send it again, and fewer at the same time.",
		}
	}
	b.held = size
	return nil
}

// endTurn gives back the room of what nobody keeps any more; the next document of the
// body has its own time.
func endTurn(r *http.Request) {
	if b, ok := r.Body.(*body); ok {
		b.release()
		b.until = time.Time{}
	}
}

// renewTime gives the next document of a body its own time, where the room that was
// taken for one is kept: what it was taken for is in buffers up to the end of the body.
func renewTime(r *http.Request) {
	if b, ok := r.Body.(*body); ok && b.held > 0 {
		b.until = time.Now().Add(bodyTime)
	}
}

func (b *body) release() {
	b.bodies.release(b.held)
	b.held = 0
}

// dropBody has the answer not wait for what is still to come of the body.
func dropBody(r *http.Request, control *http.ResponseController) {
	if r.Body != http.NoBody {
		_ = control.SetReadDeadline(time.Unix(1, 0))
	}
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	now := time.Now()
	deadline, late := now.Add(b.stall), stalled(b.stall)
	if !b.until.IsZero() && b.until.Before(deadline) {
		deadline, late = b.until, tooSlow()
	}
	_ = b.control.SetReadDeadline(deadline)
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		// The server reads on in the background to notice a client that
		// hangs up; that must not run into this deadline.
		_ = b.control.SetReadDeadline(time.Time{})
	case errors.Is(err, os.ErrDeadlineExceeded):
		// The deadline stays: the answer must not wait for the rest either.
		err = late
	}
	b.err = err
	return n, err
}

// stalled says that a client stopped sending.
func stalled(after time.Duration) error {
	return &cairn.Error{
		Code:    cairn.CodeTimeout,
		Message: fmt.Sprintf("Nothing of the body came for %s.", after),
		Hint:    "Send it again.",
	}
}

// tooSlow says that a client sends, but without getting to an end.
func tooSlow() error {
	return &cairn.Error{
		Code:    cairn.CodeTimeout,
		Message: fmt.Sprintf("The body was not all here after %s, which is the most for one document.", bodyTime),
		Hint:    "Send it again, over a faster connection.",
	}
}

// bodyLeft reports whether a client that was told to go on with its body may
// still be sending it. For all others the http.Server closes with care.
func bodyLeft(r *http.Request) bool {
	b, ok := r.Body.(*body)
	return ok && !errors.Is(b.err, io.EOF) && r.Header.Get("Expect") != ""
}

// linger sends the answer, then takes a little of the body that nobody wants. A
// connection that is closed while its client still sends is reset, and the
// client may lose the answer before it has read it.
func linger(r *http.Request, control *http.ResponseController) {
	const (
		most = 16 << 20
		wait = time.Second
	)
	if control.Flush() != nil || control.SetReadDeadline(time.Now().Add(wait)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, r.Body.(*body).ReadCloser, most) // ended by whatever comes first
}
