package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"cairn"
	"cairn/internal/device"
	"cairn/internal/jobs"
)

// A sabotage is what happens to one write of the history.
type sabotage string

const (
	fails    sabotage = "fails"
	loses    sabotage = "is done but fails"
	leaves   sabotage = "fails with the rest" // the disk is away from here on
	losesAll sabotage = "is done but fails with the rest"
)

// A ledger is the history in device.db, of which the write of a number fails.
type ledger struct {
	*device.Device
	sabotage sabotage
	at       int

	mu     sync.Mutex
	writes []string // SaveJob with the status and the backup, or ForgetJobs
	stored []string // those of them that were done
	off    bool
}

var errDisk = errors.New("the disk failed")

// write does a write, or not.
func (l *ledger) write(name string, do func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.off {
		l.writes = append(l.writes, name)
	}
	n := len(l.writes)
	rest := n > l.at && (l.sabotage == leaves || l.sabotage == losesAll)
	struck := !l.off && l.at > 0 && (n == l.at || rest)
	if struck && (rest || l.sabotage == fails || l.sabotage == leaves) {
		return errDisk
	}
	l.stored = append(l.stored, name)
	if err := do(); err != nil || !struck {
		return err
	}
	return errDisk
}

// rest ends the sabotage.
func (l *ledger) rest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off = true
}

func (l *ledger) SaveJob(ctx context.Context, job cairn.Job) error {
	return l.write(fmt.Sprint(job.Status, " ", job.Backup.ID), func() error { return l.Device.SaveJob(ctx, job) })
}

func (l *ledger) ForgetJobs(ctx context.Context, ids ...string) error {
	return l.write("forget", func() error { return l.Device.ForgetJobs(ctx, ids...) })
}

// A deed is a job, and how it ends.
type deed struct {
	name   string
	kind   cairn.JobKind
	backup string
	code   cairn.Code // of its failure; "" for none
	// committed says that it did what it should, also when it failed, as when the
	// answer of the cloud gets lost.
	committed bool
}

var deeds = []deed{
	{"creation", cairn.Creation, "B", "", true},
	{"creation that fails", cairn.Creation, "B", cairn.CodeDiskFull, false},
	{"creation whose answer is lost", cairn.Creation, "B", cairn.CodeCloudLost, true},
	{"restoration", cairn.Restoration, "B", "", true},
	{"restoration that fails", cairn.Restoration, "B", cairn.CodeDamaged, false},
	{"restoration of what is not there", cairn.Restoration, "B", cairn.CodeBackupNotFound, false},
}

// status is what a job of the deed ends with.
func (d deed) status() cairn.JobStatus {
	if d.code == "" {
		return cairn.JobCompleted
	}
	return cairn.JobFailed
}

// remembered says whether a job of the deed is kept.
func (d deed) remembered() bool { return d.code != cairn.CodeBackupNotFound }

// A historyTrial is one line of the fault table.
type historyTrial struct {
	deed     deed
	sabotage sabotage // "" for none
	at       int      // the write
	restart  bool
}

// A daemon is Jobs over a device.db, in processes one after the other.
type daemon struct {
	*fixture
	t      *testing.T
	dir    string
	ledger *ledger
	drawn  int
}

// newDaemon starts one that has no history.
func newDaemon(t *testing.T) *daemon {
	t.Helper()
	d := &daemon{fixture: &fixture{engine: &engine{backups: map[string]cairn.Backup{}}}, t: t, dir: t.TempDir()}
	d.start("", 0)
	return d
}

