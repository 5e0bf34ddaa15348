// Package emulator has small servers for tests that do what cairn asks of Google
// Cloud Storage and of Azure Blob Storage, by the public references of their APIs.
//
//	s := emulator.GCS(t)
//	bucket := s.Bucket()
//	for name, value := range s.Env() {
//		t.Setenv(name, value)
//	}
//
// Clients reach either at its URL, as an endpoint, with the credentials of Env.
package emulator

import (
	"crypto/rand"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Account is the storage account of the server for Azure.
const Account = "account"

// listed is how many names are in a part of a list, of which there are many then.
const listed = 100

// A Server is one of them. Its methods may be called by several goroutines.
type Server struct {
	URL string // such as http://127.0.0.1:23456

	env  map[string]string
	http *httptest.Server

	mu       sync.Mutex
	buckets  map[string]map[string]object // by name, and that of the object
	requests []string
}

// An object is what is stored.
type object struct {
	data     []byte // never changes
	modified time.Time
}

// start starts a server that answers as handle has it.
func start(handle func(s *Server, mux *http.ServeMux)) *Server {
	s := &Server{buckets: make(map[string]map[string]object)}
	mux := http.NewServeMux()
	handle(s, mux)
	s.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	s.URL = s.http.URL
	return s
}

// Close ends the server.
func (s *Server) Close() {
	s.http.CloseClientConnections()
	s.http.Close()
}

// Env returns the environment in which a program finds the credentials of the
// server, and no others.
func (s *Server) Env() map[string]string { return maps.Clone(s.env) }

// Setenv gives the process the credentials until the end of a test.
func (s *Server) Setenv(t *testing.T) {
	t.Helper()
	for name, value := range s.env {
		t.Setenv(name, value)
	}
}

// Bucket makes a bucket, or container, with a new name, and returns the name.
func (s *Server) Bucket() string {
	name := "bucket-" + strings.ToLower(rand.Text())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets[name] = make(map[string]object)
	return name
}

// Requests returns what was asked for since the last call, as in "GET /path".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.requests
	s.requests = nil
	return all
}

// What became of a request.
const (
	done = iota
	noBucket
	noObject
	exists
	noToken // it is not one that a list was continued with
)

// put stores an object that is not there. What it holds is read before.
func (s *Server) put(bucket, name string, body io.Reader, length int64) (object, int) {
	data, err := io.ReadAll(body)
	if err != nil || int64(len(data)) != length {
		panic(http.ErrAbortHandler) // the client has gone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	objects, ok := s.buckets[bucket]
	if !ok {
		return object{}, noBucket
	}
	if _, ok := objects[name]; ok {
		return object{}, exists
	}
	objects[name] = object{data, time.Now().UTC()}
	return objects[name], done
}

func (s *Server) get(bucket, name string) (object, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	objects, ok := s.buckets[bucket]
	if !ok {
		return object{}, noBucket
	}
	o, ok := objects[name]
	if !ok {
		return object{}, noObject
	}
	return o, done
}

func (s *Server) remove(bucket, name string) int {
	_, became := s.get(bucket, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.buckets[bucket], name)
	return became
}

// An entry is one of a list.
type entry struct {
	name string
	object
}

// list returns a part of a list, and a token for the next one, which is of use to the
// server alone. Every other part is empty, as parts may be.
func (s *Server) list(bucket, prefix, token string, most int) (entries []entry, next string, became int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	objects, ok := s.buckets[bucket]
	if !ok {
		return nil, "", noBucket
	}
	const empty, full = "\xfb\xef", "\xff\xbe" // + and / are in their texts
	text, err := base64.StdEncoding.DecodeString(token)
	from, isFull := strings.CutPrefix(string(text), full)
	switch next, isEmpty := strings.CutPrefix(string(text), empty); {
	case err == nil && isEmpty:
		return nil, base64.StdEncoding.EncodeToString([]byte(full + next)), done
	case token != "" && !isFull:
		return nil, "", noToken
	}
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		if !strings.HasPrefix(name, prefix) || name < from {
			continue
		}
		if len(entries) == most {
			return entries, base64.StdEncoding.EncodeToString([]byte(empty + name)), done
		}
		entries = append(entries, entry{name, objects[name]})
	}
	return entries, "", done
}
