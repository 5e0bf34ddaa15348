package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
)

// TestSyncedBeforeAnswer traces the system calls of a daemon at work: whatever it
// answered is on the disk by then, files and names alike, and nothing on the disk
// names what is not there yet. So a loss of power costs nothing at any moment.
func TestSyncedBeforeAnswer(t *testing.T) {
	t.Parallel()
	trace := newTrace(t)
	data := filepath.Join(t.TempDir(), "data")
	d := harness.Start(t, harness.Options{Data: data, Under: trace.command("-s", "400", "-e", "trace="+tracedCalls)})
	c := client.New(d.URL)
	work := []func() error{
		func() error { _, err := c.CreateAsset(t.Context(), assetSeed("first", "text")); return err },
		func() error { _, err := c.CreateBackup(t.Context()); return err },
		func() error { _, err := c.CreateAsset(t.Context(), assetSeed("second", "text")); return err },
		func() error { _, err := c.CreateBackup(t.Context()); return err },
		func() error { _, err := c.RestoreBackup(t.Context(), oldest(t, c)); return err },
		func() error { _, err := c.CreateAsset(t.Context(), assetSeed("third", "text")); return err },
		func() error { return c.UndoRestore(t.Context()) },
		func() error { _, err := c.RestoreBackup(t.Context(), oldest(t, c)); return err },
		func() error { return c.DeleteBackup(t.Context(), oldest(t, c)) },
	}
	for i, do := range work {
		if err := do(); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	disk := newDisk(data)
	for _, line := range trace.lines(t, d.PID) {
		disk.see(line)
	}
	for _, problem := range disk.problems {
		t.Error(problem)
	}
	for what, want := range map[string]int{"answers": len(work), "CURRENT": 3, "backups": 2, "cairn.json": 1} {
		if got := disk.counts[what]; got < want {
			t.Errorf("the trace shows %d of %s, want at least %d", got, what, want)
		}
	}
}

// TestUnsyncedCommit has the sync of a commit fail. What the daemon said was not
// changed does not come back when it is killed and started again.
func TestUnsyncedCommit(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	d := harness.Start(t, harness.Options{Data: data})
	live, _ := generations(t, data)
	log := filepath.Join(data, "generations", live+"-wal")
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		// The first syncs are those of the log's header. strace counts the calls
		// of each thread by themselves.
		d = harness.Start(t, harness.Options{Data: data, Under: newTrace(t).command("-P", log, "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=4")})
		c := client.New(d.URL)
		id, err := untilRefused(t, c)
		code := cairn.CodeOf(err)
		if code != cairn.CodeDiskFull {
			t.Fatalf("the write was refused with %q: %v", code, err)
		}
		if _, err := c.Asset(t.Context(), id); cairn.CodeOf(err) != cairn.CodeGone {
			t.Errorf("what was refused is there: %v", err)
		}
		d.Kill()
		definite := strings.Contains(err.Error(), "nothing was changed")
		if !definite && !strings.Contains(err.Error(), "may be after a restart") {
			t.Errorf("the refusal does not say what became of the change: %v", err)
		}
		d = harness.Start(t, harness.Options{Data: data})
		if _, err := client.New(d.URL).Asset(t.Context(), id); definite && cairn.CodeOf(err) != cairn.CodeGone {
			t.Errorf("what was said to have changed nothing came back: %v", err)
		}
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
		if definite {
			return
		}
	}
	t.Error("no write was taken back")
}

// untilRefused writes until that fails, and returns the id of what was refused.
func untilRefused(t *testing.T, c *client.Client) (id string, err error) {
	t.Helper()
	for i := range 100 {
		id := fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)
		line := api.DocumentLine{Collection: cairn.CollectionAssets, ID: id, Document: []byte(`{"id":"` + id + `"}`)}
		_, err := c.WriteDocuments(t.Context(), []api.DocumentLine{line})
		if err != nil {
			return id, err
		}
	}
	t.Fatal("no write was refused")
	return "", nil
}

