package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
)

// TestHostileDisks runs daemons on disks that are full or read-only. It mounts
// them in a namespace of its own, which goes with the process.
func TestHostileDisks(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	t.Run("full while running", fullWhileRunning)
	t.Run("full at start", fullAtStart)
	t.Run("read-only at start", readOnlyAtStart)
	t.Run("read-only while running", readOnlyWhileRunning)
}

func fullWhileRunning(t *testing.T) {
	mnt := tmpfs(t, "8m")
	ballast := filepath.Join(mnt, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d := harness.Start(t, harness.Options{Data: filepath.Join(mnt, "data")})
	c := client.New(d.URL)
	known := map[string]string{}
	var failed error
	for i := 0; failed == nil && i < 1000; i++ {
		id, text := fmt.Sprintf("d%d", i), largeDocument(i, 60_000)
		if _, failed = c.WriteDocuments(t.Context(), []api.DocumentLine{{Collection: "full", ID: id, Document: json.RawMessage(text)}}); failed == nil {
			known[id] = text
		}
	}
	if cairn.CodeOf(failed) != cairn.CodeDiskFull {
		t.Fatalf("after %d documents: %v, want that the disk is full", len(known), failed)
	}
	before := revisionOf(t, c)
	checkDocuments(t, c, known)
	for _, size := range []int{20_000, 200_000} {
		var batch bytes.Buffer // of one transaction, and of several
		for i := range 500 {
			fmt.Fprintf(&batch, "{\"collection\":\"full\",\"id\":\"b%d\",\"document\":%s}\n", i, largeDocument(i, size))
		}
		p := postProblem(t, d, "/v1/documents", api.NDJSON, batch.Bytes())
		if p.Status != 500 || p.Code != cairn.CodeDiskFull || p.Detail == "" || p.Hint == "" {
			t.Errorf("a batch on a full disk: %+v", p)
		}
	}
	if p := postProblem(t, d, "/assets/create", api.JSON, assetSeed("large", strings.Repeat("x", 4<<20))); p.Status != 500 || p.Code != cairn.CodeDiskFull {
		t.Errorf("an asset on a full disk: %+v", p)
	}
	checkDocuments(t, c, known)
	if got := revisionOf(t, c); got != before {
		t.Errorf("the revision went from %d to %d by writes that failed", before, got)
	}
	removeFile(t, ballast)
	known["after"] = largeDocument(0, 60_000)
	if _, err := c.WriteDocuments(t.Context(), []api.DocumentLine{{Collection: "full", ID: "after", Document: json.RawMessage(known["after"])}}); err != nil {
		t.Errorf("writing after space was freed: %v", err)
	}
	if got := revisionOf(t, c); got != before+1 {
		t.Errorf("the next revision is %d, want %d", got, before+1)
	}
	checkDocuments(t, c, known)
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	verifyFolder(t, d.Data)
	checkDocuments(t, client.New(harness.Start(t, harness.Options{Data: d.Data}).URL), known)
}

func fullAtStart(t *testing.T) {
	mnt := tmpfs(t, "8m")
	d := harness.Start(t, harness.Options{Data: filepath.Join(mnt, "data")})
	text := largeDocument(1, 60_000)
	if _, err := client.New(d.URL).WriteDocuments(t.Context(), []api.DocumentLine{{Collection: "full", ID: "one", Document: json.RawMessage(text)}}); err != nil {
		t.Fatal(err)
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, d.Data)
	ballast := filepath.Join(mnt, "ballast")
	fillDisk(t, ballast)
	for _, dir := range []string{d.Data, filepath.Join(mnt, "new"), filepath.Join(mnt, "deep", "new")} {
		message := refused(t, dir)
		if !regexp.MustCompile(`(?m)^cairn: .*(no room left|takes no more data).*\nhint: free some space`).MatchString(message) {
			t.Errorf("the message does not tell of the full disk:\n%s", message)
		}
	}
	if diff := cmp.Diff(before, snapshot(t, d.Data)); diff != "" {
		t.Errorf("the folder was changed (-before +after):\n%s", diff)
	}
	removeFile(t, ballast)
	checkDocuments(t, client.New(harness.Start(t, harness.Options{Data: d.Data}).URL), map[string]string{"one": text})
	harness.Start(t, harness.Options{Data: filepath.Join(mnt, "new")})
}

func readOnlyAtStart(t *testing.T) {
	mnt := tmpfs(t, "64m")
	dir, view := filepath.Join(mnt, "data"), filepath.Join(mnt, "view")
	if err := os.CopyFS(dir, os.DirFS(healthyFolder(t))); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(view, 0o700); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, dir)
	mountUntilEnd(t, view, "--bind", dir, view)
	mustRun(t, "mount", "-o", "remount,bind,ro", view)
	for _, folder := range []string{view, filepath.Join(view, "new")} {
		message := refused(t, folder)
		if !regexp.MustCompile(`(?m)^cairn: .*read-only`).MatchString(message) || !strings.Contains(message, folder) {
			t.Errorf("the message does not tell of the read-only folder:\n%s", message)
		}
	}
	if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
		t.Errorf("the folder was changed (-before +after):\n%s", diff)
	}
}

