package backup_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/internal/bucket/folder"
	"cairn/internal/database"
	"cairn/internal/jobs"
	"cairn/test/stores"
)

// A stepping bucket has each call be a step of a house.
type stepping struct {
	bucket.Bucket
	h *house
	// pause is what a call waits for before it is done; nil means nothing.
	pause func(ctx context.Context, call string)
}

// call does a call, whose name leaves out what is random in that of the object.
func (s stepping) call(ctx context.Context, op, object string, do func() error) error {
	folder, _, _ := strings.Cut(object, "/")
	name := op + " " + folder
	return s.h.do(name, func() error {
		if s.pause != nil {
			s.pause(ctx, name)
		}
		return do()
	})
}

func (s stepping) Put(ctx context.Context, name string, content io.ReadSeeker) error {
	return s.call(ctx, "put", name, func() error { return s.Bucket.Put(ctx, name, content) })
}

func (s stepping) Get(ctx context.Context, name string) (body io.ReadCloser, err error) {
	err = s.call(ctx, "get", name, func() (err error) {
		body, err = s.Bucket.Get(ctx, name)
		return err
	})
	return body, err
}

func (s stepping) Head(ctx context.Context, name string) (object bucket.Object, err error) {
	err = s.call(ctx, "head", name, func() (err error) {
		object, err = s.Bucket.Head(ctx, name)
		return err
	})
	return object, err
}

func (s stepping) List(ctx context.Context, prefix string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		_ = s.call(ctx, "list", prefix, func() error {
			s.Bucket.List(ctx, prefix)(yield)
			return nil
		})
	}
}

func (s stepping) Delete(ctx context.Context, name string) error {
	return s.call(ctx, "delete", name, func() error { return s.Bucket.Delete(ctx, name) })
}

// A noted database has what it notes, reads and inserts be steps of a house,
// besides those that it has itself.
type noted struct {
	*database.DB
	h *house
}

func (n noted) Moment(ctx context.Context, look func(cairn.Moment) error) error {
	return n.DB.Moment(ctx, func(m cairn.Moment) error {
		scan := m.Scan
		m.Scan = func(after, to int64, deletions bool, row func(cairn.Document, cairn.Hash) error) error {
			return scan(after, to, deletions, func(doc cairn.Document, hash cairn.Hash) error {
				return n.h.do("scan.row", func() error { return row(doc, hash) })
			})
		}
		return n.h.do("scan.begin", func() error { return look(m) })
	})
}

func (n noted) Replace(ctx context.Context, r cairn.Replacement, fill func(func(int, []cairn.Document) (func() error, error)) error) error {
	return n.DB.Replace(ctx, r, func(prepare func(int, []cairn.Document) (func() error, error)) error {
		return fill(func(segment int, docs []cairn.Document) (func() error, error) {
			var insert func() error
			err := n.h.do("build.prepare", func() (err error) {
				insert, err = prepare(segment, docs)
				return err
			})
			return func() error { return n.h.do("build.insert", insert) }, err
		})
	})
}

func (n noted) AddBase(ctx context.Context, line string, b cairn.Base) error {
	return n.h.do("note.base", func() error { return n.DB.AddBase(ctx, line, b) })
}

func (n noted) BeginJournal(ctx context.Context, line, cloud string, keep []string) error {
	return n.h.do("note.journal", func() error { return n.DB.BeginJournal(ctx, line, cloud, keep) })
}

func (n noted) AddJournal(ctx context.Context, line, cloud, backup, part string, entry []byte) error {
	return n.h.do("note.part", func() error { return n.DB.AddJournal(ctx, line, cloud, backup, part, entry) })
}

func (n noted) UseJournal(ctx context.Context, line, cloud string, parts []string, using string) error {
	return n.h.do("note.using", func() error { return n.DB.UseJournal(ctx, line, cloud, parts, using) })
}

// A diary is a history of jobs that nobody reads, in which each entry is a step
// of a house.
type diary struct{ h *house }

func (d diary) SaveJob(_ context.Context, job cairn.Job) error {
	return d.h.do("job."+string(job.Status), func() error { return nil })
}
func (diary) ForgetJobs(context.Context, ...string) error { return nil }
func (diary) Jobs(context.Context) ([]cairn.Job, error)   { return nil, nil }