// oldest returns the id of the oldest backup.
func oldest(t *testing.T, c *client.Client) string {
	t.Helper()
	backups, err := c.Backups(t.Context())
	if err != nil || len(backups) == 0 {
		t.Fatalf("%d backups, %v", len(backups), err)
	}
	ids := make([]string, 0, len(backups))
	for _, b := range backups {
		ids = append(ids, b.ID)
	}
	return slices.Min(ids) // they end in their times
}

// A trace is what strace writes of a daemon.
type trace struct{ path string }

// newTrace skips the test where the system lets nobody trace.
func newTrace(t *testing.T) trace {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trace")
	if out, err := exec.Command("strace", "-o", path, "true").CombinedOutput(); err != nil {
		// What the system says when it has no ptrace, or not for this user.
		refused := regexp.MustCompile("(?i)ptrace.*(operation not permitted|permission denied|function not implemented)")
		if refused.Match(out) {
			t.Skipf("this machine lets nobody trace: %v\n%s", err, out)
		}
		skipOrFail(t, fmt.Sprintf("strace: %v\n%s", err, out))
	}
	return trace{path}
}

// command returns the command that traces what becomes the daemon.
func (tr trace) command(args ...string) []string {
	return append([]string{"strace", "-D", "-f", "-y", "-o", tr.path}, args...)
}

// lines returns the trace of a daemon that has ended. strace ends a little later,
// and is nobody's child, so only its file tells.
func (tr trace) lines(t *testing.T, pid int) []string {
	t.Helper()
	end := regexp.MustCompile(fmt.Sprintf(`(?m)^%d +\+\+\+ exited`, pid))
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(tr.path)
		if err != nil {
			t.Fatal(err)
		}
		if end.Match(text) {
			return strings.Split(string(text), "\n")
		}
		if time.Now().After(deadline) {
			t.Fatalf("the trace has no end:\n%s", text[max(0, len(text)-2000):])
		}
	}
}

// tracedCalls are those that change a disk or what is known to be on it.
const tracedCalls = "open,openat,creat,write,pwrite64,writev,pwritev,ftruncate,truncate,fallocate,copy_file_range,sendfile," +
	"fsync,fdatasync,rename,renameat,renameat2,link,linkat,mkdir,mkdirat,unlink,unlinkat,rmdir"

// A disk is what a loss of power would leave of a folder, as far as the calls
// tell: what was written or named, and not synced since, may or may not be there.
type disk struct {
	root     string
	now      int            // counts the calls
	written  map[string]int // files: when they were written last
	synced   map[string]int // files and folders: all before is on the disk
	named    map[string]int // files and folders: when they got their name
	folders  map[string]bool
	pending  map[string]call
	counts   map[string]int
	problems []string
}

// A call is one that has begun.
type call struct {
	name, args string
	began      int
}

func newDisk(root string) *disk {
	return &disk{
		root:    root,
		written: map[string]int{}, synced: map[string]int{}, named: map[string]int{},
		folders: map[string]bool{}, pending: map[string]call{}, counts: map[string]int{},
	}
}

var (
	begunCall   = regexp.MustCompile(`^(\d+) +(\w+)\((.*)$`)
	resumedCall = regexp.MustCompile(`^(\d+) +<\.\.\. \w+ resumed>(.*)$`)
	doneCall    = regexp.MustCompile(`^(.*)\) += (-?\d+)`)
	ofFile      = regexp.MustCompile(`^\d+<([^>]*)>`)
	quoted      = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)
)

// see takes a line of the trace. What a call does may be done from its beginning
// on, what it promises holds from its end on.
func (d *disk) see(line string) {
	d.now++
	var c call
	if m := resumedCall.FindStringSubmatch(line); m != nil {
		c = d.pending[m[1]]
		c.args += m[2]
	} else if m := begunCall.FindStringSubmatch(line); m != nil {
		c = call{name: m[2], args: m[3], began: d.now}
		d.begin(c)
		if args, ok := strings.CutSuffix(c.args, " <unfinished ...>"); ok {
			c.args = args
			d.pending[m[1]] = c
			return
		}
	}
	if m := doneCall.FindStringSubmatch(c.args); m != nil && !strings.HasPrefix(m[2], "-") {
		c.args = m[1]
		d.end(c)
	}
}

