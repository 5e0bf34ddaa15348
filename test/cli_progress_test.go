package test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
	"cairn/test/harness"
)

const (
	anyID      = `\d\S+_\d{8}T\d{6}\.\d{9}Z`
	created    = `created (` + anyID + `): \d+ documents, \S+ MB of JSON in \S+ \S+\n`
	restored   = `restored ` + anyID + `; cairn backup undo brings back what was there before\n`
	cancelling = `cancelling; a second Ctrl-C leaves without waiting\n`
	lines      = `((?:creating|restoring) \S+: \d+ %, .* of .*\n)*` // of progress
	notes      = `(note: [^\n]*\n)?`
)

// TestProgressLines makes a backup and restores it, where progress is told in
// lines, and in JSON.
func TestProgressLines(t *testing.T) {
	t.Parallel()
	s, first := newSlowStore(t)
	s.holdCreation(t)
	v := startVerb(t, s.d, "backup", "create")
	s.valve.await(t)
	id := v.errs.await(t, `(?m)^creating (`+anyID+`): \d+ %, \S+ \S+ of \S+ MB\n`)[1]
	s.valve.open()
	v.wantEnd(0, strings.Replace(created, anyID, id, 1), lines+notes)

	s.holdRestoration()
	v = startVerb(t, s.d, "backup", "restore", first)
	v.errs.await(t, `(?m)^restoring `+first+`: \d+ %, \S+ \S+ of \S+ MB\n`)
	s.valve.open()
	v.wantEnd(0, strings.Replace(restored, anyID, first, 1), lines)

	s.holdCreation(t)
	v = startVerb(t, s.d, "backup", "create", "--json")
	v.out.await(t, `"percentage":[1-9]`)
	s.valve.open()
	stdout, stderr, code := v.end()
	if code != 0 || !regexp.MustCompile(`^`+notes+`$`).MatchString(stderr) {
		t.Errorf("backup create --json ends with %d\n%s%s", code, stdout, stderr)
	}
	wantEvents(t, s, stdout, "")

	s.holdRestoration()
	v = startVerb(t, s.d, "backup", "restore", id, "--json")
	s.valve.await(t)
	s.valve.open()
	stdout, stderr, code = v.end()
	if code != 0 || stderr != "" {
		t.Errorf("backup restore --json ends with %d\n%s%s", code, stdout, stderr)
	}
	wantEvents(t, s, stdout, id)
}

// wantEvents checks the events of a job that became complete, of the given backup
// if one is given.
func wantEvents(t *testing.T, s *slowStore, stdout, id string) {
	t.Helper()
	var events []api.Progress
	for line := range strings.Lines(stdout) {
		var p api.Progress
		if err := json.Unmarshal([]byte(line), &p); err != nil || !strings.HasSuffix(line, "}\n") {
			t.Fatalf("%v: %q", err, line)
		}
		events = append(events, p)
	}
	if len(events) < 2 || id != "" && events[0].Backup.ID != id {
		t.Fatalf("the events are\n%s", stdout)
	}
	last := api.Progress{Status: cairn.JobInitialized, Percentage: 0, Backup: events[0].Backup}
	for i, p := range events {
		end := i == len(events)-1
		if p.Percentage < last.Percentage || p.DoneBytes < last.DoneBytes || p.Backup.ID != last.Backup.ID || p.Problem != nil ||
			end != (p.Status == cairn.JobCompleted) || end != (p.Percentage == 100) || !end && p.Status != cairn.JobInProgress && p.Status != last.Status {
			t.Errorf("after %+v comes %+v", last, p)
		}
		last = p
	}
	stored, err := s.c.Backup(t.Context(), last.Backup.ID)
	if diff := cmp.Diff(stored, last.Backup); err != nil || diff != "" {
		t.Errorf("%v, the last event has another backup (-stored +event)\n%s", err, diff)
	}
}