// start begins a process on what is stored.
func (d *daemon) start(sabotage sabotage, at int) {
	d.t.Helper()
	dev, err := device.Open(d.t.Context(), device.Config{
		Dir: d.dir, MachineID: func() string { return "machine" }, Hostname: func() (string, error) { return "host", nil },
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.ledger = &ledger{Device: dev, sabotage: sabotage, at: at}
	d.log = &safeBuffer{}
	d.Jobs = jobs.New(jobs.Config{
		Engine: d.engine, History: d.ledger, Log: slog.New(slog.NewTextHandler(d.log, nil)),
		NewID: func() string { d.drawn++; return fmt.Sprint("j", d.drawn) },
	})
	if err := d.Recover(d.t.Context()); err != nil {
		d.t.Errorf("Recover: %v", err)
	}
}

// stop ends the process.
func (d *daemon) stop() {
	d.t.Helper()
	d.Close()
	if err := d.ledger.Device.Close(); err != nil {
		d.t.Error(err)
	}
}

// do does a deed; the caller must hear of it what is true.
func (d *daemon) do(what deed) {
	d.t.Helper()
	var failure error
	if what.code != "" {
		failure = &cairn.Error{Code: what.code, Message: "It failed.", Hint: "Try again."}
	}
	id, ask, name := what.backup, d.create, "create"
	if what.kind == cairn.Restoration {
		name = "restore " + id
		ask = func(ctx context.Context) *answer { return d.restore(ctx, id) }
	}
	a := ask(d.t.Context())
	c := d.engine.last(d.t, name)
	if what.remembered() {
		c.report(backup(id), cairn.Progress{})
	}
	switch {
	case what.committed && what.kind == cairn.Creation:
		d.engine.backups[id] = backup(id)
	case what.committed:
		d.engine.restored = c.job
	}
	c.end <- ending{backup: backup(id), err: failure}
	if failure == nil {
		a.check(d.t, id, "")
	} else {
		a.check(d.t, "", what.code)
	}
}

// undone undoes the restoration.
func (d *daemon) undone() {
	d.t.Helper()
	a := d.undo(d.t.Context())
	c := d.engine.last(d.t, "undo")
	d.engine.restored = ""
	c.end <- ending{}
	a.check(d.t, "", "")
}

// check compares the list with jobs as "id STATUS", oldest first.
func (d *daemon) check(when string, want []string) {
	d.t.Helper()
	synctest.Wait()
	var got []string
	for _, job := range slices.Backward(d.List()) {
		got = append(got, fmt.Sprint(job.ID, " ", job.Status))
		if (job.Status == cairn.JobFailed) != (job.Reason != nil) || job.Ended.IsZero() {
			d.t.Errorf("%s the job is %+v", when, job)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("%s the list (-want +got):\n%s", when, diff)
	}
}

// checkSame compares the list with that before a restart.
func (d *daemon) checkSame(before []cairn.Job) {
	d.t.Helper()
	kept := cmp.Options{digests, cmpopts.IgnoreFields(cairn.Job{}, "Progress"), cmpopts.IgnoreFields(cairn.Error{}, "Err")}
	if diff := cmp.Diff(before, d.List(), kept); diff != "" {
		d.t.Errorf("the history is another one (-before +after):\n%s", diff)
	}
}

// run does the deed while the history fails, and again, and undoes that.
func (tr historyTrial) run(t *testing.T) {
	d := newDaemon(t)
	d.do(deed{"an earlier one", cairn.Creation, "earlier", "", true})
	d.stop()
	clear(d.engine.backups) // deleted since

	d.start(tr.sabotage, tr.at)
	d.do(tr.deed)
	want := []string{"j1 COMPLETED"}
	if tr.deed.remembered() {
		want = append(want, fmt.Sprint("j2 ", tr.deed.status()))
	}
	d.check("with a history that fails,", want)
	named := tr.deed.remembered() // the history knows of which backup it is
	if tr.restart {
		before := d.List()
		once := tr.sabotage == fails || tr.sabotage == loses
		if once {
			d.ledger.rest()
		}
		d.stop()
		var status cairn.JobStatus
		status, named = tr.recovered(d.ledger.stored)
		if want = want[:1]; status != "" {
			want = append(want, fmt.Sprint("j2 ", status))
		}
		d.start("", 0)
		d.check("after a restart", want)
		if once { // then the disk works again in time
			d.checkSame(before)
		}
	}
	d.ledger.rest()
	tr.ask(d, named)
	if named && tr.deed.committed {
		want[1] = "j2 COMPLETED" // as the cloud says, now that it was asked
	}

	d.do(tr.deed)
	if tr.deed.remembered() {
		want = append(want, fmt.Sprint("j3 ", tr.deed.status()))
	}
	d.undone()
	d.check("after another try", want)
	before := d.List()
	d.stop()
	d.start("", 0)
	d.check("in the end", want)
	d.checkSame(before)
	d.stop()
}

// recovered is what a restart makes of these writes, the last of which may be
// from the middle of the job: "" for no job, and whether it knows the backup.
func (tr historyTrial) recovered(stored []string) (status cairn.JobStatus, named bool) {
	if len(stored) == 0 || slices.Contains(stored, "forget") {
		return "", false
	}
	last, id, _ := strings.Cut(stored[len(stored)-1], " ")
	status, named = cairn.JobStatus(last), id != ""
	switch {
	case status.Ended():
	case tr.deed.committed && named:
		status = cairn.JobCompleted
	default:
		status = cairn.JobFailed
	}
	return status, named
}

// ask asks for the job, whose backup the history knows or not.
func (tr historyTrial) ask(d *daemon, named bool) {
	d.t.Helper()
	ask := d.Creation
	if tr.deed.kind == cairn.Restoration {
		ask = d.Restoration
	}
	job, err := ask(d.t.Context(), tr.deed.backup)
	want := cairn.JobFailed
	if tr.deed.committed {
		want = cairn.JobCompleted
	}
	switch {
	case named || tr.deed.committed && tr.deed.kind == cairn.Creation: // the cloud knows, too
		if err != nil || job.Status != want {
			d.t.Errorf("asked for, the job is %+v, %v, want it %s", job, err, want)
		}
	case cairn.CodeOf(err) != cairn.CodeJobNotFound:
		d.t.Errorf("asked for, the job is %+v, %v, want none", job, err)
	}
}

// TestHistoryFaults has each write of the history of each kind of job fail, with
// and without having been done: no job fails for that, and what the process
// says, and what it says after a restart, is true.
func TestHistoryFaults(t *testing.T) {
	for _, what := range deeds {
		var writes []string
		synctest.Test(t, func(t *testing.T) {
			d := newDaemon(t)
			d.do(what)
			d.stop()
			writes = d.ledger.writes
		})
		t.Logf("%s: %q", what.name, writes)
		for at := 1; at <= len(writes); at++ {
			for _, sabotage := range []sabotage{fails, loses, leaves, losesAll} {
				for _, restart := range []bool{false, true} {
					tr := historyTrial{what, sabotage, at, restart}
					t.Run(fmt.Sprintf("%s/%d %s %s restart=%t", what.name, at, writes[at-1], sabotage, restart), func(t *testing.T) {
						synctest.Test(t, tr.run)
					})
				}
			}
		}
	}
}

// TestHistoryCatchesUp has the end of a restoration not written, and undoes it
// right afterwards: before that begins, the end is written.
func TestHistoryCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon(t)
		d.stop()
		d.start(fails, 4)
		restored := d.restore(t.Context(), "B")
		d.undo(t.Context())
		c := d.engine.last(t, "restore B")
		c.report(backup("B"), cairn.Progress{})
		d.engine.restored = c.job
		c.end <- ending{backup: backup("B")}
		restored.check(t, "B", "")
		undo := d.engine.last(t, "undo")
		stored, err := d.ledger.Device.Jobs(t.Context())
		if err != nil || len(stored) != 1 || stored[0].Status != cairn.JobCompleted {
			t.Errorf("while it is undone, stored is %+v, %v", stored, err)
		}
		if n := len(d.ledger.writes); n != 5 {
			t.Errorf("the history was written %d times, want 5", n)
		}
		undo.end <- ending{}
		d.stop()
	})
}
