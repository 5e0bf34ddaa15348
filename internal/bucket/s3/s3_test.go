package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"cairn/internal/bucket"
	"cairn/internal/bucket/buckettest"
	"cairn/internal/bucket/s3"
	"cairn/test/s3server"
)

func TestMain(m *testing.M) { os.Exit(s3server.Main(m.Run)) }

// environ gives the process the credentials of a server.
func environ(t *testing.T, s *s3server.Server) {
	t.Helper()
	for _, variable := range s.Env() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
}

// openBucket opens a bucket behind a front, or of a server.
func openBucket(t *testing.T, url, name string) *s3.Bucket {
	t.Helper()
	b, err := s3.Open(t.Context(), s3.Location{Bucket: name, Endpoint: url})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestConformance(t *testing.T) {
	s := s3server.Shared(t)
	environ(t, s)
	buckettest.Run(t, func(t *testing.T) bucket.Bucket { return openBucket(t, s.URL, s.Bucket(t)) })
}

// TestEscapes has names that look like what libraries write for other characters:
// each object is at the key that is its name.
func TestEscapes(t *testing.T) {
	s := s3server.Shared(t)
	environ(t, s)
	front := s3server.NewFront(t, s, nil)
	l, err := s3.ParseURL("s3://" + s.Bucket(t) + "/a__0x5f__b/__0x2f__?endpoint=" + front.URL)
	if err != nil {
		t.Fatal(err)
	}
	b := openBucket(t, front.URL, l.Bucket)
	below := bucket.Prefix(b, l.Prefix)
	const key = "a__0x5f__b/__0x2f__/c__0x41__"
	if err := below.Put(t.Context(), "c__0x41__", strings.NewReader("content")); err != nil {
		t.Fatal(err)
	}
	for name, store := range map[string]bucket.Bucket{"c__0x41__": below, key: b} {
		body, err := store.Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(body)
		if err := errors.Join(err, body.Close()); err != nil || string(data) != "content" {
			t.Errorf("%s holds %q, %v", name, data, err)
		}
		if object, err := store.Head(t.Context(), name); err != nil || object.Size != 7 {
			t.Errorf("Head of %s: %+v, %v, want 7 bytes", name, object, err)
		}
		var listed []string
		for object, err := range store.List(t.Context(), "") {
			listed = append(listed, object.Name)
			if err != nil {
				t.Error(err)
			}
		}
		if !slices.Equal(listed, []string{name}) {
			t.Errorf("List yields %q, want %s", listed, name)
		}
	}
	if err := below.Delete(t.Context(), "c__0x41__"); err != nil {
		t.Error(err)
	}
	if _, err := b.Head(t.Context(), key); !errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("Head of %s after Delete: %v, want ErrNotFound", key, err)
	}
	for _, r := range front.Requests() {
		if r.Op != "list" && r.Key != key {
			t.Errorf("there was a %s of %s, want only those of %s", r.Op, r.Key, key)
		}
	}
}

// weak are stores that do not know how to store an object only where there is
// none, each in its way.
var weak = map[string]s3server.Handler{
	"conditions are ignored": s3server.WithoutConditions,
	"conditions are refused": s3server.RefuseConditions,
}

// TestWeakStores has one writer at a time, who must never replace an object.
func TestWeakStores(t *testing.T) {
	s := s3server.Shared(t)
	environ(t, s)
	for name, handler := range weak {
		t.Run(name, func(t *testing.T) {
			front := s3server.NewFront(t, s, handler)
			name := s.Bucket(t)
			for round := range 3 { // a new process each
				b := openBucket(t, front.URL, name)
				fresh, first := fmt.Sprint("fresh", round), strings.NewReader("first")
				if round > 0 {
					wantExists(t, b, "fresh0")
				}
				if err := b.Put(t.Context(), fresh, first); err != nil {
					t.Errorf("Put of %s: %v", fresh, err)
				}
				for i := range round + 1 {
					wantExists(t, b, fmt.Sprint("fresh", i))
				}
				if err := bucket.Create(t.Context(), b, fresh, strings.NewReader("first")); err != nil {
					t.Errorf("Create of %s again: %v", fresh, err)
				}
			}
		})
	}
}

// wantExists fails the test unless an object with the content first is kept.
func wantExists(t *testing.T, b bucket.Bucket, name string) {
	t.Helper()
	if err := b.Put(t.Context(), name, strings.NewReader("second")); !errors.Is(err, bucket.ErrExists) {
		t.Errorf("Put over %s: %v, want ErrExists", name, err)
	}
	body, err := b.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); string(got) != "first" || err != nil {
		t.Errorf("%s holds %q, %v after another Put, want the first", name, got, err)
	}
}

