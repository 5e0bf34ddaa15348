package test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite" // the driver "sqlite", to make foreign files

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/internal/asset"
	"cairn/test/harness"
)

// exitData is the exit code for a data folder that cannot be used.
const exitData = 5

// A fault is what someone or something does to a healthy data folder.
type fault struct {
	name string
	file string // below the data folder; "db" is the generation
	do   func(t *testing.T, path string)
	want string // in the message: a regular expression
}

// TestFaultsAtStart starts on data folders that cannot be used. The daemon
// must say what is wrong, and leave the folder as it is.
func TestFaultsAtStart(t *testing.T) {
	const newer = "newer (version of )?cairn"
	healthy := healthyFolder(t)
	for _, f := range []fault{
		{"garbage", "db", overwriteGarbage, "damaged"},
		{"cut in half", "db", cutInHalf, "damaged"},
		{"empty", "db", makeEmpty, "damaged"},
		{"first page zeroed", "db", func(t *testing.T, path string) { zeroRange(t, path, 0, 16<<10) }, "damaged"},
		{"a SQLite file of another program", "db", makeForeign, "damaged"},
		{"missing", "db", removeFile, "missing"},
		{"CURRENT is garbage", "CURRENT", overwriteGarbage, "damaged"},
		{"CURRENT is empty", "CURRENT", makeEmpty, "damaged"},
		{"CURRENT names nothing", "CURRENT", writeText("{}\n"), "damaged"},
		{"CURRENT names a file outside", "CURRENT", writeText(`{"format":1,"live":"../device.db"}`), "damaged"},
		{"CURRENT is missing", "CURRENT", removeFile, "CURRENT is missing"},
		{"device.db is garbage", "device.db", overwriteGarbage, "damaged"},
		{"device.db is cut in half", "device.db", cutInHalf, "damaged"},
		{"device.db is of another program", "device.db", makeForeign, "damaged"},
		{"newer schema", "db", setPragma("user_version = 99"), newer},
		{"newer CURRENT", "CURRENT", writeText(`{"format":99,"live":"x.db","other":[]}`), newer},
		{"newer device.db", "device.db", setPragma("user_version = 99"), newer},
	} {
		t.Run(f.name, func(t *testing.T) {
			dir := copyFolder(t, healthy)
			f.do(t, dataFile(t, dir, f.file))
			before := snapshot(t, dir)
			message := refused(t, dir)
			if !regexp.MustCompile(f.want).MatchString(message) {
				t.Errorf("the message does not tell of %q:\n%s", f.want, message)
			}
			if !strings.Contains(message, dir) {
				t.Errorf("the message does not name the file:\n%s", message)
			}
			if f.want == newer && !regexp.MustCompile(`(?m)^hint: update cairn`).MatchString(message) {
				t.Errorf("the hint is not to update cairn:\n%s", message)
			}
			if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
				t.Errorf("the folder was changed (-before +after):\n%s", diff)
			}
		})
	}
}

// TestFaultsWhileRunning damages the database under a daemon, or so that it
// starts all the same. A document comes as it was, or the answer says that the
// database is damaged; and the daemon goes on.
func TestFaultsWhileRunning(t *testing.T) {
	middle := func(t *testing.T, path string) { zeroRange(t, path, fileSize(t, path)/4, fileSize(t, path)*3/4) }
	healthy := healthyFolder(t)
	want := texts(t, healthy)
	for _, f := range []fault{
		{name: "garbage", do: overwriteGarbage},
		{name: "cut in half", do: cutInHalf},
		{name: "pages zeroed in the middle", do: middle},
		{name: "ends of texts zeroed", do: zeroEnds},
		{name: "a SQLite file of another program", do: makeForeign},
	} {
		t.Run(f.name, func(t *testing.T) {
			dir := copyFolder(t, healthy)
			d := harness.Start(t, harness.Options{Data: dir, AnyExit: true})
			f.do(t, dataFile(t, dir, "db"))
			suffer(t, d, want)
			_, err := client.New(d.URL).CreateAsset(t.Context(), assetSeed("after the damage", "text"))
			if err != nil && cairn.CodeOf(err) != cairn.CodeDamaged {
				t.Errorf("writing: %v, want that it is damaged, or no error", err)
			}
		})
	}
	for _, f := range []fault{
		{name: "pages zeroed in the middle before the start", do: middle},
		{name: "ends of texts zeroed before the start", do: zeroEnds},
	} {
		t.Run(f.name, func(t *testing.T) {
			dir := copyFolder(t, healthy)
			f.do(t, dataFile(t, dir, "db"))
			before := snapshot(t, dir)
			d := harness.Start(t, harness.Options{Data: dir})
			suffer(t, d, want)
			if err := d.Stop(); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
				t.Errorf("reading changed the folder (-before +after):\n%s", diff)
			}
		})
	}
}