// TestInterruptedVerbs interrupts creations and restorations at several moments.
func TestInterruptedVerbs(t *testing.T) {
	t.Parallel()
	s, first := newSlowStore(t)
	s.change(t)
	before, listed := databaseStatus(t, s.d), s.ids(t)

	s.holdRestoration()
	v := startVerb(t, s.d, "backup", "restore", first)
	s.valve.await(t)
	v.interrupt()
	v.wantEnd(130, ``, lines+cancelling+lines+`cairn: cancelled; the documents are as they were\n`)
	if diff := cmp.Diff(before, databaseStatus(t, s.d)); diff != "" {
		t.Errorf("the database is another (-before +after)\n%s", diff)
	}
	wantStatus(t, s, first, "creation     COMPLETED  100 %\nrestoration  CANCELED  \\d+ %\n +the restoration was cancelled: .*\n")

	s.holdCreation(t)
	v = startVerb(t, s.d, "backup", "create", "--json")
	s.valve.await(t)
	id := v.out.await(t, `"id":"(`+anyID+`)"`)[1]
	v.interrupt()
	v.wantEnd(130, `.*"status":"CANCELED","percentage":\d+,"backup":\{"id":"`+id+`".*"code":"canceled".*\}\n`, cancelling+`cairn: cancelled; no backup was made\n`)
	if diff := cmp.Diff(listed, s.ids(t)); diff != "" {
		t.Errorf("other backups are listed (-before +after)\n%s", diff)
	}
	wantStatus(t, s, id, "creation     CANCELED  \\d+ %\n +the creation was cancelled: no backup was made\n")
	s.wantWorking(t)

	// Too late: the backup is made.
	s.holdCommit(t)
	v = startVerb(t, s.d, "backup", "create")
	s.valve.await(t)
	v.interrupt()
	v.errs.await(t, `cancelling`)
	s.valve.open()
	v.wantEnd(0, created, lines+cancelling+lines+notes)

	// Twice: the verb ends at once, and the work goes on.
	s.holdCommit(t)
	v = startVerb(t, s.d, "backup", "create", "--json")
	s.valve.await(t)
	id = v.out.await(t, `"id":"(`+anyID+`)"`)[1]
	v.interrupt()
	v.errs.await(t, `cancelling`)
	v.insist()
	v.wantEnd(-1, `.*`, cancelling)
	s.valve.open()
	for all, err := range s.c.StreamProgress(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if len(all.Backups) == 0 || all.Backups[0].Status.Ended() {
			break
		}
	}
	if !slices.Contains(s.ids(t), id) {
		t.Errorf("%s is not listed", id)
	}
	s.wantWorking(t)
}

// wantStatus checks what is said of a backup.
func wantStatus(t *testing.T, s *slowStore, id, pattern string) {
	t.Helper()
	startVerb(t, s.d, "backup", "status", id).wantEnd(0, pattern, ``)
}

