package harness

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// Cairn runs one command line of cairn to its end. env is added to the
// environment; the caller's own CAIRN_ variables and data folder are not
// seen. Use [Daemon.Env] to reach a daemon. The code is -1 when a signal
// ended it.
func Cairn(t testing.TB, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := Command(t, env, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Fatalf("cairn %s: %v", strings.Join(args, " "), err)
		}
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// Command returns one command line of cairn, not started yet. It ends at the
// latest with the test.
func Command(t testing.TB, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), Binary(t), args...)
	cmd.Env = environ(t, env)
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// environ returns the environment without what would lead cairn to a daemon
// or folder of the person who runs the tests, and with env.
func environ(t testing.TB, env []string) []string {
	own := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "CAIRN_")
	})
	none := t.TempDir() // where there is no other data folder, and no configuration
	own = append(own, "XDG_DATA_HOME="+none, "XDG_CONFIG_HOME="+none)
	return append(own, env...)
}