// suffer reads everything from a daemon whose database is damaged.
func suffer(t *testing.T, d *harness.Daemon, want map[string]string) {
	t.Helper()
	c := client.New(d.URL)
	damaged := 0
	for id, text := range want {
		got, err := c.Document(t.Context(), cairn.CollectionAssets, id)
		switch {
		case err != nil && cairn.CodeOf(err) == cairn.CodeDamaged:
			damaged++
		case err != nil:
			t.Fatalf("reading a document: %v", err)
		case string(got) != text:
			t.Fatalf("the document is %.300q, not %.300q", got, text)
		}
	}
	if damaged == 0 {
		t.Error("no document was damaged")
	}
	assets := 0
	var err error
	for _, err = range c.Assets(t.Context(), true) {
		if err == nil {
			assets++
		}
	}
	if err == nil {
		t.Errorf("a list of %d assets came to its end; there were %d", assets, len(want))
	}
	for _, err = range c.Documents(t.Context(), "", 0) {
	}
	if err == nil {
		t.Error("the documents came to their end")
	}
	if st, err := c.Status(t.Context()); err != nil {
		t.Errorf("the daemon does not go on: %v", err)
	} else if st.Database.Documents < int64(len(want)) {
		t.Errorf("the status counts %d documents", st.Database.Documents)
	}
	if log := d.Stderr(); strings.Contains(log, "panic") {
		t.Errorf("the daemon panicked:\n%s", log)
	}
}

// TestSecondDaemon starts a daemon on a folder that has one.
func TestSecondDaemon(t *testing.T) {
	d := harness.Start(t, harness.Options{})
	c := client.New(d.URL)
	text, err := c.CreateAsset(t.Context(), assetSeed("first", "text"))
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(d.Data, link); err != nil {
		link = d.Data // not for this user
	}
	for _, dir := range []string{d.Data, link} {
		before := snapshot(t, d.Data)
		message := refused(t, dir)
		if !strings.Contains(message, "another cairn daemon already runs on the data folder "+dir) {
			t.Errorf("the message does not tell of the other daemon:\n%s", message)
		}
		if diff := cmp.Diff(before, snapshot(t, d.Data)); diff != "" {
			t.Errorf("the folder was changed (-before +after):\n%s", diff)
		}
	}
	if got, err := os.ReadFile(filepath.Join(d.Data, "url")); err != nil || strings.TrimSpace(string(got)) != d.URL {
		t.Errorf("the file url holds %q (%v), want %s", got, err, d.URL)
	}
	id, _, _ := assetParts(string(text))
	if got, err := c.Asset(t.Context(), id); err != nil || string(got) != string(text) {
		t.Errorf("the first daemon answers %q (%v), want %q", got, err, text)
	}
	if _, err := c.CreateAsset(t.Context(), assetSeed("second", "text")); err != nil {
		t.Errorf("the first daemon does not write any more: %v", err)
	}
}

// refused runs a daemon that must not start, and returns what it says.
func refused(t *testing.T, dir string) string {
	t.Helper()
	return refusedAs(t, dir, nil)
}

// refusedAs is refused with the command changed by prepare.
func refusedAs(t *testing.T, dir string, prepare func(*exec.Cmd)) string {
	t.Helper()
	cmd := harness.Command(t, nil, "serve", "--data", dir, "--listen", "127.0.0.1:0")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if prepare != nil {
		prepare(cmd)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	giveUp := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() }) // gone already
	defer giveUp.Stop()
	_ = cmd.Wait() // the exit code tells
	if code := cmd.ProcessState.ExitCode(); code != exitData {
		t.Errorf("the exit code is %d, want %d", code, exitData)
	}
	if stdout.Len() > 0 {
		t.Errorf("it printed %q, want nothing", stdout.String())
	}
	if !oneMessage.MatchString(stderr.String()) {
		t.Errorf("the message is not a line and a hint:\n%s", stderr.String())
	}
	return stderr.String()
}

// oneMessage is how a command tells of a failure, behind what it logged: in
// lower case, unless a name comes first, without a full stop, and with a hint.
var oneMessage = regexp.MustCompile(`^(time=[^\n]*\n)*cairn: [^\n]+[^.\n]\nhint: [^\n]+[^.\n]\n$`)

