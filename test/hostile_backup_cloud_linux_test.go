package test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
)

// readOnlyCloud has the file system of the cloud become read-only.
func readOnlyCloud(t *testing.T) {
	e := newEstate(t, filepath.Join(t.TempDir(), "data"), folderCloud(t), someParts(t, 9))
	hide, show := coverReadOnly(t, e.cloud.dir)
	h := hostility{
		begin: hide, end: show,
		write: []cairn.Code{cairn.CodeReadOnly},
	}
	e.suffer(t, h)
	e.startInto(t, h)
}

// renamedCloud takes the folder of the cloud away.
func renamedCloud(t *testing.T) {
	e := newEstate(t, filepath.Join(t.TempDir(), "data"), folderCloud(t), someParts(t, 9))
	rename := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	h := hostility{
		begin: func() { rename(e.cloud.dir, e.cloud.dir+".away") },
		end:   func() { rename(e.cloud.dir+".away", e.cloud.dir) },
		write: []cairn.Code{cairn.CodeBucketMissing},
		read:  []cairn.Code{cairn.CodeBucketMissing},
	}
	e.suffer(t, h)
	e.startInto(t, h)
}

// unmountedCloud takes the disk of the cloud away. What is there then is the
// empty folder that it was mounted on. When the disk comes back first, it is
// another one to the system, as with some that are plugged in anew.
func unmountedCloud(t *testing.T) {
	disk, cloud := tmpfs(t, "128m"), filepath.Join(t.TempDir(), "cloud")
	if err := os.Mkdir(cloud, 0o700); err != nil {
		t.Fatal(err)
	}
	copied, mount := false, func() { mountOver(t, disk, cloud) }
	mount()
	e := newEstate(t, filepath.Join(t.TempDir(), "data"), folderAt(cloud), someParts(t, 9))
	h := hostility{
		begin: func() { unmount(t, cloud) },
		end: func() {
			if !copied {
				to := t.TempDir()
				if err := os.CopyFS(to, os.DirFS(disk)); err != nil {
					t.Fatal(err)
				}
				disk, copied = to, true
			}
			mount()
		},
		write: []cairn.Code{cairn.CodeBucketMissing},
		read:  []cairn.Code{cairn.CodeBucketMissing},
	}
	e.suffer(t, h)
	e.startInto(t, h)
	unmount(t, cloud)
	if left := allFiles(t, cloud); len(left) > 0 {
		t.Errorf("something was written to the folder that the disk was mounted on: %q", left)
	}
	mount()
	t.Cleanup(func() { unmount(t, cloud) })
}

// replacedCloud puts another cloud, whose key the data folder has too, in the
// place of the one that the daemon began with. It is used from the next start on
// only: whoever mounted the wrong disk must hear of it.
func replacedCloud(t *testing.T) {
	data, cloud := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "cloud")
	other := newEstate(t, data, folderAt(cloud+".other"), func(*client.Client) {})
	other.stop(t)
	files := allFiles(t, other.cloud.dir)
	e := newEstate(t, data, folderAt(cloud), someParts(t, 9))
	rename := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	h := hostility{
		begin: func() { rename(cloud, cloud+".away"); rename(other.cloud.dir, cloud) },
		end:   func() { rename(cloud, other.cloud.dir); rename(cloud+".away", cloud) },
		write: []cairn.Code{cairn.CodeBucketMissing},
		read:  []cairn.Code{cairn.CodeBucketMissing},
	}
	e.suffer(t, h)
	if now := allFiles(t, other.cloud.dir); !slices.Equal(now, files) {
		t.Errorf("the other cloud has %q, and had %q", now, files)
	}
	e.stop(t)
	h.begin()
	e.start(t)
	if ids := listedBackups(t, e.c, e.cloud); !slices.Equal(ids, other.backups) {
		t.Errorf("started with the other cloud, the daemon lists %q, want %q", ids, other.backups)
	}
	e.stop(t)
	h.end()
	e.start(t)
	e.works(t)
}