// readOnlyWhileRunning has the kernel make a file system read-only because of
// an error on it, as it does with a failing disk. (mount -o remount,ro refuses
// while files are open for writing, as the daemon's are.)
func readOnlyWhileRunning(t *testing.T) {
	image, mnt := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if os.Getenv(namespaced) != asRoot {
		t.Skip("making a file system read-only under a daemon needs root; readOnlyAtStart goes without")
	}
	for _, tool := range []string{"mkfs.ext4", "mount"} {
		if _, err := exec.LookPath(tool); err != nil {
			skipOrFail(t, "there is no "+tool)
		}
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	truncateFile(t, image, 32<<20)
	mustRun(t, "mkfs.ext4", "-q", "-F", image)
	if out, err := exec.Command("mount", "-o", "loop,errors=remount-ro", image, mnt).CombinedOutput(); err != nil {
		t.Skipf("this machine mounts no loop devices, as containers do not: %v\n%s", err, out)
	}
	t.Cleanup(func() { mustRun(t, "umount", mnt) })
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	source := regexp.MustCompile(`(?m)^/dev/(\S+) ` + regexp.QuoteMeta(mnt) + ` `).FindSubmatch(mounts)
	if source == nil {
		t.Fatalf("%s is not mounted:\n%s", mnt, mounts)
	}

	d := harness.Start(t, harness.Options{Data: filepath.Join(mnt, "data")})
	c := client.New(d.URL)
	known := map[string]string{"one": largeDocument(1, 60_000)}
	if _, err := c.WriteDocuments(t.Context(), []api.DocumentLine{{Collection: "full", ID: "one", Document: json.RawMessage(known["one"])}}); err != nil {
		t.Fatal(err)
	}
	writeText("1")(t, filepath.Join("/sys/fs/ext4", string(source[1]), "trigger_fs_error"))
	for range 2 {
		p := postProblem(t, d, "/assets/create", api.JSON, assetSeed("read-only", "text"))
		if p.Status != 500 || p.Code != cairn.CodeReadOnly || p.Detail == "" || p.Hint == "" {
			t.Errorf("writing to a read-only disk: %+v", p)
		}
	}
	checkDocuments(t, c, known)
	if err := d.Stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	if message := refused(t, d.Data); !regexp.MustCompile(`(?m)^cairn: .*read-only`).MatchString(message) {
		t.Errorf("the message does not tell of the read-only disk:\n%s", message)
	}
	mustRun(t, "umount", mnt)
	mustRun(t, "mount", "-o", "loop", image, mnt)
	verifyFolder(t, d.Data)
	checkDocuments(t, client.New(harness.Start(t, harness.Options{Data: d.Data}).URL), known)
}

// TestForeignFolder starts daemons on folders that their user may not use.
func TestForeignFolder(t *testing.T) {
	public := t.TempDir()
	makePublic(t, public)
	binary := filepath.Join(public, "cairn")
	text, err := os.ReadFile(harness.Binary(t))
	if err == nil {
		err = os.WriteFile(binary, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	asOther := func(cmd *exec.Cmd) {
		cmd.Path = binary
		cmd.Dir = public
		if os.Getuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinaryUser, Gid: ordinaryUser}}
		}
	}
	closed := filepath.Join(public, "closed")
	if err := os.CopyFS(closed, os.DirFS(healthyFolder(t))); err != nil {
		t.Fatal(err)
	}
	readable := filepath.Join(public, "readable")
	if err := os.Mkdir(readable, 0o755); err != nil {
		t.Fatal(err)
	}
	spool := filepath.Join(public, "spool of others")
	if err := os.CopyFS(spool, os.DirFS(closed)); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, closed)
	modes := map[string]fs.FileMode{closed: 0o700, readable: 0o755}
	if os.Getuid() != 0 {
		modes = map[string]fs.FileMode{closed: 0, readable: 0o500}
	}
	for dir, mode := range modes {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(dir, 0o700) }) // so that it can be removed
	}
	for _, dir := range []string{closed, readable, filepath.Join(readable, "new")} {
		message := refusedAs(t, dir, asOther)
		if !strings.Contains(message, dir) || !regexp.MustCompile(`(?m)^cairn: .*no permission.*\nhint: .+`).MatchString(message) {
			t.Errorf("the message does not say that the user has no permission for %s:\n%s", dir, message)
		}
	}
	if os.Getuid() == 0 {
		own(t, spool, ordinaryUser)
	}
	if err := os.Chmod(filepath.Join(spool, "spool"), 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(spool, "spool"), 0o700) })
	if message := refusedAs(t, spool, asOther); !strings.Contains(message, "no permission for "+filepath.Join(spool, "spool")) {
		t.Errorf("the message does not say that the user has no permission for the spool:\n%s", message)
	}
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, snapshot(t, closed)); diff != "" {
		t.Errorf("the folder was changed (-before +after):\n%s", diff)
	}
}

