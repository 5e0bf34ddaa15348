package httpapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"cairn/api"
)

const (
	// writeStall is how long a client may take none of an answer before the
	// connection is cut. A slow one is fine: each piece has this time anew.
	writeStall = 5 * time.Minute
	// readStall is how long a client may send nothing of its body.
	readStall = time.Minute
	// pieceBytes is how much of a long answer is written at once.
	pieceBytes = 64 << 10
)

// response is the ResponseWriter of all handlers: it knows whether an answer
// has begun, and gives each piece of it its own time.
type response struct {
	http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

func newResponse(w http.ResponseWriter) *response {
	rw := &response{ResponseWriter: w, control: http.NewResponseController(w)}
	rw.finish()
	return rw
}

// finish gives what the http.Server still has to write its time. Writers
// without deadlines, as in tests, are none the worse.
func (w *response) finish() { _ = w.control.SetWriteDeadline(time.Now().Add(writeStall)) }

// Unwrap is for http.ResponseController and the websocket library.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) WriteHeader(status int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	w.begun = true
	w.finish()
	return w.ResponseWriter.Write(b)
}

// body gives each piece of a request's body its own time.
type body struct {
	io.ReadCloser
	control *http.ResponseController
}

func (b *body) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(readStall))
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		// The server reads on in the background to notice a client that
		// hangs up; that must not run into this deadline.
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// writeJSON encodes v to a buffer, then answers with it.
func writeJSON(w http.ResponseWriter, mediaType string, status int, v any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // our own types; a test would have found it
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // the client is gone
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
