package httpapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"cairn/api"
)

// pieceBytes is how much of a long answer is written at once.
const pieceBytes = 64 << 10

// response is the ResponseWriter of all handlers: it knows whether an answer
// has begun, and gives each piece of it its own time.
type response struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	begun   bool
	status  int // 0 until an answer has begun
}

func newResponse(w http.ResponseWriter, stall time.Duration) *response {
	rw := &response{ResponseWriter: w, control: http.NewResponseController(w), stall: stall}
	rw.finish()
	return rw
}

// finish gives what the http.Server still has to write its time. Writers
// without deadlines, as in tests, are none the worse.
func (w *response) finish() { _ = w.control.SetWriteDeadline(time.Now().Add(w.stall)) }

// Unwrap is for http.ResponseController and the websocket library.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) WriteHeader(status int) {
	w.begun = true
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	w.begun = true
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.finish()
	return w.ResponseWriter.Write(b)
}

// body gives each piece of a request's body its own time.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration
	err     error // that ended it; the http.Server's body says io.EOF afterwards
}

// timeBody returns the request with a body that may not stall. It is a copy:
// the http.Server looks at the body of its own request to find out what is left
// of it before it answers, and it would read all of one that it does not know.
func timeBody(r *http.Request, control *http.ResponseController, stall time.Duration) *http.Request {
	if r.Body == http.NoBody {
		return r
	}
	// A handler may answer without reading; then the http.Server reads.
	_ = control.SetReadDeadline(time.Now().Add(stall))
	timed := r.WithContext(r.Context())
	timed.Body = &body{ReadCloser: r.Body, control: control, stall: stall}
	return timed
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
	_ = b.control.SetReadDeadline(time.Now().Add(b.stall))
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		// The server reads on in the background to notice a client that
		// hangs up; that must not run into this deadline.
		_ = b.control.SetReadDeadline(time.Time{})
	case errors.Is(err, os.ErrDeadlineExceeded):
		// The deadline stays: the answer must not wait for the rest either.
		err = stalled(b.stall)
	}
	b.err = err
	return n, err
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

// writeJSON encodes v to a buffer, then answers with it. What an answer has that
// white space went ahead of, see await, is status 200 and its type already.
func writeJSON(w http.ResponseWriter, mediaType string, status int, v any) {
	var buf bytes.Buffer
	encode(&buf, v)
	if rw, ok := w.(*response); ok && rw.begun {
		_, _ = w.Write(buf.Bytes()) // the client is gone
		return
	}
	w.Header().Set("Content-Type", mediaType)
	// With a length the answer has its end before the handler has.
	w.Header().Set("Content-Length", strconv.Itoa(buf.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // the client is gone
}

// encode appends v as a line of JSON.
func encode(buf *bytes.Buffer, v any) {
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // our own types; a test would have found it
	}
}

// writeRaw answers with JSON text.
func writeRaw(w http.ResponseWriter, text []byte) error {
	w.Header().Set("Content-Type", api.JSON)
	_, err := w.Write(text)
	return clientGone(err)
}

func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", api.Text)
	_, _ = io.WriteString(w, text) // the client is gone
}

// stream answers with what fn writes. Nothing is sent before the first piece
// is full or fn has returned, so an early error still gets its status.
func stream(w http.ResponseWriter, mediaType string, fn func(*bufio.Writer) error) error {
	w.Header().Set("Content-Type", mediaType)
	buf := bufio.NewWriterSize(w, pieceBytes)
	if err := fn(buf); err != nil {
		return err
	}
	return clientGone(buf.Flush())
}

// clientGone drops the error of a write to a client: there is nobody to tell.
func clientGone(error) error { return nil }
