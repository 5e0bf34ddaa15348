package emulator

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// Azure starts a server that speaks the REST API of Azure Blob Storage. It wants
// requests to be signed with a key, and does not look at the signatures. It ends
// with the test.
func Azure(t testing.TB) *Server {
	t.Helper()
	s := StartAzure()
	t.Cleanup(s.Close)
	return s
}

// StartAzure is Azure for several tests.
func StartAzure() *Server {
	s := start(func(s *Server, mux *http.ServeMux) {
		mux.HandleFunc("/"+Account+"/{bucket}", s.azure(func(w http.ResponseWriter, r *http.Request) {
			query := r.URL.Query()
			if r.Method != http.MethodGet || query.Get("comp") != "list" || query.Get("restype") != "container" {
				RefuseAzure(w, r, http.StatusBadRequest, "InvalidQueryParameterValue", "only lists")
				return
			}
			s.listAzure(w, r)
		}))
		mux.HandleFunc("/"+Account+"/{bucket}/{name...}", s.azure(func(w http.ResponseWriter, r *http.Request) {
			switch r.Method {
			case http.MethodPut:
				s.putAzure(w, r)
			case http.MethodGet, http.MethodHead:
				s.getAzure(w, r)
			case http.MethodDelete:
				if became := s.remove(r.PathValue("bucket"), r.PathValue("name")); became != done {
					absentAzure(w, r, became)
					return
				}
				w.WriteHeader(http.StatusAccepted)
			default:
				RefuseAzure(w, r, http.StatusMethodNotAllowed, "UnsupportedHttpVerb", "no")
			}
		}))
	})
	s.env = map[string]string{
		"AZURE_STORAGE_KEY":       base64.StdEncoding.EncodeToString([]byte(rand.Text())),
		"AZURE_STORAGE_SAS_TOKEN": "", // empty is as good as not there
	}
	return s
}

// azure has handle answer what is signed.
func (s *Server) azure(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Ms-Version", "2026-02-06")
		w.Header().Set("X-Ms-Request-Id", rand.Text())
		if !strings.HasPrefix(r.Header.Get("Authorization"), "SharedKey "+Account+":") {
			RefuseAzure(w, r, http.StatusForbidden, "AuthenticationFailed", "Server failed to authenticate the request.")
			return
		}
		if r.Header.Get("X-Ms-Version") == "" || r.Header.Get("X-Ms-Date") == "" {
			RefuseAzure(w, r, http.StatusBadRequest, "MissingRequiredHeader", "An HTTP header that's mandatory for this request is not specified.")
			return
		}
		handle(w, r)
	}
}

// mark is what the XML of Azure begins with, that of the order of bytes.
const mark = "\ufeff"

// RefuseAzure answers with an error, as Azure does. That to HEAD has no body.
func RefuseAzure(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	w.Header().Set("X-Ms-Version", "2026-02-06")
	w.Header().Set("X-Ms-Error-Code", code)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprintf(w, mark+`<?xml version="1.0" encoding="utf-8"?><Error><Code>%s</Code><Message>%s</Message></Error>`, code, message)
	}
}

// absentAzure answers that something is not there.
func absentAzure(w http.ResponseWriter, r *http.Request, became int) {
	if became == noObject {
		RefuseAzure(w, r, http.StatusNotFound, "BlobNotFound", "The specified blob does not exist.")
		return
	}
	RefuseAzure(w, r, http.StatusNotFound, "ContainerNotFound", "The specified container does not exist.")
}

// describe writes the headers that describe an object.
func describe(w http.ResponseWriter, o object) {
	w.Header().Set("ETag", tag(o))
	w.Header().Set("Last-Modified", o.modified.Format(http.TimeFormat))
}

func tag(o object) string { return fmt.Sprintf(`"0x%X"`, o.modified.UnixNano()) }

func (s *Server) putAzure(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Ms-Blob-Type") != "BlockBlob" || r.Header.Get("If-None-Match") != "*" || r.URL.Query().Has("comp") {
		RefuseAzure(w, r, http.StatusBadRequest, "UnsupportedHeader", "only objects that are not there, in one request")
		return
	}
	o, became := s.put(r.PathValue("bucket"), r.PathValue("name"), r.Body, r.ContentLength)
	switch became {
	case noBucket:
		absentAzure(w, r, became)
	case exists:
		RefuseAzure(w, r, http.StatusConflict, "BlobAlreadyExists", "The specified blob already exists.")
	default:
		describe(w, o)
		w.WriteHeader(http.StatusCreated)
	}
}

func (s *Server) getAzure(w http.ResponseWriter, r *http.Request) {
	o, became := s.get(r.PathValue("bucket"), r.PathValue("name"))
	if became != done {
		absentAzure(w, r, became)
		return
	}
	describe(w, o)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(o.data)))
	w.Header().Set("X-Ms-Blob-Type", "BlockBlob")
	if r.Method == http.MethodGet {
		_, _ = w.Write(o.data) // the client may have gone
	}
}

// blob is an entry of a list.
type blob struct {
	Name       string
	Properties struct {
		Modified string `xml:"Last-Modified"`
		Tag      string `xml:"Etag"`
		Length   int    `xml:"Content-Length"`
		BlobType string
	}
}

func (s *Server) listAzure(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	entries, next, became := s.list(r.PathValue("bucket"), query.Get("prefix"), query.Get("marker"), listed)
	switch became {
	case done:
	case noToken:
		RefuseAzure(w, r, http.StatusBadRequest, "OutOfRangeInput", "One of the request inputs is out of range.")
		return
	default:
		absentAzure(w, r, became)
		return
	}
	answer := struct {
		XMLName    xml.Name `xml:"EnumerationResults"`
		Blobs      []blob   `xml:"Blobs>Blob"`
		NextMarker string
	}{NextMarker: next}
	for _, e := range entries {
		b := blob{Name: e.name}
		b.Properties.Modified, b.Properties.Tag = e.modified.Format(http.TimeFormat), tag(e.object)
		b.Properties.Length, b.Properties.BlobType = len(e.data), "BlockBlob"
		answer.Blobs = append(answer.Blobs, b)
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, mark+xml.Header) // the client may have gone
	_ = xml.NewEncoder(w).Encode(answer)
}