// TestRequests counts what the calls cost.
func TestRequests(t *testing.T) {
	s := s3server.Shared(t)
	environ(t, s)
	put := func(name string) func(bucket.Bucket) error {
		return func(b bucket.Bucket) error { return b.Put(t.Context(), name, strings.NewReader(name)) }
	}
	type step struct {
		call func(bucket.Bucket) error
		want string
	}
	known := []step{
		{func(b bucket.Bucket) error { return calls["Get"](t.Context(), b) }, "get name"},
		{func(b bucket.Bucket) error { return calls["Head"](t.Context(), b) }, "head name"},
		{func(b bucket.Bucket) error { return calls["List"](t.Context(), b) }, "list "},
		{func(b bucket.Bucket) error { return calls["Delete"](t.Context(), b) }, "delete name"},
		{func(b bucket.Bucket) error { return calls["Delete"](t.Context(), b) }, "delete name"},
	}
	for name, c := range map[string]struct {
		handler s3server.Handler
		steps   []step
	}{
		"a whole store": {nil, append([]step{
			{put("name"), "head name, put name, put name"}, {put("b"), "put b"}, {put("b"), "put b"}, {put("c"), "put c"},
		}, known...)},
		"conditions are ignored": {s3server.WithoutConditions, append([]step{
			{put("name"), "head name, put name, put name"}, {put("b"), "head b, put b"}, {put("b"), "head b"},
		}, known...)},
		"conditions are refused": {s3server.RefuseConditions, append([]step{
			{put("name"), "head name, put name, put name"}, {put("b"), "head b, put b"}, {put("b"), "head b"},
		}, known...)},
		"the first is there": {nil, []step{
			{func(b bucket.Bucket) error {
				return openBucket(t, s.URL, b.(*s3.Bucket).Name()).Put(t.Context(), "a", strings.NewReader("a"))
			}, ""},
			{put("a"), "head a"}, {put("b"), "head b, put b, put b"}, {put("c"), "put c"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			front := s3server.NewFront(t, s, c.handler)
			b := openBucket(t, front.URL, s.Bucket(t))
			for _, step := range c.steps {
				front.Reset()
				if err := step.call(b); err != nil && !errors.Is(err, bucket.ErrExists) {
					t.Errorf("after %q: %v", front.Requests(), err)
				}
				var got []string
				for _, r := range front.Requests() {
					got = append(got, r.Op+" "+r.Key)
				}
				if got := strings.Join(got, ", "); got != step.want {
					t.Errorf("a call took %q, want %q", got, step.want)
				}
			}
		})
	}
}

// TestGateway has something before the store answer 501 once, of its own accord.
func TestGateway(t *testing.T) {
	s := s3server.Shared(t)
	environ(t, s)
	var once sync.Once
	front := s3server.NewFront(t, s, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		failed := false
		if s3server.RequestOf(r).Op == "put" {
			once.Do(func() { failed = true })
		}
		if failed {
			http.Error(w, "no", http.StatusNotImplemented)
			return
		}
		forward.ServeHTTP(w, r)
	})
	b := openBucket(t, front.URL, s.Bucket(t))
	if err := bucket.Create(t.Context(), b, "a", strings.NewReader("first")); err == nil {
		t.Error("a put that was answered 501 is done")
	}
	if err := b.Put(t.Context(), "b", strings.NewReader("first")); err != nil {
		t.Error(err)
	}
	front.Reset()
	if err := b.Put(t.Context(), "c", strings.NewReader("first")); err != nil || len(front.Requests()) != 1 {
		t.Errorf("Put afterwards took %v, %v, want one request", front.Requests(), err)
	}
}

// TestConflict has a store that cannot tell at once who of two was first.
func TestConflict(t *testing.T) {
	s := s3server.Shared(t)
	environ(t, s)
	var mu sync.Mutex
	left := 0
	front := s3server.NewFront(t, s, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		mu.Lock()
		conflict := s3server.RequestOf(r).Op == "put" && left > 0
		if conflict {
			left--
		}
		mu.Unlock()
		if conflict {
			s3server.Answer(http.StatusConflict, "ConditionalRequestConflict", "try again")(w, r, forward)
			return
		}
		forward.ServeHTTP(w, r)
	})
	b := openBucket(t, front.URL, s.Bucket(t))
	for _, c := range []struct {
		conflicts int
		name      string
		want      error
	}{{2, "a", nil}, {1, "b", nil}, {3, "b", bucket.ErrExists}, {100, "c", bucket.ErrBusy}} {
		mu.Lock()
		left = c.conflicts
		mu.Unlock()
		if err := b.Put(t.Context(), c.name, strings.NewReader("x")); !errors.Is(err, c.want) {
			t.Errorf("Put of %s after %d conflicts: %v, want %v", c.name, c.conflicts, err, c.want)
		}
	}
}