// newJobs returns jobs of the house, of which all that they do is a step of it.
// pause is that of stepping.
func (h *house) newJobs(pause func(context.Context, string)) *jobs.Jobs {
	edit := h.edit
	h.edit = func(cfg *backup.Config) {
		if edit != nil {
			edit(cfg)
		}
		cfg.Database = noted{h.db, h}
	}
	h.bucket = stepping{h.bucket, h, pause}
	h.engine = h.newEngine()
	return jobs.New(jobs.Config{Engine: h.engine, History: diary{h}, Log: slog.New(slog.DiscardHandler)})
}

// A waiter is a context that tells when somebody begins to wait for its end.
type waiter struct {
	context.Context
	once  sync.Once
	waits chan struct{}
}

func newWaiter(t *testing.T) *waiter {
	return &waiter{Context: t.Context(), waits: make(chan struct{})}
}

// Done implements context.Context.
func (w *waiter) Done() <-chan struct{} {
	w.once.Do(func() { close(w.waits) })
	return w.Context.Done()
}

// A canceller cancels the first job when a step of it begins, or when it is done.
// The step goes on when the job has heard of that, or is past hearing.
type canceller struct {
	t     *testing.T
	jobs  *jobs.Jobs
	step  string // its name, and how many of that name there have been; "" for none
	after bool   // it is done

	answered chan struct{} // closed when err is what Cancel has returned
	err      error

	mu        sync.Mutex
	times     map[string]int
	steps     []string
	committed bool // the step has begun that cannot be taken back
	off       bool // it is too late to cancel
}

// cancelAt has what is done in the house from now on be steps of a canceller.
func (h *house) cancelAt(t *testing.T, j *jobs.Jobs, step string, after bool) *canceller {
	c := &canceller{t: t, jobs: j, step: step, after: after, answered: make(chan struct{}), times: map[string]int{}}
	h.step = c.do
	return c
}

// do does a step.
func (c *canceller) do(name string, do func() error) error {
	strikes := c.strikes(name)
	if strikes && !c.after {
		c.cancel()
	}
	err := do()
	if strikes && c.after {
		c.cancel()
	}
	return err
}

func (c *canceller) strikes(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off {
		return false
	}
	c.times[name]++
	step := fmt.Sprint(name, " ", c.times[name])
	c.steps = append(c.steps, step)
	c.committed = c.committed || name == "put backups" || name == "swap.open"
	c.off = step == c.step
	return c.off
}

// cancel calls Cancel, and returns when that waits for the end of the job.
func (c *canceller) cancel() {
	waiting := newWaiter(c.t)
	job := c.jobs.List()[0]
	go func() {
		defer close(c.answered)
		c.err = c.jobs.Cancel(waiting, job.Kind, job.Backup.ID)
	}()
	select {
	case <-waiting.waits:
	case <-c.answered:
	}
}

// answer waits for what Cancel returns, and compares it with what became of the
// job: it is cancelled, unless it was past its commit point and is complete; and
// all who ask are told the same.
func (c *canceller) answer(workErr error) (job cairn.Job, canceled bool) {
	c.t.Helper()
	if !c.off {
		c.t.Fatalf("there was no step %s", c.step)
	}
	<-c.answered
	job = c.jobs.List()[0]
	switch cairn.CodeOf(c.err) {
	case "":
		canceled = true
		if job.Status != cairn.JobCanceled || cairn.CodeOf(workErr) != cairn.CodeCanceled || job.Reason == nil || job.Percentage() == 100 {
			c.t.Errorf("cancelled, it returned %v, and is %+v, %v", workErr, job, job.Reason)
		}
	case cairn.CodeNotInProgress:
		if job.Status != cairn.JobCompleted || workErr != nil || job.Reason != nil || job.Percentage() != 100 {
			c.t.Errorf("not cancelled, since %v, it returned %v, and is %+v, %v", c.err, workErr, job, job.Reason)
		}
	default:
		c.t.Errorf("Cancel returned %v", c.err)
	}
	if canceled == c.committed {
		c.t.Errorf("Cancel returned %v; the job was past its commit point: %t", c.err, c.committed)
	}
	ask := c.jobs.Creation
	if job.Kind == cairn.Restoration {
		ask = c.jobs.Restoration
	}
	if st, err := ask(c.t.Context(), job.Backup.ID); err != nil || st.ID != job.ID || st.Status != job.Status {
		c.t.Errorf("the job is %+v, and its status %+v, %v", job, st, err)
	}
	return job, canceled
}

// job does the operation as a job.
func (o operation) job(t *testing.T, j *jobs.Jobs, id string) (cairn.Backup, error) {
	t.Helper()
	begin := j.Create
	if o == restore {
		begin = func(ctx context.Context) (cairn.Watch, error) { return j.Restore(ctx, cairn.Backup{ID: id}) }
	}
	watch, err := begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return watch.Wait(t.Context())
}

