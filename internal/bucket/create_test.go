package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/bucket/memory"
)

const (
	ours   = "our bytes"
	theirs = "their bytes"
)

// A script says how the calls of one kind end, one after the other; those
// after its end pass.
type script []fault.Effect

func (s script) at(i int) fault.Effect {
	if i < len(s) {
		return s[i]
	}
	return fault.Pass
}

// faults counts the calls that do not pass.
func (s script) faults() (n int) {
	for _, effect := range s {
		if effect != fault.Pass {
			n++
		}
	}
	return n
}

// repeat returns a script of n calls that end alike.
func repeat(n int, effect fault.Effect) script { return slices.Repeat(script{effect}, n) }

// A settling is one Create, and what came of it.
type settling struct {
	puts, gets script
	tries      int
	before     string // what is stored before; "" for nothing
	cause      error  // of the faults of Put

	err      error
	stored   string
	nPut     int
	nGet     int
	lastRead error // nil if the last call of Get told what is stored
}

func (s *settling) run(t *testing.T) {
	t.Helper()
	store := new(memory.Bucket)
	if s.before != "" {
		put(t, store, "backups/a", s.before)
	}
	faulty := fault.New(store, func(c fault.Call) fault.Outcome {
		switch c.Op {
		case fault.Put:
			s.nPut++
			return fault.Outcome{Effect: s.puts.at(s.nPut - 1), Err: s.cause}
		case fault.Get:
			s.nGet++
			effect := s.gets.at(s.nGet - 1)
			_, err := store.Head(t.Context(), c.Name)
			s.lastRead = nil
			if effect == fault.Fail || effect == fault.Cut && err == nil {
				s.lastRead = bucket.ErrUnreachable
			}
			return fault.Outcome{Effect: effect}
		}
		t.Errorf("Create called %s", c.Op)
		return fault.Outcome{}
	})
	b := bucket.Retry(faulty, bucket.Policy{Tries: s.tries})
	s.err = bucket.Create(t.Context(), b, "backups/a", strings.NewReader(ours))
	s.stored = read(t, store, "backups/a")
}

// TestCreateSettles has every combination of three Puts and Gets that pass,
// fail or are lost: what Create says is what is stored.
func TestCreateSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		for tries := 1; tries <= 4; tries++ {
			for _, before := range []string{"", ours, theirs} {
				for puts := range scripts(3, fault.Pass, fault.Fail, fault.Lost) {
					for gets := range scripts(3, fault.Pass, fault.Fail, fault.Cut) {
						n++
						checkSettled(t, &settling{puts: puts, gets: gets, tries: tries, before: before})
					}
				}
			}
		}
		if n != 4*3*27*27 {
			t.Errorf("there were %d combinations", n)
		}
	})
}

func checkSettled(t *testing.T, s *settling) {
	t.Helper()
	s.run(t)
	ok := false
	switch {
	case s.err == nil:
		ok = s.stored == ours
	case errors.Is(s.err, bucket.ErrExists):
		ok = s.stored == theirs && errors.Is(s.err, bucket.ErrUnknown) == (s.puts[0] != fault.Pass)
	case errors.Is(s.err, bucket.ErrUnknown) && s.lastRead != nil:
		ok = errors.Is(s.err, s.lastRead)
	case errors.Is(s.err, bucket.ErrUnknown):
		ok = s.stored == "" && errors.Is(s.err, bucket.ErrUnreachable) && !errors.Is(s.err, bucket.ErrNotFound)
	}
	if !ok || s.nPut > s.tries || s.nGet > 2*s.tries {
		t.Errorf("tries %d, puts %v, gets %v, before %q: Create = %v, stored is %q, after %d puts and %d gets",
			s.tries, s.puts, s.gets, s.before, s.err, s.stored, s.nPut, s.nGet)
	}
	if faults := s.puts.faults() + s.gets.faults(); faults < s.tries && s.before != theirs && s.err != nil {
		t.Errorf("tries %d, puts %v, gets %v: Create = %v, after only %d faults", s.tries, s.puts, s.gets, s.err, faults)
	}
}

// scripts yields every script of n calls that end in these ways.
func scripts(n int, effects ...fault.Effect) func(yield func(script) bool) {
	return func(yield func(script) bool) {
		total := 1
		for range n {
			total *= len(effects)
		}
		for i := range total {
			s := make(script, n)
			for j := range s {
				s[j] = effects[i%len(effects)]
				i /= len(effects)
			}
			if !yield(s) {
				return
			}
		}
	}
}

