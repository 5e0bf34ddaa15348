package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/segment"
	"cairn/test/harness"
)

// recoveryTools are what the recovery may use beside the shell itself: what any
// system has, age and zstd.
var recoveryTools = strings.Fields("age zstd awk cat cut find fold ls mkdir mktemp mv od rm sed sha256sum sort tail tr wc")

// recoverScript runs scripts/recover.sh where there is nothing but its tools.
func recoverScript(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	bin := t.TempDir()
	for _, tool := range recoveryTools {
		path, err := exec.LookPath(tool)
		if err != nil {
			needsTool(t, tool)
		}
		if err := os.Symlink(path, filepath.Join(bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{filepath.Join(harness.Root(t), "scripts", "recover.sh")}, args...)...)
	cmd.Env = []string{"PATH=" + bin, "HOME=" + t.TempDir(), "LANG=C.UTF-8"}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// needsTool skips the test for want of a program, but not where all must run.
func needsTool(t *testing.T, tool string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("the recovery needs %s", tool)
	}
	t.Skipf("the recovery needs %s (scripts/deps.sh installs what is missing)", tool)
}

// recoverDocuments writes the documents of a backup to the folder target.
func recoverDocuments(t *testing.T, cloud, key, target string, backup ...string) {
	t.Helper()
	if _, stderr, code := recoverScript(t, append([]string{cloud, key, target}, backup...)...); code != 0 {
		t.Fatalf("recover.sh: exit code %d\n%s", code, stderr)
	}
}

// shell runs commands in a folder, which must succeed, and returns what they
// print.
func shell(t *testing.T, dir, commands string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-euc", commands)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, commands, stderr.String())
	}
	return string(out)
}

// TestRecoverSegments recovers, and restores, a backup of several segments: what
// comes later wins.
func TestRecoverSegments(t *testing.T) {
	t.Parallel()
	eachCloud(t, func(t *testing.T, cloud place) {
		t.Parallel()
		h := newHandmade(t)
		id, left := h.layered()
		cloud.upload(t, h.dir)
		want := byName(left)

		target := filepath.Join(t.TempDir(), "recovered")
		recoverDocuments(t, cloud.download(t), h.key, target)
		checkRecovered(t, want, target)

		d := cloud.serve(t, harness.Options{Args: []string{"--key", h.key}})
		restoreVerb(t, d, id)
		checkStored(t, want, storedDocuments(t, d))

		// What was recovered goes back into a daemon as docs/recovery.md says.
		other := harness.Start(t, harness.Options{})
		script := strings.NewReplacer("TARGET", "'"+target+"'", "http://127.0.0.1:39300", other.URL).Replace(recoveryGuide(t, "## Back into cairn"))
		shell(t, t.TempDir(), script)
		got := storedDocuments(t, other)
		for name, w := range want {
			if got[name].text != w.text {
				t.Errorf("%s went back into cairn as %q, want %q", name, got[name].text, w.text)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d documents went back into cairn, want %d", len(got), len(want))
		}
	})
}

// TestRecoverToOddFolder recovers deletions to a folder whose name has a meaning
// to programs: backslashes, spaces, quotes and signs.
func TestRecoverToOddFolder(t *testing.T) {
	t.Parallel()
	h := newHandmade(t)
	_, left := h.layered()
	for _, name := range []string{`back\slash \n\101`, `a "b" 'c' $(d) & %s`, `x=y`} {
		target := filepath.Join(t.TempDir(), name)
		recoverDocuments(t, h.dir, h.key, target)
		checkRecovered(t, byName(left), target)
	}
}

// TestRecoveryByHand follows docs/recovery.md step by step.
func TestRecoveryByHand(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"age", "zstd", "jq", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			needsTool(t, tool)
		}
	}
	h := newHandmade(t)
	h.simple()
	_, left := h.layered()
	chosen := []cairn.Document{document("assets", "one", 1, `{"chosen":true}`)}
	h.commit(cairn.ScopeAssets, chosen, h.segment([]segment.Part{h.part(0, chosen...)})) // is newer
	dir := t.TempDir()
	script := strings.NewReplacer("cloud=CLOUD", "cloud='"+h.dir+"'", "key=KEY", "key='"+h.key+"'").
		Replace(recoveryGuide(t, "## By hand") + recoveryGuide(t, "## Who wrote it"))
	out := shell(t, dir, script)
	if !strings.HasSuffix(out, "\nauthentic\n") || strings.Count(out, ": OK\n") != 3+5 {
		t.Errorf("the steps printed:\n%s", out)
	}
	lines, err := os.ReadFile(filepath.Join(dir, "lines"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range left {
		if want := string(segment.AppendLine(nil, d)); !strings.Contains(string(lines), want) {
			t.Errorf("the lines do not hold %s", want)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "document.json"))
	if err != nil || string(text) != `{"text":"kept"}`+"\n" {
		t.Errorf("the document is %q (%v)", text, err)
	}
}

// recoveryGuide returns the commands in a section of docs/recovery.md.
func recoveryGuide(t *testing.T, section string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.Root(t), "docs", "recovery.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := bytes.Cut(text, []byte("\n"+section+"\n"))
	if !ok {
		t.Fatalf("docs/recovery.md has no %q", section)
	}
	text, _, _ = bytes.Cut(text, []byte("\n## "))
	var commands strings.Builder
	for line := range strings.Lines(string(text)) {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			commands.WriteString(command)
		}
	}
	return commands.String()
}