// TestPermissions has a user who may not do everything.
func TestPermissions(t *testing.T) {
	s := s3server.Shared(t)
	environ(t, s)
	all := map[string]string{"Get": "s3:GetObject", "Put": "s3:PutObject", "Delete": "s3:DeleteObject", "List": "s3:ListBucket"}
	for forbidden := range all {
		t.Run(forbidden, func(t *testing.T) {
			name := s.Bucket(t)
			if err := openBucket(t, s.URL, name).Put(t.Context(), "name", strings.NewReader("content")); err != nil {
				t.Fatal(err)
			}
			key, secret := s.User(t)
			var actions []string
			for call, action := range all {
				if call != forbidden {
					actions = append(actions, fmt.Sprintf("%q", action))
				}
			}
			s.Policy(t, name, fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": [%q]},
				"Action": [%s], "Resource": ["arn:aws:s3:::%s", "arn:aws:s3:::%s/*"]}]}`, key, strings.Join(actions, ", "), name, name))
			t.Setenv("AWS_ACCESS_KEY_ID", key)
			t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
			b := openBucket(t, s.URL, name)
			for _, call := range []string{"Get", "List", "Put", "Delete"} {
				err := calls[call](t.Context(), b)
				if call == "Put" && forbidden != "Put" && forbidden != "Get" {
					if !errors.Is(err, bucket.ErrExists) {
						t.Errorf("%s is forbidden, and Put ends with %v, want ErrExists", forbidden, err)
					}
					continue
				}
				want := error(nil)
				if call == forbidden || call == "Put" && forbidden == "Get" { // it asks whether the object is there
					want = bucket.ErrRefused
				}
				if call == "Put" && forbidden == "Put" {
					err = b.Put(t.Context(), "other", strings.NewReader("content"))
				}
				if !errors.Is(err, want) {
					t.Errorf("%s is forbidden, and %s ends with %v, want %v", forbidden, call, err, want)
				}
			}
		})
	}
}

// TestWrongCredentials has a key or a secret that the server does not know.
func TestWrongCredentials(t *testing.T) {
	s := s3server.Shared(t)
	environ(t, s)
	name := s.Bucket(t)
	for _, c := range []struct {
		variable string
		want     error
	}{{"AWS_ACCESS_KEY_ID", bucket.ErrKey}, {"AWS_SECRET_ACCESS_KEY", bucket.ErrSecret}} {
		t.Run(c.variable, func(t *testing.T) {
			t.Setenv(c.variable, "wrong")
			b := openBucket(t, s.URL, name)
			for call, do := range calls {
				if err := do(t.Context(), b); !errors.Is(err, c.want) {
					t.Errorf("%s: %v, want %v", call, err, c.want)
				}
			}
		})
	}
}

// TestMissing has no such bucket.
func TestMissing(t *testing.T) {
	s := s3server.Shared(t)
	environ(t, s)
	b := openBucket(t, s.URL, "no-such-bucket")
	for call, do := range calls {
		want := bucket.ErrMissing
		if err := do(t.Context(), b); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", call, err, want)
		}
	}
}

// TestCutBody has the connection break in the middle of a body.
func TestCutBody(t *testing.T) {
	s := s3server.Shared(t)
	environ(t, s)
	front := s3server.NewFront(t, s, s3server.CutBodies(1<<20))
	b := openBucket(t, front.URL, s.Bucket(t))
	content := bytes.Repeat([]byte("x"), 3<<20)
	if err := b.Put(t.Context(), "long", bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	body, err := b.Get(t.Context(), "long")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if !errors.Is(err, bucket.ErrUnreachable) || len(got) != 1<<20 || !strings.Contains(err.Error(), "long") {
		t.Errorf("reading a body that is cut: %d bytes, %v, want 1 MiB and ErrUnreachable that names it", len(got), err)
	}
}

// TestManyObjects has more objects than a store lists at once, and stops early.
func TestManyObjects(t *testing.T) {
	s := s3server.Shared(t)
	environ(t, s)
	front := s3server.NewFront(t, s, nil)
	b := openBucket(t, front.URL, s.Bucket(t))
	const n = 1203
	var want []string
	var writers sync.WaitGroup
	for i := range n {
		want = append(want, fmt.Sprintf("p/%04d", i))
	}
	for w := range 8 {
		writers.Go(func() {
			for i := w; i < n; i += 8 {
				if err := b.Put(context.Background(), want[i], strings.NewReader("")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	front.Reset()
	var got []string
	for object, err := range b.List(t.Context(), "p/") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, object.Name)
	}
	if !slices.Equal(got, want) || len(front.Requests()) != 2 {
		t.Errorf("List yields %d of %d objects in %d requests, want all in two", len(got), n, len(front.Requests()))
	}
	front.Reset()
	for range b.List(t.Context(), "p/") {
		break
	}
	if len(front.Requests()) != 1 {
		t.Errorf("a List that was left took %d requests, want one", len(front.Requests()))
	}
}
