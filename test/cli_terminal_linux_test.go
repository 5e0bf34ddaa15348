package test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cairn/test/harness"
)

// onTerminal starts a command line on a terminal of its own, so that all that it
// prints is its standard output, with \r\n at the end of lines. What is written to
// its standard input is typed.
func onTerminal(t *testing.T, d *harness.Daemon, args ...string) *verb {
	t.Helper()
	script, err := exec.LookPath("script")
	if err != nil {
		t.Fatal(err)
	}
	cmd := harness.Command(t, append(d.Env(), "SHELL=/bin/sh"), args...)
	var words []string
	for _, word := range cmd.Args {
		words = append(words, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
	}
	cmd.Path, cmd.Args = script, []string{script, "--quiet", "--return", "--command", "exec " + strings.Join(words, " "), "/dev/null"}
	return start(t, cmd)
}

// press types a key.
func (v *verb) press(key string) {
	v.t.Helper()
	if _, err := v.stdin.Write([]byte(key)); err != nil {
		v.t.Fatal(err)
	}
}

const (
	ctrlC = "\x03"
	// bar is a progress bar at one moment, with what is done, the rate, and the
	// time that has gone and that is left.
	bar = `(creating|restoring) +(\d+)% \|█* *\| \( ?[\d.]+(?: \w?B)?/[\d.]+ MB(?:, [\d.]+ \w?B/s)?\) \[\d+s:\d+s\]`
)

// TestBarOnTerminal makes and restores a backup on a terminal, and interrupts a
// creation by Ctrl-C.
func TestBarOnTerminal(t *testing.T) {
	t.Parallel()
	s, first := newSlowStore(t)
	for _, args := range [][]string{{"create"}, {"restore", first}} {
		held := bar
		if args[0] == "create" {
			s.holdCreation(t)
			held = strings.Replace(bar, `(\d+)`, `[1-9]\d*`, 1) // it has moved
		} else {
			s.holdRestoration() // whose first part may come last
		}
		v := onTerminal(t, s.d, append([]string{"backup"}, args...)...)
		s.valve.await(t)
		v.out.await(t, `\r`+held)
		s.valve.open()
		text, _, code := v.end()
		if code != 0 {
			t.Errorf("backup %s ends with %d:\n%q", args, code, text)
		}
		var moved []string
		for _, m := range regexp.MustCompile(bar).FindAllStringSubmatch(text, -1) {
			moved = append(moved, strings.Repeat(" ", 3-len(m[2]))+m[2])
		}
		if !slices.IsSorted(moved) || len(moved) < 2 || slices.Contains(moved, "100") {
			t.Errorf("the bar of backup %s moves to %s before its end", args, moved)
		}
		end := `\r(creating|restoring) 100% \|█{24}\| \([\d.]+/[\d.]+ MB, [\d.]+ \w?B/s\)\n(` + created + `|` + restored + `)` + notes + `$`
		if !regexp.MustCompile(strings.ReplaceAll(end, `\n`, `\r\n`)).MatchString(text) {
			t.Errorf("backup %s prints at last\n%q", args, text[max(0, len(text)-600):])
		}
	}

	s.holdCreation(t)
	v := onTerminal(t, s.d, "backup", "create")
	s.valve.await(t)
	v.out.await(t, bar)
	waiting := onTerminal(t, s.d, "backup", "restore", first)
	waiting.out.await(t, `^restoring `+first+`: waiting for the work before it\r\n$`)
	waiting.press(ctrlC)
	waiting.wantEnd(130, `restoring \S+: waiting for the work before it\r\n\^Ccancelling; [^\n]*\r\ncairn: cancelled; the documents are as they were\r\n`, ``)
	v.press(ctrlC)
	v.wantEnd(130, `.*\r +\rcancelling; a second Ctrl-C leaves without waiting\r\n.*\r\ncairn: cancelled; no backup was made\r\n`, ``)
	s.wantWorking(t)
}

// TestWatchOnTerminal draws a table in its place, below what has ended.
func TestWatchOnTerminal(t *testing.T) {
	t.Parallel()
	s, _ := newSlowStore(t)
	v := onTerminal(t, s.d, "backup", "watch")
	const begin, end = `\x1b\[\?7l`, `\x1b\[\?7h`
	v.out.await(t, `^`+begin+`nothing is in progress\r\n`+end)
	s.holdCreation(t)
	running := startVerb(t, s.d, "backup", "create")
	v.out.await(t, `\x1b\[1A\x1b\[J`+begin+`creation     `+anyID+` +IN-PROGRESS +\d+ %[^\n]*\r\n`+end)
	s.valve.open()
	running.wantEnd(0, created, lines+notes)
	v.out.await(t, `\x1b\[1A\x1b\[Jcreation     `+anyID+` +COMPLETED +100 %[^\n]*\r\n`+begin+`nothing is in progress\r\n`+end+`$`)
	v.press(ctrlC)
	v.wantEnd(0, `.*`, ``)
}
