package httpapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
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