// healthyFolder returns a data folder with some megabytes of assets, closed.
func healthyFolder(t *testing.T) string {
	t.Helper()
	d := harness.Start(t, harness.Options{})
	random := rand.New(rand.NewPCG(1, 2))
	var lines []api.DocumentLine
	for i := range 500 {
		id := fmt.Sprintf("asset-%04d", i)
		text := strings.Repeat(randomText(random)+" ", 1+random.IntN(8))
		body := asset.New("name of "+id, text, "txt", []byte(`{}`), asset.Stamp{ID: id, Format: id + ".format", Now: time.UnixMilli(int64(i))})
		lines = append(lines, api.DocumentLine{Collection: cairn.CollectionAssets, ID: id, Document: body})
	}
	written, err := client.New(d.URL).WriteDocuments(t.Context(), lines)
	if err != nil || written.Added != int64(len(lines)) {
		t.Fatalf("writing documents: %+v, %v", written, err)
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	return d.Data
}

// texts returns the assets of a data folder by their ids.
func texts(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	d := harness.Start(t, harness.Options{Data: dir})
	for line, err := range client.New(d.URL).Documents(t.Context(), "", 0) {
		if err != nil {
			t.Fatal(err)
		}
		all[line.ID] = string(line.Document)
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	return all
}

func copyFolder(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// snapshot returns the content of all files below a folder. What a process
// has while it uses a healthy file is not counted.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, path := range allFiles(t, dir) {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		if name == "lock" || strings.HasSuffix(name, "-shm") || strings.HasSuffix(name, "-wal") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = fmt.Sprintf("%d bytes, %x", len(text), sha256.Sum256(text))
	}
	return all
}

// dataFile returns a file of a data folder; "db" is its one generation.
func dataFile(t *testing.T, dir, file string) string {
	t.Helper()
	if file != "db" {
		return filepath.Join(dir, file)
	}
	found, err := filepath.Glob(filepath.Join(dir, "generations", "*.db"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the generations are %v (%v), want one", found, err)
	}
	return found[0]
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// overwrite writes to a file in place, as a disk does that fails.
func overwrite(t *testing.T, path string, at int64, text []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt(text, at)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func zeroRange(t *testing.T, path string, from, to int64) {
	t.Helper()
	overwrite(t, path, from, make([]byte, to-from))
}

// zeroEnds zeroes the pages that hold the end of a long text: the last of a
// chain of overflow pages, which begins with the number of no next one. Source:
// SQLite, Database File Format, section 1.6.
func zeroEnds(t *testing.T, path string) {
	t.Helper()
	const pageSize = 16 << 10
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for at := 0; at < len(text); at += pageSize {
		if bytes.HasPrefix(text[at:], []byte{0, 0, 0, 0}) {
			zeroRange(t, path, int64(at), int64(at)+pageSize)
			n++
		}
	}
	if n == 0 {
		t.Fatal("no text is long enough for an overflow page")
	}
}

// overwriteGarbage overwrites a file with bytes in which no text ends.
func overwriteGarbage(t *testing.T, path string) {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	text := make([]byte, fileSize(t, path))
	for i := range text {
		if text[i] = byte(random.Uint32()); text[i] == '}' {
			text[i] = 0xff
		}
	}
	overwrite(t, path, 0, text)
}

func cutInHalf(t *testing.T, path string) { truncateFile(t, path, fileSize(t, path)/2) }

func makeEmpty(t *testing.T, path string) { truncateFile(t, path, 0) }

func truncateFile(t *testing.T, path string, to int64) {
	t.Helper()
	if err := os.Truncate(path, to); err != nil {
		t.Fatal(err)
	}
}

func removeFile(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func writeText(text string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// makeForeign puts a database of another program in the place of a file.
func makeForeign(t *testing.T, path string) {
	t.Helper()
	other := filepath.Join(t.TempDir(), "other.db")
	runSQL(t, other, "CREATE TABLE moz_places(id INTEGER PRIMARY KEY, url TEXT)", "INSERT INTO moz_places(url) VALUES('http://localhost')")
	text, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	truncateFile(t, path, 0)
	overwrite(t, path, 0, text)
}

// setPragma sets a number in the header of a database.
func setPragma(set string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		runSQL(t, path, "PRAGMA "+set)
	}
}

func runSQL(t *testing.T, path string, list ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