// TestOtherShell looks at what one shell does, and cancels it, from another one.
func TestOtherShell(t *testing.T) {
	t.Parallel()
	s, first := newSlowStore(t)
	watch := startVerb(t, s.d, "backup", "watch")
	watch.errs.await(t, `^nothing is in progress\n$`)
	machine := startVerb(t, s.d, "backup", "watch", "--json")
	machine.out.await(t, `^\{"backups":\[\],"restorations":\[\]\}\n$`)

	s.holdCreation(t)
	running := startVerb(t, s.d, "backup", "create")
	id := running.errs.await(t, `(?m)^creating (`+anyID+`): [1-9]`)[1]
	wantStatus(t, s, id, `creation     IN-PROGRESS  [1-9]\d* %, \S+ MB of \S+ MB\n`)
	waiting := startVerb(t, s.d, "backup", "restore", first)
	waiting.errs.await(t, `^restoring `+first+`: waiting for the work before it\n$`)
	wantStatus(t, s, first, "creation     COMPLETED  100 %\nrestoration  INITIALIZED  0 %, waiting for the work before it\n")
	late := startVerb(t, s.d, "backup", "watch")
	late.out.await(t, `(?m)^creation     `+id+` +IN-PROGRESS +\d+ %  \S+ MB of \S+ MB\nrestoration  `+first+` +INITIALIZED +0 %`)
	late.interrupt()
	late.wantEnd(0, `.*`, ``)

	// The one that waits ends at once, and the other one goes on.
	startVerb(t, s.d, "backup", "cancel", first).wantEnd(0, `cancelled `+first+`; the documents are as they were\n`, ``)
	waiting.wantEnd(1, ``, `restoring \S+: waiting for the work before it\ncairn: the restoration was cancelled: the documents are as they were before it\n`)
	startVerb(t, s.d, "backup", "cancel", id, "--json").wantEnd(0, `\{\}\n`, ``)
	running.wantEnd(1, ``, lines+`cairn: the creation was cancelled: no backup was made\n`)
	for _, gone := range []string{id, first} {
		startVerb(t, s.d, "backup", "cancel", gone).wantEnd(4, ``, `cairn: nothing of the backup "`+gone+`" is in progress\nhint: cairn backup status ID .*\n`)
	}
	watch.out.await(t, `(?m)^creation     `+id+` +CANCELED +\d+ %  .*  the creation was cancelled: no backup was made$`)

	// The watches see a job from its beginning to its end.
	s.valve.shut("put", "/parts/", 1)
	running = startVerb(t, s.d, "backup", "create")
	watch.out.await(t, `(?m)^creation     [^\n]*IN-PROGRESS +[1-9]`)
	s.valve.open()
	running.wantEnd(0, created, lines+notes)
	id = s.ids(t)[0]
	watch.out.await(t, `(?m)^(creation     `+id+` +INITIALIZED +0 %\n)?(creation     `+id+` +IN-PROGRESS +\d+ %.*\n)+creation     `+id+` +COMPLETED +100 %`)
	s.holdRestoration()
	running = startVerb(t, s.d, "backup", "restore", id)
	watch.out.await(t, `(?m)^restoration  `+id+` +IN-PROGRESS`)
	s.valve.open()
	running.wantEnd(0, restored, lines)
	watch.out.await(t, `(?m)^(restoration  `+id+` +IN-PROGRESS +\d+ %.*\n)+restoration  `+id+` +COMPLETED +100 %`)
	machine.out.await(t, `"restorations":\[\{"status":"COMPLETED","percentage":100,"backup":\{"id":"`+id+`"`)
	machine.interrupt()
	stdout, stderr, code := machine.end()
	for line := range strings.Lines(stdout) {
		var all api.AllProgress
		if err := json.Unmarshal([]byte(line), &all); err != nil || all.Backups == nil || all.Restorations == nil {
			t.Errorf("%v: %q", err, line)
		}
	}
	if code != 0 || stderr != "" {
		t.Errorf("the watch for programs ends with %d: %s", code, stderr)
	}
	if err := s.d.Stop(); err != nil {
		t.Fatal(err)
	}
	watch.wantEnd(3, `.*`, `.*cairn: the daemon at \S+ does not tell any more how far it is\nhint: .*\n`)
}

// TestVerbUnread has nobody read what a verb prints: it says that the work goes on,
// which it does.
func TestVerbUnread(t *testing.T) {
	t.Parallel()
	s, _ := newSlowStore(t)
	s.holdCreation(t)
	read, write, err := os.Pipe()
	if err == nil {
		err = read.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	v := startTo(t, harness.Command(t, s.d.Env(), "backup", "create", "--json"), write)
	v.wantEnd(1, ``, `the daemon goes on with it; cairn backup status `+anyID+` says what became of it\n`)
	id := v.errs.await(t, anyID)[0]
	s.valve.await(t)
	wantStatus(t, s, id, `creation     IN-PROGRESS  \d+ %.*\n`)
	s.valve.open()
	for all, err := range s.c.StreamProgress(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if len(all.Backups) == 0 || all.Backups[0].Status.Ended() {
			break
		}
	}
	wantStatus(t, s, id, "creation     COMPLETED  100 %\n")
}

// TestVerbWithoutDaemon kills the daemon while it makes a backup.
func TestVerbWithoutDaemon(t *testing.T) {
	t.Parallel()
	s, _ := newSlowStore(t)
	s.holdCreation(t)
	v := startVerb(t, s.d, "backup", "create", "--json")
	s.valve.await(t)
	id := v.out.await(t, `"id":"(`+anyID+`)"`)[1]
	s.d.Kill()
	v.wantEnd(3, `.*"IN-PROGRESS".*`, `cairn: the daemon at \S+ does not tell any more how far it is\nhint: when the daemon runs again, cairn backup status `+id+` says what became of it\n`)
	s.valve.open()
	s.d = s.cloud.serve(t, harness.Options{Data: s.d.Data})
	wantStatus(t, s, id, "creation     FAILED  0 %\n +the daemon stopped before it was done\n +hint: create another backup\n")
}
