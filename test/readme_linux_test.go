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
// the walk-through, as it is written there. As root it does so once more as an
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
	env := append(os.Environ(), "HOME="+home, "XDG_DATA_HOME=", "CAIRN_DATA=", "CAIRN_URL=", "CAIRN_LISTEN=",
		"GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOFLAGS="+goEnv(t, "GOFLAGS"),
		"PATH="+os.Getenv("PATH"))
	url := makeRun(t, clone, env, user, makeArgs)

	readme, err := os.ReadFile(filepath.Join(clone, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	sh := func(line string) string {
		t.Helper()
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", line)
		cmd.Dir, cmd.Env = clone, env
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, stderr.String())
		}
		return string(out)
	}
	lines := regexp.MustCompile(`(?m)^    ((?:\./bin/cairn|echo|curl) .*)$`).FindAllStringSubmatch(string(readme), -1)
	if len(lines) < 7 {
		t.Fatalf("README's walk-through has %d commands, not the 7 or more expected", len(lines))
	}
	var listed, added string
	for _, m := range lines {
		line := m[1]
		if strings.Contains(line, "delete ID") {
			line = strings.Replace(line, "ID", added, 1)
		}
		line = strings.Replace(line, "get ID", "get "+listed, 1)
		line = strings.ReplaceAll(line, "http://127.0.0.1:39300", url)
		out := sh(line)
		switch {
		case strings.Contains(line, "assets list"):
			listed, _, _ = strings.Cut(out, " ")
		case strings.Contains(line, "assets add"):
			added = strings.TrimSpace(out)
		}
		if strings.TrimSpace(out) == "" {
			t.Errorf("%s printed nothing", line)
		}
	}
	runSnippet(t, string(readme), url)
}

// makeRun starts the daemon with make, stops it at the end of the test, and
// returns the last address that it printed: the one that later clients look
// for.
func makeRun(t *testing.T, clone string, env []string, user *syscall.Credential, args []string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "make", append([]string{"--no-print-directory"}, args...)...)
	cmd.Dir, cmd.Env = clone, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user, Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
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
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) // it may have ended
		_ = cmd.Wait()                                      // make reports the signal
	})
	in := bufio.NewReader(stdout)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("make run ended before it said where it listens: %v\n%s", err, stderr.String())
		}
		if url, ok := strings.CutPrefix(line, "listening on "); ok && strings.Contains(url, "127.0.0.1:393") {
			go func() { _, _ = io.Copy(io.Discard, in) }() // until the daemon ends
			return strings.TrimSpace(url)
		}
	}
}

// runSnippet runs README's program with the SDK where that is installed.
func runSnippet(t *testing.T, readme, url string) {
	t.Helper()
	start := strings.Index(readme, "    import pieces from")
	if start < 0 {
		t.Fatal("README shows no program")
	}
	program, _, _ := strings.Cut(readme[start:], "\n\n")
	program = strings.ReplaceAll(strings.ReplaceAll(program, "\n    ", "\n"), "http://127.0.0.1:39300", url)
	cmd := exec.Command("node", "--input-type=module", "-e", strings.TrimSpace(program))
	cmd.Dir = filepath.Join(repository(t), "test", "sdk")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("README's program: %v\n%s", err, out)
	}
	if n := strings.TrimSpace(string(out)); n == "0" || strings.Trim(n, "0123456789") != "" {
		t.Errorf("README's program printed %q, not how many assets there are", n)
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