// hangingCloud starts the daemon while opening the folder of the cloud never ends,
// as with that of a server that is gone: documents are served all the same, the
// status says why backups are not, and they are made as soon as the folder is
// there.
func hangingCloud(t *testing.T) {
	e := newEstate(t, filepath.Join(t.TempDir(), "data"), folderCloud(t), someParts(t, 1))
	e.stop(t)
	away, fifo := e.cloud.dir+".away", e.cloud.dir+".fifo"
	err := os.Rename(e.cloud.dir, away)
	if err == nil {
		err = syscall.Mkfifo(e.cloud.dir, 0o600) // opening it waits for who writes into it
	}
	if err != nil {
		t.Fatal(err)
	}
	e.start(t)
	if _, err := e.c.CreateAsset(t.Context(), assetSeed("meanwhile", "text")); err != nil {
		t.Errorf("writing a document: %v", err)
	}
	e.unavailable(t, []cairn.Code{cairn.CodeCloudLost})
	p := e.meanwhile(t, e.creating(), func() bool { return true }, func() {
		err := os.Rename(e.cloud.dir, fifo)
		if err == nil {
			err = os.Rename(away, e.cloud.dir)
		}
		if err != nil {
			t.Fatal(err)
		}
		end, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0) // an error when nobody waits
		if err != nil {
			t.Errorf("the folder of the cloud is not being opened: %v", err)
			return
		}
		_ = end.Close() // nothing was written
	})
	if p != nil {
		t.Errorf("creating, with the folder there again: %+v", *p)
	}
	e.lists(t, 1)
	e.works(t)
	e.stop(t) // before that, the end of the log may still be on its way
	if log := e.d.Stderr(); !strings.Contains(log, "has not answered yet") {
		t.Errorf("the log does not say why backups are not possible:\n%s", log)
	}
}