// TestModes looks at all files of a daemon at work, and afterwards: nobody
// else may read them, whatever the umask.
func TestModes(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077} {
		t.Run(fmt.Sprintf("umask %03o", mask), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "deep", "data")
			old := syscall.Umask(mask) // of the whole process, so no test runs beside
			d := harness.Start(t, harness.Options{Data: dir})
			syscall.Umask(old)
			c := client.New(d.URL)
			if _, err := c.CreateAsset(t.Context(), assetSeed("name", "text")); err != nil {
				t.Fatal(err)
			}
			for range c.Assets(t.Context(), true) {
			}
			if n := checkModes(t, filepath.Dir(dir)); n < 8 {
				t.Errorf("a daemon at work has %d files, want its databases with -wal and -shm, CURRENT, url and lock", n)
			}
			if err := d.Stop(); err != nil {
				t.Error(err)
			}
			checkModes(t, filepath.Dir(dir))
		})
	}
}

// checkModes checks the modes of a folder and of all in it, and counts the files.
func checkModes(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if entry.IsDir() {
			want = fs.ModeDir | 0o700
		} else {
			n++
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %s, want %s", path, info.Mode(), want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return n
}

// namespaced tells the test process that its mounts are its own.
const (
	namespaced = "CAIRN_TEST_NAMESPACE"
	asRoot     = "root"
	asUser     = "user"
)

// ownMounts reports whether this process may mount what it likes without
// anyone else seeing it. If not, it runs the calling test once more in a
// process that may, and takes over the outcome.
func ownMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(namespaced) != "" {
		return true
	}
	user := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	root := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	var refusals []error
	for _, way := range []struct {
		name string
		attr *syscall.SysProcAttr
	}{{asRoot, root}, {asUser, user}} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
		cmd.Env = append(os.Environ(), namespaced+"="+way.name, "CAIRN_BIN="+harness.Binary(t))
		cmd.SysProcAttr = way.attr
		cmd.WaitDelay = 10 * time.Second
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			refusals = append(refusals, err)
			continue
		}
		err := cmd.Wait()
		t.Logf("as %s in a namespace:\n%s", way.name, out.String())
		if err != nil {
			t.Errorf("in a namespace: %v", err)
		}
		return false
	}
	skipOrFail(t, fmt.Sprintf("this user may make no namespaces: %v", refusals))
	return false
}

// skipOrFail skips a test because of the machine; not where all must be there.
func skipOrFail(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// tmpfs mounts a disk in memory until the end of the test.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	mountUntilEnd(t, dir, "-t", "tmpfs", "-o", "mode=0755,size="+size, "tmpfs", dir)
	return dir
}

func mountUntilEnd(t *testing.T, at string, args ...string) {
	t.Helper()
	mustRun(t, "mount", args...)
	t.Cleanup(func() { mustRun(t, "umount", at) })
}

// mustRun runs a program that must succeed.
func mustRun(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// fillDisk writes a file until the disk is full.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 4 << 10, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
}

// makePublic lets other users into a temporary folder.
func makePublic(t *testing.T, dir string) {
	t.Helper()
	for ; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func largeDocument(n, size int) string {
	return fmt.Sprintf(`{"n":%d,"text":%q}`, n, strings.Repeat("0123456789", size/10))
}

func revisionOf(t *testing.T, c *client.Client) int64 {
	t.Helper()
	st, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st.Database.Revision
}

// checkDocuments checks that a daemon has these documents and no others.
func checkDocuments(t *testing.T, c *client.Client, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for line, err := range c.Documents(t.Context(), "", 0) {
		if err != nil {
			t.Fatal(err)
		}
		got[line.ID] = string(line.Document)
	}
	if !maps.Equal(got, want) {
		t.Errorf("there are %d documents, or other texts, want %d: %s", len(got), len(want), differences(got, want, want))
	}
}

// postProblem sends a body to a path and returns the problem in the answer.
func postProblem(t *testing.T, d *harness.Daemon, path, media string, body []byte) (p api.Problem) {
	t.Helper()
	resp, err := http.Post(d.URL+path, media, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := harness.LoadSpec()
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.Check(resp, answer); err != nil {
		t.Errorf("POST %s: %v", path, err)
	}
	if err := json.Unmarshal(answer, &p); err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != api.ProblemType || p.Status != resp.StatusCode {
		t.Errorf("POST %s: %s, %s and status %d in the body", path, resp.Status, got, p.Status)
	}
	return p
}