// TestCreateCalls pins what Create asks of the store.
func TestCreateCalls(t *testing.T) {
	const P, F, L, C = fault.Pass, fault.Fail, fault.Lost, fault.Cut
	odd := errors.New("odd")
	for _, test := range []struct {
		name       string
		s          settling
		want       error
		stored     string
		nPut, nGet int
	}{
		{"stored at once", settling{}, nil, ours, 1, 0},
		{"reply lost", settling{puts: script{L}}, nil, ours, 1, 1},
		{"reply lost, read late", settling{puts: script{L}, gets: script{F, C, F}}, nil, ours, 1, 4},
		{"reply always lost", settling{puts: repeat(9, L)}, nil, ours, 1, 1},
		{"fails once", settling{puts: script{F}}, nil, ours, 2, 1},
		{"fails and cannot be read once", settling{puts: script{F}, gets: script{F}}, nil, ours, 2, 2},
		{"fails, and can be read at the last try", settling{puts: script{F}, gets: repeat(4, F)}, nil, ours, 2, 5},
		{"of unknown cause", settling{puts: script{F, F}, cause: odd}, nil, ours, 3, 2},
		{"fails always", settling{puts: repeat(9, F)}, bucket.ErrUnknown, "", 5, 5},
		{"never readable", settling{puts: repeat(9, L), gets: repeat(9, F)}, bucket.ErrUnknown, ours, 1, 5},
		{"never readable, not stored", settling{puts: repeat(9, F), gets: repeat(9, F)}, bucket.ErrUnknown, "", 1, 5},
		{"there with our bytes", settling{before: ours}, nil, ours, 1, 1},
		{"there with our bytes, unreadable", settling{before: ours, gets: repeat(9, F)}, bucket.ErrUnknown, ours, 1, 5},
		{"there with others", settling{before: theirs}, bucket.ErrExists, theirs, 1, 1},
		{"there with others, and no reply", settling{before: theirs, puts: script{F}}, bucket.ErrUnknown, theirs, 1, 1},
		{"there with others, half read", settling{before: theirs, gets: script{C}}, bucket.ErrExists, theirs, 1, 1},
		{"there with others, read late", settling{before: theirs, gets: script{F}}, bucket.ErrExists, theirs, 1, 2},
		{"full", settling{puts: script{F}, cause: bucket.ErrFull}, bucket.ErrFull, "", 1, 1},
		{"read-only", settling{puts: script{F}, cause: bucket.ErrReadOnly}, bucket.ErrReadOnly, "", 1, 1},
		{"refused", settling{puts: script{F}, cause: bucket.ErrRefused}, bucket.ErrRefused, "", 1, 1},
		{"missing", settling{puts: script{F}, cause: bucket.ErrMissing}, bucket.ErrMissing, "", 1, 1},
		{"name", settling{puts: script{F}, cause: bucket.ErrName}, bucket.ErrName, "", 1, 0},
		{"stored, then full", settling{puts: script{L}, cause: bucket.ErrFull}, nil, ours, 1, 1},
		{"stored, then refused", settling{puts: script{L}, cause: bucket.ErrRefused}, nil, ours, 1, 1},
		{"full and unreadable", settling{puts: script{F}, gets: script{F}, cause: bucket.ErrFull}, bucket.ErrUnknown, "", 1, 1},
		{"exists, they say", settling{puts: script{F}, cause: bucket.ErrExists}, nil, ours, 2, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := test.s
				s.run(t)
				if !errors.Is(s.err, test.want) || s.stored != test.stored {
					t.Errorf("Create = %v, stored is %q, want %v and %q", s.err, s.stored, test.want, test.stored)
				}
				if s.nPut != test.nPut || s.nGet != test.nGet {
					t.Errorf("Create took %d puts and %d gets, want %d and %d", s.nPut, s.nGet, test.nPut, test.nGet)
				}
				if s.cause != nil && s.err != nil && !errors.Is(s.err, s.cause) {
					t.Errorf("Create = %v, which does not wrap %v", s.err, s.cause)
				}
			})
		})
	}
}

// TestCreateLate has Puts without an answer, which are carried out after Create
// has returned: an error that is not ErrUnknown means that nothing comes later.
func TestCreateLate(t *testing.T) {
	late := fault.Outcome{Effect: fault.Late}
	full := fault.Outcome{Effect: fault.Fail, Err: bucket.ErrFull}
	for _, test := range []struct {
		name   string
		before string
		puts   []fault.Outcome
		want   []error
		not    error
		stored string // in the end
	}{
		{"no reply", "", []fault.Outcome{late, late}, []error{bucket.ErrUnknown, bucket.ErrUnreachable}, bucket.ErrNotFound, ours},
		{"no reply, then full", "", []fault.Outcome{late, full}, []error{bucket.ErrUnknown, bucket.ErrFull}, bucket.ErrNotFound, ours},
		{"no reply of unknown cause", "", []fault.Outcome{{Effect: fault.Late, Err: errors.New("odd")}, full}, []error{bucket.ErrUnknown}, nil, ours},
		{"full", "", []fault.Outcome{full}, []error{bucket.ErrFull}, bucket.ErrUnknown, ""},
		{"there with others", theirs, []fault.Outcome{late}, []error{bucket.ErrUnknown, bucket.ErrExists}, nil, ours},
		{"there with others, they say", theirs, nil, []error{bucket.ErrExists}, bucket.ErrUnknown, theirs},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &careless{replacing: len(test.puts) > 0}
				if test.before != "" {
					put(t, store, "a", test.before)
				}
				n := 0
				faulty := fault.New(store, func(c fault.Call) fault.Outcome {
					if c.Op != fault.Put || len(test.puts) == 0 {
						return fault.Outcome{}
					}
					n++
					return test.puts[n-1]
				})
				err := bucket.Create(t.Context(), bucket.Retry(faulty, bucket.Policy{Tries: 2}), "a", strings.NewReader(ours))
				for _, want := range test.want {
					if !errors.Is(err, want) {
						t.Errorf("Create = %v, want %v", err, want)
					}
				}
				if test.not != nil && errors.Is(err, test.not) {
					t.Errorf("Create = %v, which is %v", err, test.not)
				}
				faulty.Land(t.Context())
				if stored := read(t, store, "a"); stored != test.stored {
					t.Errorf("in the end %q is stored, want %q", stored, test.stored)
				}
			})
		})
	}
}