// silentCloud has the cloud of a running daemon stop answering, as a server that
// went away: the status says so, documents are written, and whoever asks for
// backups can stop waiting.
func silentCloud(t *testing.T) {
	e := newEstate(t, filepath.Join(t.TempDir(), "data"), folderCloud(t), someParts(t, 1))
	away := e.cloud.dir + ".away"
	err := os.Rename(e.cloud.dir, away)
	if err == nil {
		err = syscall.Mkfifo(e.cloud.dir, 0o600) // opening it waits for who writes into it
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // the first sees that the folder is not there, the others open it
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		st, err := e.c.Status(ctx)
		cancel()
		if err != nil || st.Cloud.State != cairn.CloudUnavailable {
			t.Errorf("the status of the cloud is %q, %v", st.Cloud.State, err)
		}
	}
	e.write(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := e.c.Backups(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the list of backups: %v", err)
	}
	e.stop(t)
	if err = os.Remove(e.cloud.dir); err == nil {
		err = os.Rename(away, e.cloud.dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	e.start(t)
	e.works(t)
}

// stuckRestoration stops a daemon while a restoration waits for its cloud in a
// system call that does not return: it is left to itself, and the daemon ends well.
func stuckRestoration(t *testing.T) {
	e := newEstate(t, filepath.Join(t.TempDir(), "data"), folderAt(filepath.Join(tmpfs(t, "64m"), "cloud")), someParts(t, 1))
	e.stop(t)
	parts, err := filepath.Glob(filepath.Join(e.cloud.dir, "parts", "*", "*"))
	if err != nil || len(parts) != 1 {
		t.Fatalf("the parts are %q, %v", parts, err)
	}
	part, err := os.OpenFile(parts[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer part.Close()
	// Others who open a file wait until its lease is given back, 45 seconds at most.
	// Source: fcntl(2), proc_sys_fs(5).
	if _, err := unix.FcntlInt(part.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Fatal(err)
	}
	e.d = e.cloud.serve(t, harness.Options{Data: e.data, AnyExit: true})
	e.c = client.New(e.d.URL)
	restored := make(chan error, 1)
	go func() {
		_, err := e.c.RestoreBackup(t.Context(), e.backups[0])
		restored <- err
	}()
	for running := false; !running; time.Sleep(10 * time.Millisecond) { // nothing tells when a job begins
		jobs, err := e.c.Jobs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		running = jobs[0].Kind == cairn.Restoration && jobs[0].Status == cairn.JobInProgress
		select {
		case err := <-restored:
			t.Fatalf("the restoration ended: %v", err)
		default:
		}
	}
	e.write(t)
	if err := e.d.Stop(); err != nil {
		t.Errorf("the daemon ended with %v", err)
	}
	if log := e.d.Stderr(); !strings.Contains(log, "job stopped") || strings.Contains(log, "panic") {
		t.Errorf("the daemon ended with:\n%s", log)
	}
	if err := <-restored; err == nil {
		t.Error("the restoration is said to be done")
	}
	if err := part.Close(); err != nil {
		t.Error(err)
	}
	e.start(t)
	if got := databaseOf(t, e.c); got != e.database {
		t.Errorf("the database is %+v, and was %+v", got, e.database)
	}
	e.works(t)
}

// startInto starts the daemon while the cloud is hostile.
func (e *estate) startInto(t *testing.T, h hostility) {
	t.Helper()
	e.stop(t)
	h.begin()
	e.start(t)
	e.fails(t, h, e.creating(), h.write)
	if len(h.read) > 0 {
		e.fails(t, h, e.listing(), h.read)
		e.unavailable(t, h.read)
	}
	e.unchanged(t)
	e.write(t)
	h.end()
	e.works(t)
}

// A hostility is what becomes of the cloud: what writing to it must say then,
// and what reading must; no code means that reading works.
type hostility struct {
	begin, end  func()
	write, read []cairn.Code
	hint        string // what each hint must hold
}

// fails does an operation that must fail with one of the codes.
func (e *estate) fails(t *testing.T, h hostility, w way, codes []cairn.Code) {
	t.Helper()
	h.check(t, w, e.ask(t, w), e.cloud.url, codes)
}

// check checks the problem in an answer.
func (h hostility) check(t *testing.T, w way, p *api.Problem, place string, codes []cairn.Code) {
	t.Helper()
	checkProblem(t, w, p, place, codes...)
	if p != nil && !strings.Contains(p.Hint, h.hint) {
		t.Errorf("%s: the hint is %q, want %q in it", w.path, p.Hint, h.hint)
	}
}

// suffer has the cloud turn hostile before each operation, and in the middle of
// it. Nothing may be changed by that, documents go on working, and all works
// when it is over, without a restart.
func (e *estate) suffer(t *testing.T, h hostility) {
	t.Helper()
	e.sufferBefore(t, h)
	e.sufferAmid(t, h)
}

// sufferBefore has the cloud turn hostile before each operation.
func (e *estate) sufferBefore(t *testing.T, h hostility) {
	t.Helper()
	h.begin()
	e.fails(t, h, e.creating(), h.write)
	e.fails(t, h, e.deleting(), h.write)
	if len(h.read) > 0 {
		e.fails(t, h, e.listing(), h.read)
		e.fails(t, h, e.restoring(), h.read)
		e.fails(t, h, e.showing(), h.read)
		e.unavailable(t, h.read)
	} else {
		e.lists(t, 0)
		e.restores(t)
	}
	e.unchanged(t)
	e.write(t)
	h.end()
	e.works(t)
}

// sufferAmid has the cloud turn hostile in the middle of operations.
func (e *estate) sufferAmid(t *testing.T, h hostility) {
	t.Helper()
	e.untidy = true // from here on
	failed := 0
	for try := 0; try < 8 && failed < 2; try++ {
		p := e.amid(t, h, e.creating(), e.uploading(), h.write)
		if p == nil || inDoubt(p) && len(manifests(t, e.cloud)) > len(e.backups) {
			e.lists(t, 1)
			e.undoCreate(t)
			continue
		}
		e.lists(t, 0)
		failed++
	}
	if failed == 0 {
		t.Error("no creation was interrupted")
	}
	failed = 0
	for try := 0; len(h.read) > 0 && try < 8 && failed < 2; try++ {
		p := e.amid(t, h, e.restoring(), e.building(0), h.read)
		if p == nil {
			e.undo(t)
			continue
		}
		e.unchanged(t)
		failed++
	}
	if failed == 0 && len(h.read) > 0 {
		t.Error("no restoration was interrupted")
	}
	e.works(t)
}

// amid has a hostility begin in the middle of an operation, and end after it. It
// returns the problem in the answer.
func (e *estate) amid(t *testing.T, h hostility, w way, begun func() bool, codes []cairn.Code) *api.Problem {
	t.Helper()
	came := false
	p := e.meanwhile(t, w, begun, func() { h.begin(); came = true })
	if p != nil {
		h.check(t, w, p, e.cloud.url, codes)
	}
	if came {
		h.end()
	}
	return p
}

// inDoubt reports whether a problem says that a backup may have been made.
func inDoubt(p *api.Problem) bool {
	return strings.Contains(p.Detail, "Whether it was done is not known.")
}

// unavailable checks that the status tells of the cloud what operations do.
func (e *estate) unavailable(t *testing.T, codes []cairn.Code) {
	t.Helper()
	st, err := e.c.Status(t.Context())
	if err != nil {
		t.Error(err)
		return
	}
	p := st.Cloud.Problem
	if st.Cloud.State != cairn.CloudUnavailable || p == nil || p.Code != codes[0] || p.Detail == "" || p.Hint == "" {
		t.Errorf("the status says of the cloud %+v and %+v, want %s", st.Cloud, p, codes)
	}
}

// restoreOnReadOnlyDisk has the data folder become read-only in the middle of
// restorations. Files that are open can still be written, as with a folder that
// somebody mounts anew.
func restoreOnReadOnlyDisk(t *testing.T) {
	e := newEstate(t, filepath.Join(t.TempDir(), "data"), folderCloud(t), someParts(t, 9))
	hide, show := coverReadOnly(t, e.data)
	hide()
	if p := e.ask(t, e.restoring()); p == nil {
		t.Error("a restoration into a read-only folder succeeded")
	} else {
		checkProblem(t, e.restoring(), p, e.data, cairn.CodeReadOnly)
	}
	show()
	e.unchanged(t)
	e.untidy = true // until the next start
	failed := 0
	for try := 0; try < 6 || try < 12 && failed < 2; try++ {
		after := time.Duration(try%6) * 15 * time.Millisecond
		p := e.meanwhile(t, e.restoring(), e.building(0), func() {
			<-time.After(after)
			hide()
		})
		show() // nothing, if it came too late
		if p == nil {
			e.undo(t)
		} else {
			checkProblem(t, e.restoring(), p, e.data, cairn.CodeReadOnly)
			e.unchanged(t)
			failed++
		}
		if t.Failed() {
			t.Fatalf("this was with the data folder read-only %s after the restoration began to write", after)
		}
	}
	if failed == 0 {
		t.Error("no restoration was interrupted")
	}
	e.works(t)
	e.stop(t)
	verifyFolder(t, e.data)
	e.start(t)
	e.untidy = false
	e.unchanged(t)
}

// coverReadOnly returns functions that make a folder read-only for all that is
// opened from then on, and end that. Ending what has not begun does nothing.
func coverReadOnly(t *testing.T, folder string) (hide, show func()) {
	t.Helper()
	view := t.TempDir()
	mountOver(t, folder, view)
	t.Cleanup(func() { unmount(t, view) })
	mustRun(t, "mount", "-o", "remount,bind,ro", view)
	hidden := false
	show = func() {
		if hidden {
			unmount(t, folder)
		}
		hidden = false
	}
	t.Cleanup(show)
	return func() { mountOver(t, view, folder); hidden = true }, show
}

// mountOver shows a folder, as it is, at another one.
func mountOver(t *testing.T, folder, at string) {
	t.Helper()
	if err := syscall.Mount(folder, at, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
}

// unmount takes a disk away, whoever uses it.
func unmount(t *testing.T, at string) {
	t.Helper()
	if err := syscall.Unmount(at, syscall.MNT_DETACH); err != nil {
		t.Error(err)
	}
}

// TestForbiddenCloud has the cloud's owner forbid everything, or writing, to the
// daemon, which is another user's, or when that is not possible, ordinary.
func TestForbiddenCloud(t *testing.T) {
	t.Parallel()
	public := t.TempDir()
	makePublic(t, public)
	data, cloud := filepath.Join(public, "data"), filepath.Join(public, "cloud")
	for _, dir := range []string{data, cloud} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if os.Getuid() == 0 {
			own(t, dir, ordinaryUser)
		}
	}
	e := &estate{data: data, cloud: folderAt(cloud), d: startAsOther(t, public, data, cloud)}
	e.c = client.New(e.d.URL)
	someParts(t, 9)(e.c)
	made, err := e.c.CreateBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if e.backup, err = e.c.BackupDetails(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	e.backups = listedBackups(t, e.c, e.cloud)
	e.write(t)
	modes := func(mode os.FileMode) func() {
		return func() {
			for _, dir := range []string{"backups", "trash", "parts", "indexes", "."} {
				err := os.Chmod(filepath.Join(cloud, dir), mode)
				if err != nil && !os.IsNotExist(err) {
					t.Error(err)
				}
			}
		}
	}
	t.Cleanup(modes(0o700)) // so that it can be removed
	for _, h := range []hostility{
		{begin: modes(0o500), end: modes(0o700), write: []cairn.Code{cairn.CodeDenied}},
		{
			begin: func() { chmod(t, cloud, 0) }, end: func() { chmod(t, cloud, 0o700) },
			write: []cairn.Code{cairn.CodeDenied}, read: []cairn.Code{cairn.CodeDenied},
		},
	} {
		e.untidy = false
		e.suffer(t, h)
		for _, path := range allFiles(t, cloud) {
			if strings.HasPrefix(filepath.Base(path), ".") {
				removeFile(t, path)
			}
		}
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Error(err)
	}
}

// startAsOther starts a daemon as an ordinary user, with a binary that that user
// can read, in a public folder.
func startAsOther(t *testing.T, public, data, cloud string) *harness.Daemon {
	t.Helper()
	text, err := os.ReadFile(harness.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(public, "cairn")
	if err := os.WriteFile(binary, text, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "serve", "--data", data, "--cloud", cloud, "--listen", "127.0.0.1:0")
	cmd.Env, cmd.Dir = harness.Command(t, nil).Env, public
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinaryUser, Gid: ordinaryUser}}
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("the daemon did not end well: %v\n%s", err, stderr.String())
		}
	})
	var url string
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if _, scanErr := fmt.Sscanf(line, "listening on %s", &url); err != nil || scanErr != nil {
		t.Fatalf("the daemon says %q (%v)\n%s", line, err, stderr.String())
	}
	return &harness.Daemon{URL: url, Data: data, PID: cmd.Process.Pid}
}
