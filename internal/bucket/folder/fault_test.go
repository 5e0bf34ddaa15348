package folder

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"cairn/internal/bucket"
)

// A saboteur has one step fail, once.
type saboteur struct {
	at     int
	done   bool // the step is done all the same
	steps  []step
	failed step
	// unsure says that a name was changed and its folder was not synced since.
	unsure bool
}

var errMade = errors.New("made to fail")

// do does a step, or not.
func (s *saboteur) do(name step, do func() error) (err error) {
	s.steps = append(s.steps, name)
	strikes := len(s.steps) == s.at
	if strikes {
		s.failed = name
	}
	if !strikes || s.done {
		err = do()
		s.unsure = s.unsure || name == stepPublish || name == stepRemove
	}
	if strikes {
		err = errors.Join(err, &os.PathError{Op: "test", Path: string(name), Err: errMade})
	}
	if name == stepSettle && err == nil {
		s.unsure = false
	}
	return err
}

// An operation is what is done to the object parts/aa/a.
type operation struct {
	name string
	// there says whether the object is there before it.
	there bool
	do    func(t *testing.T, b *Bucket) error
	// again has it done by whoever does not know what became of it.
	again func(t *testing.T, b *Bucket) error
}

func operations(name string, data []byte) []operation {
	put := func(t *testing.T, b *Bucket) error { return b.Put(t.Context(), name, bytes.NewReader(data)) }
	remove := func(t *testing.T, b *Bucket) error { return b.Delete(t.Context(), name) }
	return []operation{
		{"put", false, put, func(t *testing.T, b *Bucket) error {
			return bucket.Create(t.Context(), b, name, bytes.NewReader(data))
		}},
		{"delete", true, remove, remove},
	}
}

// TestFaults has each step of Put and Delete fail, with and without having been
// done: what is said afterwards of the object is durable, the next try leads to
// what was wanted, in the same process and after a restart, and nothing else is
// left.
func TestFaults(t *testing.T) {
	const name = "parts/aa/a"
	data := []byte("data")
	for _, op := range operations(name, data) {
		begin := func(t *testing.T, sab *saboteur) *Bucket {
			b := create(t)
			if op.there {
				if err := b.Put(t.Context(), name, bytes.NewReader(data)); err != nil {
					t.Fatal(err)
				}
			}
			b.step = sab.do
			return b
		}
		clean := new(saboteur)
		if err := op.do(t, begin(t, clean)); err != nil || clean.unsure {
			t.Fatalf("%s: %v; its outcome is durable: %t", op.name, err, !clean.unsure)
		}
		t.Logf("%s: %q", op.name, clean.steps)
		for at, step := range clean.steps {
			for _, done := range []bool{false, true} {
				for _, restart := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%d %s done=%t restart=%t", op.name, at+1, step, done, restart), func(t *testing.T) {
						sab := &saboteur{at: at + 1, done: done}
						testFault(t, op, sab, begin(t, sab), name, data, restart)
					})
				}
			}
		}
	}
}

// testFault does the operation while a step fails, and again.
func testFault(t *testing.T, op operation, sab *saboteur, b *Bucket, name string, data []byte, restart bool) {
	err := op.do(t, b)
	if sab.failed == "" {
		t.Fatal("nothing was made to fail")
	}
	if tolerated := sab.failed == stepClean; errors.Is(err, errMade) == tolerated || tolerated && err != nil {
		t.Errorf("when it fails to %s it returned %v", sab.failed, err)
	}
	dir := filepath.Join(b.Path(), "parts", "aa")
	if entries, err := filepath.Glob(filepath.Join(dir, tempPrefix+"*")); err != nil || len(entries) > 0 && (sab.failed != stepClean || sab.done) {
		t.Errorf("in the folder are %q, %v", entries, err)
	}
	if restart {
		b = reopen(t, b, sab)
	} else if _, err := b.Head(t.Context(), name); (err == nil || errors.Is(err, bucket.ErrNotFound)) && sab.unsure {
		t.Errorf("Head said %v before that was durable", err)
	}
	if err := op.again(t, b); err != nil {
		t.Errorf("again: %v", err)
	}
	if sab.unsure {
		t.Error("the outcome of the next try is not durable")
	}
	b = reopen(t, b, sab)
	if op.there {
		wantObjects(t, b, data)
		if left := names(t, dir); len(left) > 0 {
			t.Errorf("the folder holds %q, want nothing", left)
		}
		return
	}
	wantObjects(t, b, data, name)
	if left := names(t, dir); !slices.Equal(left, []string{"a"}) {
		t.Errorf("the folder holds %q, want a", left)
	}
}

// reopen opens the store anew and tidies it, as the next start does.
func reopen(t *testing.T, b *Bucket, sab *saboteur) *Bucket {
	t.Helper()
	b, err := Open(b.Path())
	if err != nil {
		t.Fatal(err)
	}
	b.step = sab.do
	if _, err := b.Tidy(t.Context(), 0); err != nil {
		t.Errorf("Tidy: %v", err)
	}
	return b
}
