package s3server

import (
	"encoding/xml"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// StaleLists is a store whose lists lag behind: a list shows the objects as
// they were so long ago, and everything else is up to date. It knows of the
// puts and deletes that came through it, and looks at each object before. It
// lists a bucket from its start for each page. Lists with a delimiter it
// answers with 501.
func StaleLists(lag time.Duration) Handler {
	s := &staleLists{lag: lag}
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		switch RequestOf(r).Op {
		case "put", "delete":
			s.change(w, r, forward)
		case "list":
			s.list(w, r, forward)
		default:
			forward.ServeHTTP(w, r)
		}
	}
}

type staleLists struct {
	lag     time.Duration
	mu      sync.Mutex
	changes []*change // in the order in which they began
}

// A change is a put or delete that has begun, and may have failed.
type change struct {
	path   string
	before *listed   // the object before; nil if there was none
	done   time.Time // zero while it goes on
}

// A listed object is what a list tells of one.
type listed struct {
	Key, LastModified, ETag string
	Size                    int64
	StorageClass            string
}

// A listPage is the answer to ListObjectsV2.
type listPage struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name, Prefix          string
	StartAfter            string `xml:",omitempty"`
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	KeyCount, MaxKeys     int
	IsTruncated           bool
	Contents              []listed
}

// change forwards a put or delete and remembers what was there before.
func (s *staleLists) change(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	c := &change{path: r.URL.Path, before: head(r, forward)}
	s.mu.Lock()
	s.changes = append(s.changes, c)
	s.mu.Unlock()
	defer func() { // with a broken connection too
		s.mu.Lock()
		defer s.mu.Unlock()
		c.done = time.Now()
	}()
	forward.ServeHTTP(w, r)
}

// head returns what a list tells of the object of a request.
func head(r *http.Request, forward http.Handler) *listed {
	answer := subrequest(r, forward, http.MethodHead, "")
	if answer.Code != http.StatusOK {
		return nil
	}
	header := answer.Header()
	modified, err := http.ParseTime(header.Get("Last-Modified"))
	if err != nil {
		panic(err)
	}
	size, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	if err != nil {
		panic(err)
	}
	return &listed{
		Key:          RequestOf(r).Key,
		LastModified: modified.UTC().Format("2006-01-02T15:04:05.000Z"),
		ETag:         header.Get("ETag"),
		Size:         size,
		StorageClass: "STANDARD",
	}
}

// subrequest asks the server something else at the path of a request.
func subrequest(r *http.Request, forward http.Handler, method, query string) *httptest.ResponseRecorder {
	own := httptest.NewRequestWithContext(r.Context(), method, r.URL.EscapedPath(), nil)
	own.URL.RawQuery = query
	answer := httptest.NewRecorder()
	forward.ServeHTTP(answer, own)
	return answer
}

// list answers one page.
func (s *staleLists) list(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	query := r.URL.Query()
	if query.Get("delimiter") != "" {
		Answer(http.StatusNotImplemented, "NotImplemented", "These lists know no delimiter.")(w, r, forward)
		return
	}
	most := 1000
	if n, err := strconv.Atoi(query.Get("max-keys")); err == nil && n > 0 {
		most = min(n, most)
	}
	objects, failed := everything(r, forward)
	if failed != nil {
		maps.Copy(w.Header(), failed.Header())
		w.WriteHeader(failed.Code)
		_, _ = w.Write(failed.Body.Bytes()) // the client may be gone
		return
	}
	bucket, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	page := listPage{
		Name:              bucket,
		Prefix:            query.Get("prefix"),
		StartAfter:        query.Get("start-after"),
		ContinuationToken: query.Get("continuation-token"),
		MaxKeys:           most,
	}
	s.age(objects, "/"+bucket+"/", page.Prefix)
	after := max(page.StartAfter, page.ContinuationToken)
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		if key <= after {
			continue
		}
		if len(page.Contents) == most {
			page.IsTruncated = true
			page.NextContinuationToken = page.Contents[most-1].Key
			break
		}
		page.Contents = append(page.Contents, objects[key])
	}
	page.KeyCount = len(page.Contents)
	w.Header().Set("Content-Type", "application/xml")
	writeXML(w, page)
}

// everything returns all objects that a list request is about, by their keys,
// or the answer that says why not.
func everything(r *http.Request, forward http.Handler) (objects map[string]listed, failed *httptest.ResponseRecorder) {
	objects = make(map[string]listed)
	query := url.Values{"list-type": {"2"}, "prefix": {r.URL.Query().Get("prefix")}}
	for {
		answer := subrequest(r, forward, http.MethodGet, query.Encode())
		if answer.Code != http.StatusOK {
			return nil, answer
		}
		var page listPage
		if err := xml.Unmarshal(answer.Body.Bytes(), &page); err != nil {
			panic(err)
		}
		for _, object := range page.Contents {
			objects[object.Key] = object
		}
		if !page.IsTruncated {
			return objects, nil
		}
		query.Set("continuation-token", page.NextContinuationToken)
	}
}

// age changes objects of now into those of then: each that has changed since
// is what it was before the first of these changes.
func (s *staleLists) age(objects map[string]listed, bucket, prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	then := time.Now().Add(-s.lag)
	s.changes = slices.DeleteFunc(s.changes, func(c *change) bool { return !c.done.IsZero() && !c.done.After(then) })
	for _, c := range slices.Backward(s.changes) { // the first comes last
		key, ok := strings.CutPrefix(c.path, bucket)
		switch {
		case !ok || !strings.HasPrefix(key, prefix):
		case c.before == nil:
			delete(objects, key)
		default:
			objects[key] = *c.before
		}
	}
}
