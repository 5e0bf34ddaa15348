package test

import (
	"bufio"
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ordinaryUser is an id without rights of its own ("nobody" on Debian).
const ordinaryUser = 65534

// TestREADME follows README in a fresh clone: make run, then each command of
// the walk-through, as it is written there, with the loss of the data folder. As root it does so once more as an
// ordinary user, with the binary that the first run built.
func TestREADME(t *testing.T) {
	clone := filepath.Join(t.TempDir(), "cairn")
	command(t, nil, "", "git", "clone", "--quiet", "--no-hardlinks", repository(t), clone)
	// Changes that are not committed yet belong to what is tested.
	overlayWorkTree(t, clone)
	t.Run("same user", func(t *testing.T) {
		walkREADME(t, clone, nil, "run")
	})
	if os.Getuid() != 0 {
		return
	}
	t.Run("ordinary user", func(t *testing.T) {
		own(t, clone, ordinaryUser)
		credential := &syscall.Credential{Uid: ordinaryUser, Gid: ordinaryUser}
		// The ordinary user has no build cache, and filling one takes minutes:
		// it takes the binary as built.
		walkREADME(t, clone, credential, "-o", "build", "run")
	})
}

// walkREADME runs make and the walk-through in the clone.
func walkREADME(t *testing.T, clone string, user *syscall.Credential, makeArgs ...string) {
	home := t.TempDir()
	openPath(t, home)
	openPath(t, filepath.Dir(clone))
	if user != nil {
		own(t, home, int(user.Uid))
	}
	env := append(os.Environ(), "HOME="+home, "XDG_DATA_HOME=", "CAIRN_DATA=", "CAIRN_URL=", "CAIRN_LISTEN=", "CAIRN_CLOUD=", "CAIRN_KEY=",
		"GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOFLAGS="+goEnv(t, "GOFLAGS"),
		"PATH="+os.Getenv("PATH"))
	readme, err := os.ReadFile(filepath.Join(clone, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	w := walk{t: t, dir: clone, env: env, user: user}
	w.start("make", append([]string{"--no-print-directory"}, makeArgs...)...)
	lines := regexp.MustCompile(`(?m)^    ((?:\./bin/cairn|echo|curl|rm|umask|scripts/\S+) .*)$`).FindAllStringSubmatch(string(readme), -1)
	if len(lines) < 18 {
		t.Fatalf("README's walk-through has %d commands, not the 18 or more expected", len(lines))
	}
	for _, m := range lines {
		if !strings.Contains(m[1], "BUCKET") { // nobody here has one
			w.step(m[1])
		}
	}
	w.snippet(string(readme))
	w.stop()
	if n := len(w.recovered()); n == 0 || n != w.listed {
		t.Errorf("%d documents were recovered without cairn; the restored database has %d", n, w.listed)
	}
}

// A walk follows README in a clone, as a user with a home folder of their own.
type walk struct {
	t    *testing.T
	dir  string
	env  []string
	user *syscall.Credential

	url    string    // of the daemon
	daemon *exec.Cmd // nil while none runs

	asset, added, backup string // ids that were printed
	listed               int    // assets in the list that was printed last
}

// step does one line, with the ids that it names.
func (w *walk) step(line string) {
	w.t.Helper()
	line = strings.ReplaceAll(line, "backup pick ID assets/ID", "backup pick "+w.backup+" assets/"+w.asset)
	for of, id := range map[string]string{"assets get ID": w.asset, "assets delete ID": w.added, "backup restore ID": w.backup, "backup documents ID": w.backup} {
		if strings.HasSuffix(line, of) {
			line = strings.TrimSuffix(line, "ID") + id
		}
	}
	switch {
	case strings.HasPrefix(line, "./bin/cairn serve"):
		w.stop()
		w.start("bash", "-c", "exec "+line)
		return
	case strings.HasPrefix(line, "rm "):
		w.stop()
	}
	if strings.HasSuffix(line, "passphrase add") || strings.HasSuffix(line, "cloud connect ~/backups") {
		// They ask for a passphrase, on a terminal: the first one twice.
		line = `printf 'correct horse battery staple\n%.0s' 1 2 | script -qec '` + line + `' /dev/null`
	}
	out := w.sh(strings.ReplaceAll(line, "http://127.0.0.1:39300", w.url))
	first, _, _ := strings.Cut(out, " ")
	switch {
	case strings.HasSuffix(line, "assets list"):
		w.asset, w.listed = first, strings.Count(out, "\n")
	case strings.Contains(line, "assets add"):
		w.added = strings.TrimSpace(out)
	case strings.HasSuffix(line, "backup list"):
		w.backup = first
	}
	silent := strings.HasPrefix(line, "rm ") || strings.HasPrefix(line, "scripts/") || strings.Contains(line, " > ")
	if !silent && strings.TrimSpace(out) == "" {
		w.t.Errorf("%s printed nothing", line)
	}
}

// sh runs a line that must succeed, and returns what it prints.
func (w *walk) sh(line string) string {
	w.t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", line)
	cmd.Dir, cmd.Env = w.dir, w.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: w.user}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", line, err, stderr.String())
	}
	return string(out)
}

// recovered returns the files that the recovery wrote.
func (w *walk) recovered() []string {
	return strings.Fields(w.sh(`find ~/recovered -name '*.json'`))
}

// start starts a daemon with a command, and waits for the last address that it
// prints: the one that later clients look for. The end of the test stops it.
func (w *walk) start(name string, args ...string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	w.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = w.dir, w.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: w.user, Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.daemon = cmd
	w.t.Cleanup(w.stop)
	in := bufio.NewReader(stdout)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			w.t.Fatalf("%s %s ended before it said where it listens: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
		}
		if url, ok := strings.CutPrefix(line, "listening on "); ok && strings.Contains(url, "127.0.0.1:393") {
			go func() { _, _ = io.Copy(io.Discard, in) }() // until the daemon ends
			w.url = strings.TrimSpace(url)
			return
		}
	}
}

