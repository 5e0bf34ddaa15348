package jobs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/jobs"
)

// A call is one piece of work in the engine.
type call struct {
	name   string // create, from, restore ID, undo
	job    string // of a restoration
	ctx    context.Context
	report func(cairn.Backup, cairn.Progress)
	end    chan ending
}

// An ending is what a call returns, or panics with.
type ending struct {
	backup cairn.Backup
	err    error
	panics any
}

// engine is an Engine whose work the test ends.
type engine struct {
	stubborn bool // work does not end when it is cancelled

	mu       sync.Mutex
	calls    []*call
	running  int
	most     int // that ran at the same time
	restored string
	backups  map[string]cairn.Backup
	asked    int
	lost     error // what the cloud answers, if not nil
	hangs    bool  // the cloud does not answer
}

func (e *engine) do(ctx context.Context, name, job string, report func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
	c := &call{name, job, ctx, report, make(chan ending, 1)}
	e.mu.Lock()
	e.calls = append(e.calls, c)
	e.running++
	e.most = max(e.most, e.running)
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.running--
		e.mu.Unlock()
	}()
	stop := ctx.Done()
	if e.stubborn {
		stop = nil
	}
	select {
	case o := <-c.end:
		if o.panics != nil {
			panic(o.panics)
		}
		return o.backup, o.err
	case <-stop:
		return cairn.Backup{}, fmt.Errorf("working: %w", ctx.Err())
	}
}

// NewBackup leaves the id open: it comes with the first report.
func (e *engine) NewBackup(cairn.Scope) cairn.Backup { return cairn.Backup{} }

func (e *engine) Create(ctx context.Context, _ cairn.Backup, report func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
	return e.do(ctx, "create", "", report)
}

func (e *engine) CreateFrom(ctx context.Context, _ cairn.Backup, documents iter.Seq2[cairn.Document, error], report func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
	b, err := e.do(ctx, "from", "", report)
	for range documents {
		b.Documents++
	}
	return b, err
}

func (e *engine) Restore(ctx context.Context, job, backup string, report func(cairn.Backup, cairn.Progress)) (cairn.Backup, error) {
	return e.do(ctx, "restore "+backup, job, report)
}

func (e *engine) Undo(ctx context.Context) error {
	_, err := e.do(ctx, "undo", "", nil)
	return err
}

func (e *engine) Restored() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.restored
}

func (e *engine) Backup(ctx context.Context, id string) (cairn.Backup, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked++
	if e.hangs {
		<-ctx.Done()
		return cairn.Backup{}, context.Cause(ctx)
	}
	if e.lost != nil {
		return cairn.Backup{}, e.lost
	}
	b, ok := e.backups[id]
	if !ok {
		return cairn.Backup{}, &cairn.Error{Code: cairn.CodeBackupNotFound, Message: "No such backup."}
	}
	return b, nil
}

// last returns the call that runs, whose name must be this.
func (e *engine) last(t *testing.T, name string) *call {
	t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running != 1 || e.calls[len(e.calls)-1].name != name {
		t.Fatalf("%d pieces of work run, after %q; want %q", e.running, e.names(), name)
	}
	return e.calls[len(e.calls)-1]
}

// names returns what was called. mu must be held.
func (e *engine) names() []string {
	var names []string
	for _, c := range e.calls {
		names = append(names, c.name)
	}
	return names
}

// history is a History in memory.
type history struct {
	mu     sync.Mutex
	saved  []cairn.Job   // each save
	forgot []string      // ids
	err    error         // what all calls return, if not nil
	load   []cairn.Job   // what Jobs returns
	begin  chan struct{} // what saving a beginning waits for, if not nil
	slow   chan struct{} // what saving an end waits for, if not nil
}

func (h *history) SaveJob(ctx context.Context, job cairn.Job) error {
	if h.slow != nil && job.Status.Ended() {
		<-h.slow
	}
	if h.begin != nil && job.Status == cairn.JobInitialized {
		<-h.begin
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := errors.Join(ctx.Err(), h.err); err != nil {
		return err
	}
	h.saved = append(h.saved, job)
	return nil
}

func (h *history) ForgetJobs(ctx context.Context, ids ...string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := errors.Join(ctx.Err(), h.err); err != nil {
		return err
	}
	h.forgot = append(h.forgot, ids...)
	return nil
}

func (h *history) Jobs(context.Context) ([]cairn.Job, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.load), h.err
}