// A careless store puts an object in the place of another.
type careless struct {
	memory.Bucket
	replacing bool
}

func (c *careless) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	if c.replacing {
		if err := c.Delete(ctx, name); err != nil {
			return err
		}
	}
	return c.Bucket.Put(ctx, name, content)
}

// TestCreateCompares has objects that differ from ours in one place only.
func TestCreateCompares(t *testing.T) {
	const size = 150_000
	data := bytes.Repeat([]byte("0123456789"), size/10)
	flipped := func(at int) []byte {
		other := bytes.Clone(data)
		other[at] ^= 1
		return other
	}
	for name, other := range map[string][]byte{
		"first": flipped(0), "middle": flipped(size / 2), "last": flipped(size - 1), "empty": {},
		"shorter": data[:size-1], "longer": append(bytes.Clone(data), 0),
		"one buffer": data[:64<<10], "two buffers": data[:128<<10],
	} {
		store := new(memory.Bucket)
		put(t, store, "a", string(other))
		for _, b := range []bucket.Bucket{store, eager{store}} {
			if err := bucket.Create(t.Context(), b, "a", bytes.NewReader(data)); !errors.Is(err, bucket.ErrExists) {
				t.Errorf("%s in %T: Create over other bytes: %v, want ErrExists", name, b, err)
			}
			if err := bucket.Create(t.Context(), b, "a", bytes.NewReader(other)); err != nil {
				t.Errorf("%s in %T: Create over the same bytes: %v, want nil", name, b, err)
			}
		}
	}
}

// An eager store tells the end of an object together with its last bytes, as
// bodies of HTTP do.
type eager struct{ bucket.Bucket }

func (e eager) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	body, err := e.Bucket.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{iotest.DataErrReader(body), body}, nil
}

// TestCreateCutOff has a store that cuts off what it sends with the error that
// io.ReadFull has for an end: no reason to think that other bytes are stored.
func TestCreateCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &cutting{left: 2}
		put(t, b, "a", ours)
		if err := bucket.Create(t.Context(), b, "a", strings.NewReader(ours)); err != nil {
			t.Errorf("Create: %v, want nil", err)
		}
		if b.left != 0 {
			t.Errorf("the object was cut off %d times less than planned", b.left)
		}
	})
}

// A cutting store cuts off some objects after a byte.
type cutting struct {
	memory.Bucket
	left int
}

func (c *cutting) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	body, err := c.Bucket.Get(ctx, name)
	if err != nil || c.left == 0 {
		return body, err
	}
	c.left--
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(body, 1), iotest.ErrReader(io.ErrUnexpectedEOF)), body}, nil
}

// TestCreateNoContent has content that cannot be read, before and after Put.
func TestCreateNoContent(t *testing.T) {
	broken := errors.New("broken")
	for seeks := range 2 {
		b := new(memory.Bucket)
		put(t, b, "a", theirs)
		content := &brokenSeeker{strings.NewReader(ours), seeks, broken}
		err := bucket.Create(t.Context(), b, "a", content)
		if !errors.Is(err, broken) {
			t.Errorf("Create of content that breaks at seek %d: %v, want that error", seeks, err)
		}
	}
}

// A brokenSeeker fails after some seeks.
type brokenSeeker struct {
	io.ReadSeeker
	left int
	err  error
}

func (b *brokenSeeker) Seek(offset int64, whence int) (int64, error) {
	if b.left == 0 {
		return 0, b.err
	}
	b.left--
	return b.ReadSeeker.Seek(offset, whence)
}

func put(t *testing.T, b bucket.Bucket, name, data string) {
	t.Helper()
	if err := b.Put(t.Context(), name, strings.NewReader(data)); err != nil {
		t.Fatalf("Put of %s: %v", name, err)
	}
}

// read returns the bytes of an object; "" when there is none.
func read(t *testing.T, b bucket.Bucket, name string) string {
	t.Helper()
	body, err := b.Get(t.Context(), name)
	if errors.Is(err, bucket.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatalf("Get of %s: %v", name, err)
	}
	data, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil {
		t.Fatal(fmt.Errorf("reading %s: %w", name, err))
	}
	return string(data)
}