// TestRecoverLists lists backups, of which the newest is not the one to recover.
func TestRecoverLists(t *testing.T) {
	t.Parallel()
	h := newHandmade(t)
	empty := h.commit(cairn.ScopeAll, nil)
	old, _ := h.simple()
	_, left := h.layered()
	chosen := []cairn.Document{document("assets", "one", 1, `{"chosen":true}`)}
	partial := h.commit(cairn.ScopeAssets, chosen, h.segment([]segment.Part{h.part(0, chosen...)}))

	stdout, stderr, code := recoverScript(t, h.dir, h.key)
	var ids []string
	for line := range strings.Lines(stdout) {
		ids = append(ids, strings.Fields(line)[0])
	}
	if code != 0 || stderr != "" || len(ids) != 4 || ids[0] != empty || ids[1] != old || ids[3] != partial {
		t.Errorf("recover.sh lists, with exit code %d:\n%s%s", code, stdout, stderr)
	}
	if !strings.Contains(stdout, old+`  all  2 documents, 14 bytes, made on "the \"box\", \"scope\":\"none\""`) {
		t.Errorf("recover.sh describes backups otherwise:\n%s", stdout)
	}
	for _, tt := range []struct {
		backup string // "" is the newest of a whole database
		want   map[string]storedDocument
	}{
		{"", byName(left)},
		{old, byName([]cairn.Document{document("assets", "one", 1, `{"n":5}`), document("tags", "two", 2, `{"n":6}`)})},
		{partial, byName(chosen)},
		{empty, nil},
	} {
		target := t.TempDir() // an empty folder will do
		recoverDocuments(t, h.dir, h.key, target, tt.backup)
		checkRecovered(t, tt.want, target)
	}

	// Without cairn.json it warns, and goes on.
	removeFile(t, h.object("cairn.json"))
	target := t.TempDir()
	_, stderr, code = recoverScript(t, h.dir, h.key, target)
	if code != 0 || !strings.Contains(stderr, "warning: cairn.json is missing") {
		t.Errorf("without cairn.json the exit code is %d\n%s", code, stderr)
	}
	checkRecovered(t, byName(left), target)
}