// begin is what a call does as soon as it begins.
func (d *disk) begin(c call) {
	path := ""
	if m := ofFile.FindStringSubmatch(c.args); m != nil {
		path = m[1]
	}
	switch c.name {
	case "write", "writev", "pwrite64", "pwritev", "ftruncate", "fallocate":
		if d.ours(path) {
			d.written[path] = d.now
		} else if strings.Contains(c.args, `"HTTP/1.1 20`) || strings.Contains(c.args, `"listening on `) {
			d.counts["answers"]++
			d.check("an answer", d.root)
		}
	case "copy_file_range", "sendfile", "truncate", "creat":
		d.problems = append(d.problems, "a call that this test does not follow: "+c.name+"("+c.args)
	case "rename", "renameat", "renameat2", "link", "linkat":
		names := quoted.FindAllStringSubmatch(c.args, 2)
		if len(names) == 2 && d.ours(names[1][1]) {
			d.checkName(names[0][1], names[1][1])
		}
	}
}

// checkName is for a file that is about to get a name.
func (d *disk) checkName(from, to string) {
	if d.written[from] > d.synced[from] {
		d.problems = append(d.problems, from+" becomes "+to+" before it is on the disk")
	}
	base := filepath.Base(to)
	switch in := filepath.Base(filepath.Dir(to)); {
	case strings.HasSuffix(base, ".tmp"):
	case base == "CURRENT":
		d.counts[base]++
		d.check(base, filepath.Join(d.root, "generations"))
	case base == "cairn.json":
		d.counts[base]++
		d.check(base, filepath.Join(d.root, "keys"))
	case in == "backups":
		d.counts[in]++
		d.check(base, filepath.Join(d.root, "cloud"))
	}
}

// end is what is known when a call has ended well.
func (d *disk) end(c call) {
	names := quoted.FindAllStringSubmatch(c.args, 2)
	switch c.name {
	case "fsync", "fdatasync":
		if m := ofFile.FindStringSubmatch(c.args); m != nil {
			d.synced[m[1]] = c.began
		}
	case "open", "openat":
		if path := names[0][1]; strings.Contains(c.args, "O_CREAT") && d.named[path] == 0 && d.ours(path) {
			d.named[path] = d.now
		}
	case "mkdir", "mkdirat":
		if d.ours(names[0][1]) {
			d.named[names[0][1]], d.folders[names[0][1]] = d.now, true
		}
	case "rename", "renameat", "renameat2", "link", "linkat":
		from, to := names[0][1], names[1][1]
		if !d.ours(to) {
			return
		}
		d.written[to], d.synced[to], d.named[to] = d.written[from], d.synced[from], d.now
		if strings.HasPrefix(c.name, "rename") {
			d.forget(from)
		}
	case "unlink", "unlinkat", "rmdir":
		d.forget(names[0][1])
	}
}

func (d *disk) forget(path string) {
	delete(d.written, path)
	delete(d.synced, path)
	delete(d.named, path)
	delete(d.folders, path)
}

// ours reports whether a path is of the folder, and of what must outlast a loss of
// power: SQLite makes the file of shared memory anew.
func (d *disk) ours(path string) bool {
	return (path == d.root || strings.HasPrefix(path, d.root+"/")) && !strings.HasSuffix(path, "-shm")
}

// check notes what below a folder is not on the disk before something happens.
func (d *disk) check(before, folder string) {
	lasting := func(path string) bool {
		inside, ok := strings.CutPrefix(path+"/", folder+"/")
		return ok && !strings.Contains(inside, ".tmp") &&
			path != filepath.Join(d.root, "lock") && !strings.HasPrefix(path, filepath.Join(d.root, "spool")+"/")
	}
	for path, at := range d.written {
		if lasting(path) && at > d.synced[path] {
			d.problems = append(d.problems, fmt.Sprintf("before %s what was written to %s is not on the disk", before, path))
		}
	}
	for path, at := range d.named {
		empty := d.written[path] == 0 && !d.folders[path]
		if lasting(path) && !empty && at > d.synced[filepath.Dir(path)] {
			d.problems = append(d.problems, fmt.Sprintf("before %s the name of %s is not on the disk", before, path))
		}
	}
}