// stop does what Ctrl-C does, and waits for the end.
func (w *walk) stop() {
	if w.daemon == nil {
		return
	}
	_ = syscall.Kill(-w.daemon.Process.Pid, syscall.SIGINT) // it may have ended
	_ = w.daemon.Wait()                                     // make reports the signal
	w.daemon = nil
}

// snippet runs README's program with the SDK where that is installed.
func (w *walk) snippet(readme string) {
	w.t.Helper()
	start := strings.Index(readme, "    import pieces from")
	if start < 0 {
		w.t.Fatal("README shows no program")
	}
	program, _, _ := strings.Cut(readme[start:], "\n\n")
	program = strings.ReplaceAll(strings.ReplaceAll(program, "\n    ", "\n"), "http://127.0.0.1:39300", w.url)
	cmd := exec.Command("node", "--input-type=module", "-e", strings.TrimSpace(program))
	cmd.Dir = filepath.Join(repository(w.t), "test", "sdk")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("README's program: %v\n%s", err, out)
	}
	if n := strings.TrimSpace(string(out)); n == "0" || strings.Trim(n, "0123456789") != "" {
		w.t.Errorf("README's program printed %q, not how many assets there are", n)
	}
}

// repository returns the root of the work tree.
func repository(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(command(t, nil, "", "git", "rev-parse", "--show-toplevel"))
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(command(t, nil, "", "go", "env", name))
}

// command runs a program that must succeed and returns what it printed.
func command(t *testing.T, env []string, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Dir = env, dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// overlayWorkTree copies changed and new files over the clone.
func overlayWorkTree(t *testing.T, clone string) {
	t.Helper()
	root := repository(t)
	list := command(t, nil, root, "git", "ls-files", "-z", "--modified", "--others", "--exclude-standard")
	for _, name := range strings.Split(strings.TrimSuffix(list, "\x00"), "\x00") {
		if name == "" {
			continue
		}
		to := filepath.Join(clone, name)
		data, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			_ = os.Remove(to)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
}

// openPath lets other users through the test's private folders to dir.
func openPath(t *testing.T, dir string) {
	t.Helper()
	for top := filepath.Clean(os.TempDir()); dir != top && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// own gives a tree to a user.
func own(t *testing.T, root string, uid int) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, uid)
	})
	if err != nil {
		t.Fatal(err)
	}
}
