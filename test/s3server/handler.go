package s3server

import (
	"encoding/xml"
	"io"
	"net/http"
)

// WithoutConditions is a store that knows no conditions: each put replaces
// what is there.
func WithoutConditions(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	if RequestOf(r).Op == "put" {
		r.Header.Del("If-None-Match")
		r.Header.Del("If-Match")
	}
	forward.ServeHTTP(w, r)
}

// RefuseConditions is a store that answers 501 NotImplemented to each put with
// a condition.
func RefuseConditions(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	conditional := r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Match") != ""
	if RequestOf(r).Op == "put" && conditional {
		Answer(http.StatusNotImplemented, "NotImplemented",
			"A header you provided implies functionality that is not implemented.")(w, r, forward)
		return
	}
	forward.ServeHTTP(w, r)
}

// Answer answers an error of S3 without asking the server, once it has read
// the request. The header is names and values in turn.
func Answer(status int, code, message string, header ...string) Handler {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			panic(http.ErrAbortHandler) // the client is gone
		}
		w.Header().Set("Content-Type", "application/xml")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		writeXML(w, struct {
			XMLName                            xml.Name `xml:"Error"`
			Code, Message, Resource, RequestID string
		}{Code: code, Message: message, Resource: r.URL.Path, RequestID: "front"})
	}
}

func writeXML(w io.Writer, v any) {
	text, err := xml.Marshal(v)
	if err != nil {
		panic(err) // the types here can all be written
	}
	_, _ = io.WriteString(w, xml.Header+string(text)) // the client may be gone
}

// CutBodies breaks the connection after so many bytes of the body of each
// answer to a get, whose Content-Length is that of the whole object. Shorter
// bodies are whole.
func CutBodies(after int) Handler {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if RequestOf(r).Op == "get" {
			w = &cutWriter{ResponseWriter: w, left: after}
		}
		forward.ServeHTTP(w, r)
	}
}

type cutWriter struct {
	http.ResponseWriter
	left int // bytes
}

func (w *cutWriter) Write(b []byte) (int, error) {
	if len(b) <= w.left {
		w.left -= len(b)
		return w.ResponseWriter.Write(b)
	}
	_, _ = w.ResponseWriter.Write(b[:w.left]) // it ends in any case
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}