// saves returns what was saved of a job, as "STATUS backup".
func (h *history) saves(id string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var saves []string
	for _, job := range h.saved {
		if job.ID == id {
			saves = append(saves, fmt.Sprint(job.Status, " ", job.Backup.ID))
		}
	}
	return saves
}

// fixture is Jobs and all around them. The ids of jobs are j1, j2, ...
type fixture struct {
	*jobs.Jobs
	engine  *engine
	history *history
	log     *safeBuffer
	ended   chan cairn.Job // each that has
	telling time.Duration  // how long it takes to tell of it
}

func setUp() *fixture { return setUpWith(func(e *engine) jobs.Engine { return e }) }

// setUpWith is setUp with something around the engine.
func setUpWith(around func(*engine) jobs.Engine) *fixture {
	f := &fixture{engine: &engine{backups: map[string]cairn.Backup{}}, history: &history{}, log: &safeBuffer{}, ended: make(chan cairn.Job, 4096)}
	var mu sync.Mutex
	drawn := 0
	f.Jobs = jobs.New(jobs.Config{
		Engine: around(f.engine), History: f.history,
		NewID: func() string {
			mu.Lock()
			defer mu.Unlock()
			drawn++
			return fmt.Sprint("j", drawn)
		},
		Ended: func(job cairn.Job) {
			time.Sleep(f.telling)
			f.ended <- job
		},
		Log: slog.New(slog.NewTextHandler(f.log, nil)),
	})
	return f
}

// safeBuffer is a buffer for many goroutines.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// An answer is what a method of Jobs returned, once it has.
type answer struct {
	done   chan struct{}
	backup cairn.Backup
	err    error
}

// ask calls a method in the background, and returns when the work it began
// waits for something.
func ask(method func() (cairn.Backup, error)) *answer {
	a := &answer{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.backup, a.err = method()
	}()
	synctest.Wait()
	return a
}

// returned reports whether the method has.
func (a *answer) returned() bool {
	synctest.Wait()
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// check fails the test unless the method has returned this.
func (a *answer) check(t *testing.T, backup string, code cairn.Code) {
	t.Helper()
	if !a.returned() {
		t.Fatal("the call has not returned")
	}
	if a.backup.ID != backup || cairn.CodeOf(a.err) != code {
		t.Errorf("the call returned %q, %v; want %q and code %q", a.backup.ID, a.err, backup, code)
	}
}

// outcome returns what waits for a job that a method has begun, until ctx ends.
func outcome(ctx context.Context) func(cairn.Watch, error) (cairn.Backup, error) {
	return func(watch cairn.Watch, err error) (cairn.Backup, error) {
		if err != nil {
			return cairn.Backup{}, err
		}
		return watch.Wait(ctx)
	}
}

func (f *fixture) create(ctx context.Context) *answer {
	return ask(func() (cairn.Backup, error) { return outcome(ctx)(f.Create(ctx)) })
}

func (f *fixture) createFrom(ctx context.Context, documents iter.Seq2[cairn.Document, error]) *answer {
	return ask(func() (cairn.Backup, error) { return outcome(ctx)(f.CreateFrom(ctx, documents)) })
}

func (f *fixture) restore(ctx context.Context, id string) *answer {
	return ask(func() (cairn.Backup, error) { return outcome(ctx)(f.Restore(ctx, cairn.Backup{ID: id})) })
}

func (f *fixture) undo(ctx context.Context) *answer {
	return ask(func() (cairn.Backup, error) { return outcome(ctx)(f.Undo(ctx)) })
}

// list returns the list, as "id kind STATUS backup".
func (f *fixture) list() []string {
	lines := []string{}
	for _, job := range f.List() {
		lines = append(lines, fmt.Sprint(job.ID, " ", job.Kind, " ", job.Status, " ", job.Backup.ID))
	}
	return lines
}

// digests lets cmp compare backups.
var digests = cmp.AllowUnexported(cairn.Digest{})

// backup returns a backup with this id.
func backup(id string) cairn.Backup {
	return cairn.Backup{ID: id, Bytes: 9, Created: time.Date(2026, 11, 23, 7, 25, 41, 0, time.UTC)}
}

// documents yields n empty documents.
func documents(n int) iter.Seq2[cairn.Document, error] {
	return func(yield func(cairn.Document, error) bool) {
		for range n {
			if !yield(cairn.Document{}, nil) {
				return
			}
		}
	}
}