// TestCancelSteps cancels creations and restorations at each of their steps, as
// it begins and when it is done. Either the job is cancelled, as if it had never
// been, or it is complete, and Cancel says so; and the next one is done at once.
// All of that is done on a folder, and a share on other stores.
func TestCancelSteps(t *testing.T) {
	chosen := newSample(t)
	known := map[string]bool{}
	for _, shape := range []shape{small(), large()} {
		s := newScene(t, shape)
		for _, op := range []operation{create, restore} {
			trials, canceled := 0, 0
			for _, step := range s.steps(t, op) {
				name := string(op) + "/" + step
				if known[name] {
					continue // it was tried in the other shape
				}
				known[name] = true
				for _, after := range []bool{false, true} {
					if !stores.InFolder() && !chosen.has(100) {
						continue
					}
					moment := map[bool]string{false: " begins", true: " is done"}[after]
					trials++
					t.Run(shape.name+"/"+name+moment, func(t *testing.T) {
						if s.cancel(t, op, step, after) {
							canceled++
						}
					})
				}
			}
			t.Logf("%s of %s: %d of %d were cancelled", op, shape.name, canceled, trials)
		}
	}
}

// steps returns the steps of a job that nobody cancels.
func (s scene) steps(t *testing.T, op operation) []string {
	t.Helper()
	h, _ := s.enter(t, unwrapped)
	j := h.newJobs(nil)
	defer j.Close()
	c := h.cancelAt(t, j, "", false)
	if _, err := op.job(t, j, s.backup.ID); err != nil {
		t.Fatal(err)
	}
	slices.Sort(c.steps)
	return c.steps
}

// unwrapped is nothing around a bucket.
func unwrapped(b bucket.Bucket) bucket.Bucket { return b }

// cancel cancels a job at a step, and reports whether that was possible.
func (s scene) cancel(t *testing.T, op operation, step string, after bool) (canceled bool) {
	t.Helper()
	h, store := s.enter(t, unwrapped)
	before := h.everything(store)
	j := h.newJobs(nil)
	defer j.Close()
	c := h.cancelAt(t, j, step, after)
	made, err := op.job(t, j, s.backup.ID)
	job, canceled := c.answer(err)
	if left := h.everything(store); canceled && !slices.Equal(left, before) {
		t.Errorf("cancelled, it leaves the files %q, and there were %q", left, before)
	}
	s.check(h, op, outcome{done: !canceled, made: made, job: job.ID}, canceled)
	if canceled {
		s.again(h, j, op)
	}
	return canceled
}

// again does the operation that was cancelled.
func (s scene) again(h *house, j *jobs.Jobs, op operation) {
	h.t.Helper()
	made, err := op.job(h.t.(*testing.T), j, s.backup.ID)
	if err != nil {
		h.t.Fatalf("once more: %v", err)
	}
	s.check(h, op, outcome{done: true, made: made, job: j.List()[0].ID}, false)
}

// TestCancelFirst cancels the first creation, which makes the cloud, at each of
// its steps. The next one is done.
func TestCancelFirst(t *testing.T) {
	chosen := newSample(t)
	first := func(t *testing.T, step string, after bool) []string {
		store := stores.New(t)
		h := openHouse(t, t.TempDir(), store, sequential)
		h.apply(doc("a", "first", 100))
		j := h.newJobs(nil)
		defer j.Close()
		c := h.cancelAt(t, j, step, after)
		made, err := create.job(t, j, "")
		if step == "" {
			return c.steps
		}
		if _, canceled := c.answer(err); canceled {
			if list := h.list(); len(list) > 0 {
				t.Errorf("cancelled, it is listed: %v", list)
			}
			if made, err = create.job(t, j, ""); err != nil {
				t.Fatalf("once more: %v", err)
			}
		}
		if list := h.list(); len(list) != 1 || list[0] != made {
			t.Errorf("listed are %v, want %v", list, made)
		}
		h.checkTidy(true)
		h.restore(made.ID)
		if digest := h.verify(); digest != made.Digest {
			t.Errorf("it restores to %s, not to %s", digest, made.Digest)
		}
		return nil
	}
	steps := first(t, "", false)
	slices.Sort(steps)
	for _, step := range steps {
		for _, after := range []bool{false, true} {
			if chosen.has(60) {
				t.Run(fmt.Sprintf("%s after=%t", step, after), func(t *testing.T) { first(t, step, after) })
			}
		}
	}
}