// TestRecoverRefuses recovers what cannot be: the script says why, and leaves
// nothing in the target.
func TestRecoverRefuses(t *testing.T) {
	t.Parallel()
	type args = []string
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, h *handmade, args args) args // changes what is there, or the arguments
		want string                                          // that the message holds
	}{
		{"part flipped", func(t *testing.T, h *handmade, a args) args {
			_, part := h.simple()
			flip(t, h.object(part.Name))
			return a
		}, ".jsonl.zst.age is damaged: its SHA-256 is not the one in the backup"},
		{"part in the place of another", func(t *testing.T, h *handmade, a args) args {
			_, part := h.simple()
			other := h.part(0, document("assets", "one", 1, `{"n":8}`), document("tags", "two", 2, `{"n":9}`))
			if err := os.Rename(h.object(other.Name), h.object(part.Name)); err != nil || other.Size != part.Size {
				t.Fatalf("%v; %d bytes in the place of %d", err, other.Size, part.Size)
			}
			return a
		}, ".jsonl.zst.age is damaged: its SHA-256 is not the one in the backup"},
		{"part cut", func(t *testing.T, h *handmade, a args) args {
			_, part := h.simple()
			truncateFile(t, h.object(part.Name), part.Size-1)
			return a
		}, "bytes, not "},
		{"part missing", func(t *testing.T, h *handmade, a args) args {
			_, part := h.simple()
			removeFile(t, h.object(part.Name))
			return a
		}, ".jsonl.zst.age is missing"},
		{"part of other lines", func(t *testing.T, h *handmade, a args) args {
			rows := []cairn.Document{document("assets", "one", 1, `{}`)}
			part := h.storePart(segment.Part{To: 1, Documents: 1}, []byte(`{"collection":"..","id":"one","revision":1,"document":{}}`+"\n"))
			h.commit(cairn.ScopeAll, rows, h.segment([]segment.Part{part}))
			return a
		}, "a name that none can have"},
		{"part of another number of lines", func(t *testing.T, h *handmade, a args) args {
			rows := []cairn.Document{document("assets", "one", 1, `{"text":"as long as the line of another document"}`)}
			part := h.storePart(segment.Part{To: 2, Documents: 2}, segment.AppendLine(nil, rows[0]))
			h.commit(cairn.ScopeAll, rows, h.segment([]segment.Part{part}))
			return a
		}, "1 documents, 0 deletions and 110 bytes where 2, 0 and 110 should be"},
		{"manifest of other counts", func(t *testing.T, h *handmade, a args) args {
			rows := []cairn.Document{document("assets", "one", 1, `{}`), document("assets", "two", 2, `{}`)}
			h.commit(cairn.ScopeAll, rows[:1], h.segment([]segment.Part{h.part(0, rows...)}))
			return a
		}, "2 files of 4 bytes were written, not 1 of 2"},
		{"index flipped", func(t *testing.T, h *handmade, a args) args {
			for _, path := range allFiles(t, h.object("indexes")) {
				flip(t, path)
			}
			return a
		}, "the object indexes/"},
		{"manifest flipped", func(t *testing.T, h *handmade, a args) args {
			id, _ := h.simple()
			flip(t, h.object("backups/"+id+".json.age"))
			return a
		}, ".json.age cannot be decrypted"},
		{"manifest of another backup", func(t *testing.T, h *handmade, a args) args {
			id, _ := h.simple()
			const other = "0.1.0_20261231T235959.999000007Z"
			if err := os.Rename(h.object("backups/"+id+".json.age"), h.object("backups/"+other+".json.age")); err != nil {
				t.Fatal(err)
			}
			return a
		}, "this is not what the owner of the key wrote there"},
		{"cairn.json changed", func(t *testing.T, h *handmade, a args) args {
			flip(t, h.object("cairn.json"))
			return a
		}, "cairn.json"},
		{"another key", func(t *testing.T, h *handmade, a args) args { return args{a[0], newHandmade(t).key, a[2]} }, "is not the key of this cloud"},
		{"no key", func(t *testing.T, h *handmade, a args) args { return args{a[0], h.object("cairn.json"), a[2]} }, "is not the file of one key"},
		{"no key file", func(t *testing.T, h *handmade, a args) args { return args{a[0], "missing", a[2]} }, "missing cannot be read"},
		{"no cloud", func(t *testing.T, h *handmade, a args) args { return args{filepath.Dir(h.key), a[1], a[2]} }, "holds no backups"},
		{"no such backup", func(t *testing.T, h *handmade, a args) args { return append(a, "0.1.0_x") }, "there is no backup 0.1.0_x"},
		{"no id", func(t *testing.T, h *handmade, a args) args { return append(a, "../x") }, `"../x" is not the id of a backup`},
		{"no whole backup", func(t *testing.T, h *handmade, a args) args {
			for _, path := range allFiles(t, h.object("backups")) {
				removeFile(t, path)
			}
			return a
		}, "holds no backup of a whole database"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHandmade(t)
			h.layered()
			target := filepath.Join(t.TempDir(), "recovered")
			arguments := tt.do(t, h, args{h.dir, h.key, target})
			before := snapshot(t, h.dir)
			_, stderr, code := recoverScript(t, arguments...)
			if code != 1 || !strings.Contains(stderr, tt.want) || !strings.Contains(stderr, "recover.sh: ") {
				t.Errorf("the exit code is %d, and the message does not hold %q:\n%s", code, tt.want, stderr)
			}
			if diff := cmp.Diff(before, snapshot(t, h.dir)); diff != "" {
				t.Errorf("the cloud was changed (-before +after):\n%s", diff)
			}
			if entries, err := os.ReadDir(target); err == nil && len(entries) > 0 {
				t.Errorf("the target holds %v", entries)
			}
		})
	}
	t.Run("target not empty", func(t *testing.T) {
		h := newHandmade(t)
		h.layered()
		target := t.TempDir()
		write(t, filepath.Join(target, ".mine"), "mine")
		_, stderr, code := recoverScript(t, h.dir, h.key, target)
		if text, err := os.ReadFile(filepath.Join(target, ".mine")); code != 1 || err != nil || string(text) != "mine" || len(allFiles(t, target)) != 1 {
			t.Errorf("the exit code is %d, and the target holds %v", code, allFiles(t, target))
		}
		if !strings.Contains(stderr, "is not empty\nhint: ") {
			t.Errorf("the message is %s", stderr)
		}
	})
	t.Run("usage", func(t *testing.T) {
		if _, stderr, code := recoverScript(t); code != 2 || !strings.HasPrefix(stderr, "usage: ") {
			t.Errorf("without arguments the exit code is %d\n%s", code, stderr)
		}
		if stdout, _, code := recoverScript(t, "--help"); code != 0 || !strings.Contains(stdout, "recover.sh CLOUD KEY TARGET [BACKUP]") {
			t.Errorf("the exit code of --help is %d\n%s", code, stdout)
		}
	})
}