// TestCancelSilent cancels jobs of a store that does not answer one of their calls.
// If the call hears of that, as on a network, Cancel returns at once; if not, as on
// a folder whose server is gone, that of a restoration does two seconds later, and
// that of a creation when the store is back. The manifest is waited for in either case.
func TestCancelSilent(t *testing.T) {
	s := newScene(t, small())
	for _, op := range []operation{create, restore} {
		for _, call := range s.steps(t, op) {
			if !strings.HasPrefix(call, "get ") && !strings.HasPrefix(call, "put ") {
				continue
			}
			for _, hears := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s hears=%t", op, call, hears), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { s.cancelSilent(t, op, call, hears) })
				})
			}
		}
	}
}

func (s scene) cancelSilent(t *testing.T, op operation, call string, hears bool) {
	h, _ := s.enter(t, unwrapped)
	silent, back := make(chan struct{}), make(chan struct{})
	var calls sync.Map // how many there have been, by name
	j := h.newJobs(func(ctx context.Context, name string) {
		n, _ := calls.LoadOrStore(name, new(atomic.Int64))
		if fmt.Sprint(name, " ", n.(*atomic.Int64).Add(1)) != call {
			return
		}
		close(silent)
		if !hears {
			ctx = context.Background()
		}
		select {
		case <-back:
		case <-ctx.Done():
		}
	})
	defer j.Close()
	var work sync.WaitGroup
	var made cairn.Backup
	var workErr error
	work.Go(func() { made, workErr = op.job(t, j, s.backup.ID) })
	<-silent
	begin := time.Now()
	job := j.List()[0]
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := j.Cancel(ctx, job.Kind, job.Backup.ID)
	took := time.Since(begin)
	alone := op == restore || call == "get cairn.json 1" // what only asks is left to itself
	prompt := (hears || alone) && call != "put backups 1"
	soon := time.Duration(0)
	if !hears && call != "get cairn.json 1" {
		soon = 2 * time.Second // in which it might hear
	}
	if prompt != (err == nil) || prompt != (took == soon) || !prompt && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Cancel returned %v after %s", err, took)
	}
	close(back)
	work.Wait()
	got := outcome{done: call == "put backups 1", made: made}
	if got.done != (workErr == nil) || !got.done && cairn.CodeOf(workErr) != cairn.CodeCanceled {
		t.Errorf("it ended with %v", workErr)
	}
	s.check(h, op, got, !got.done)
	if !got.done {
		s.again(h, j, op)
	}
}

// everything returns all files of the data folder, and those that a store in a
// folder hides.
func (h *house) everything(store bucket.Bucket) (names []string) {
	h.t.Helper()
	look := func(dir string, takes func(name string) bool) {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && takes(e.Name()) {
				names = append(names, path)
			}
			return err
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
	look(h.dir, func(string) bool { return true })
	for {
		if f, ok := store.(*folder.Bucket); ok {
			look(f.Path(), func(name string) bool { return strings.HasPrefix(name, ".") })
		}
		w, ok := store.(interface{ Unwrap() bucket.Bucket })
		if !ok {
			return names
		}
		store = w.Unwrap()
	}
}

// TestCancelAmidUndo has an undo wait behind a restoration that is cancelled at some
// of its steps: it takes back what is there then, and can be undone itself.
func TestCancelAmidUndo(t *testing.T) {
	s := newScene(t, small())
	for _, step := range []string{"job.IN-PROGRESS 1", "build.fill 1", "swap.rename 1", "swap.commit 1"} {
		t.Run(step, func(t *testing.T) {
			h, _ := s.enter(t, unwrapped)
			j := h.newJobs(nil)
			defer j.Close()
			c := h.cancelAt(t, j, step, false)
			work, err := j.Restore(t.Context(), cairn.Backup{ID: s.backup.ID})
			if err != nil {
				t.Fatal(err)
			}
			undo, err := j.Undo(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = work.Wait(t.Context())
			_, canceled := c.answer(err)
			if _, err := undo.Wait(t.Context()); err != nil {
				t.Errorf("the undo: %v", err)
			}
			undone, before := s.live.Digest, s.backup.Digest
			if canceled {
				undone, before = s.undo, s.live.Digest
			}
			for _, want := range []cairn.Digest{undone, before} {
				if live := h.verify(); live != want {
					t.Errorf("cancelled: %t; the live database is %s, want %s", canceled, live, want)
				}
				h.undo()
			}
			h.checkTidy(false)
		})
	}
}
