package backup_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/memory"
	"cairn/internal/cloud"
	"cairn/internal/keys"
)

// Passphrases of the estate: one that opens its slot, and one whose slot was removed.
var (
	phrase  = cloud.NewPassphrase("the passphrase of the estate")
	removed = cloud.NewPassphrase("the passphrase that was removed")
)

// An estate is a cloud with everything that its owner can do something to.
type estate struct {
	t       *testing.T
	h       *house
	objects map[string]string
	before  map[string]string // the objects before the last backup
	foreign map[string]string // of another cloud, with the same passphrase

	backup, last string   // ids
	parts        []string // of the first segment of backup, in their order
	index        string   // of that segment
	slot         string
	removedSlot  string // its content
}

// newEstate builds one.
func newEstate(t *testing.T) *estate {
	t.Helper()
	store := new(memory.Bucket)
	e := &estate{t: t, h: newHouse(t, store)}
	_, stats := folded(byHand())
	b := e.h.commit(stats, byHand(), nil)
	c, m := e.h.manifest(b.ID)
	parts, err := c.Parts(t.Context(), m.Segments[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		e.parts = append(e.parts, p.Name)
	}
	e.backup, e.index = b.ID, m.Segments[0].Index.Name
	old := addPhrase(t, c, removed)
	e.removedSlot = objects(t, store)[old]
	if err := c.ChangePassphrase(t.Context(), removed, phrase); err != nil {
		t.Fatal(err)
	}
	e.before = objects(t, store)
	e.slot = named(e.before, "keys/")[0]
	longer := append(byHand(), [][]cairn.Document{{at(12, doc("e", "five", 300))}})
	e.last = e.h.extend(b, longer).ID
	e.objects = objects(t, store)

	other := new(memory.Bucket)
	foreign := newHouse(t, other)
	_, stats = folded(longer)
	fb := foreign.commit(stats, longer, nil)
	fc, _ := foreign.manifest(fb.ID)
	addPhrase(t, fc, phrase)
	e.foreign = objects(t, other)
	return e
}

func addPhrase(t *testing.T, c *cloud.Cloud, p cloud.Passphrase) (name string) {
	t.Helper()
	slot, err := c.AddPassphrase(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return slot.Name
}

// An act is what the owner of the bucket does, and what comes of it on a device that
// has the key, and on one that has a passphrase. What comes of it is "" for nothing
// that is noticed, else a code and the name of the object that the error has.
type act struct {
	name   string
	change func(objects map[string]string)
	// open opens the cloud, list names what cannot be used, restore restores the
	// backup, verify reads all that there is, unlock opens it by a passphrase.
	open, list, restore, verify, unlock string
	listed                              int // backups
	by                                  cloud.Passphrase
	// late are objects that come after all others.
	late map[string]string
	// note says what a person is told of an act in docs/security.md besides.
	note string
}

// everywhere is what comes of an act after which the cloud does not open with a key.
func everywhere(a act, what string) act {
	a.open, a.list, a.restore, a.verify = what, what, what, what
	return a
}

func (e *estate) drop(name string) func(map[string]string) {
	return func(o map[string]string) { delete(o, name) }
}

func (e *estate) truncate(name string) func(map[string]string) {
	return func(o map[string]string) { o[name] = o[name][:len(o[name])-1] }
}

func (e *estate) flip(name string) func(map[string]string) {
	return func(o map[string]string) {
		data := []byte(o[name])
		data[len(data)-10] ^= 1
		o[name] = string(data)
	}
}

func (e *estate) swap(a, b string) func(map[string]string) {
	return func(o map[string]string) { o[a], o[b] = o[b], o[a] }
}

func (e *estate) put(name, data string) func(map[string]string) {
	return func(o map[string]string) { o[name] = data }
}

// seal encrypts a text by what stands in cairn.json for everybody to read.
func (e *estate) seal(text string) string {
	e.t.Helper()
	_, rest, _ := strings.Cut(e.objects["cairn.json"], `"recipient":"`)
	recipient, err := age.ParseX25519Recipient(rest[:strings.IndexByte(rest, '"')])
	if err != nil {
		e.t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, recipient)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		e.t.Fatal(err)
	}
	return b.String()
}

// hidden has another bucket be there.
func hidden(other map[string]string) func(map[string]string) {
	return func(o map[string]string) { clear(o); maps.Copy(o, other) }
}

// acts are all of them.
func (e *estate) acts() []act {
	part, other, manifest, last := e.parts[0], e.parts[1], manifestOf(e.backup), manifestOf(e.last)
	forged := manifestOf("0.1.0_20260101T000000.000000001Z")
	foreignSlot := e.foreign[named(e.foreign, "keys/")[0]]
	const copied, second = "parts/ab/abababababababababababababababab.jsonl.zst.age", "keys/abababababababababababababababab.age"
	damaged := func(name string) string { return "damaged " + name }
	junk := map[string]string{}
	for i := range 1000 {
		junk[fmt.Sprintf("keys/%032x.age", i)] = "junk"
	}
	gone := everywhere(act{name: "drop cairn.json", change: e.drop("cairn.json"), unlock: "damaged cairn.json"}, "damaged cairn.json")
	all := []act{
		{name: "nothing", change: func(map[string]string) {}, listed: 2},
		{name: "nothing, and a removed passphrase is tried", change: func(map[string]string) {}, listed: 2, by: removed, unlock: "passphrase_wrong "},

		{name: "drop a part", change: e.drop(part), listed: 2, restore: damaged(part), verify: damaged(part)},
		{name: "drop an index", change: e.drop(e.index), listed: 2, restore: damaged(e.index), verify: damaged(e.index)},
		{name: "drop a manifest", change: e.drop(manifest), listed: 1, restore: "backup_not_found " + e.backup, note: "not detected, unless somebody asks for this backup"},
		gone,
		{name: "drop a slot", change: e.drop(e.slot), listed: 2, unlock: "cloud_locked ", note: "not told from a passphrase that was removed"},
		{name: "drop everything", change: func(o map[string]string) { clear(o) }, open: "bucket_missing cairn.json", list: "bucket_missing cairn.json",
			restore: "bucket_missing cairn.json", verify: "bucket_missing cairn.json", unlock: "cloud_not_found cairn.json"},

		{name: "truncate a part", change: e.truncate(part), listed: 2, restore: damaged(part), verify: damaged(part)},
		{name: "truncate an index", change: e.truncate(e.index), listed: 2, restore: damaged(e.index), verify: damaged(e.index)},
		{name: "truncate a manifest", change: e.truncate(manifest), listed: 1, list: damaged(manifest), restore: damaged(manifest), verify: damaged(manifest)},
		everywhere(act{name: "truncate cairn.json", change: e.truncate("cairn.json"), unlock: "damaged cairn.json"}, "damaged cairn.json"),
		{name: "truncate a slot", change: e.truncate(e.slot), listed: 2, unlock: damaged(e.slot)},

		{name: "flip a bit of a part", change: e.flip(part), listed: 2, restore: damaged(part), verify: damaged(part)},
		{name: "flip a bit of an index", change: e.flip(e.index), listed: 2, restore: damaged(e.index), verify: damaged(e.index)},
		{name: "flip a bit of a manifest", change: e.flip(manifest), listed: 1, list: damaged(manifest), restore: damaged(manifest), verify: damaged(manifest)},
		everywhere(act{name: "flip a bit of cairn.json", change: e.flip("cairn.json"), unlock: "damaged cairn.json"}, "damaged cairn.json"),
		{name: "flip a bit of a slot", change: e.flip(e.slot), listed: 2, unlock: damaged(e.slot)},

		{name: "swap two parts", change: e.swap(part, other), listed: 2, restore: "damaged parts/", verify: "damaged " + joined(part, other)},
		{name: "swap two manifests", change: e.swap(manifest, last), list: "damaged " + joined(manifest, last), restore: damaged(manifest), verify: "damaged " + joined(manifest, last)},
		{name: "duplicate a part", change: e.put(copied, e.objects[part]), listed: 2, note: "harmless: nothing names it, and prune removes it"},
		{name: "duplicate a manifest", change: e.put(forged, e.objects[manifest]), listed: 2, list: damaged(forged), verify: damaged(forged)},
		{name: "duplicate a slot", change: e.put(second, e.objects[e.slot]), listed: 2, note: "harmless, as long as the passphrase is; removing that removes both"},

		{name: "forge a part", change: e.put(part, e.seal("junk")), listed: 2, restore: damaged(part), verify: damaged(part)},
		{name: "forge a manifest", change: e.put(forged, e.seal(`{"format":1}`+"\n"+strings.Repeat("0", 64)+"\n")), listed: 2, list: damaged(forged), verify: damaged(forged)},
		{name: "forge a slot with a passphrase of his own", change: e.put(second, e.forgedSlot()), listed: 2, note: "harmless: it opens for him alone, and holds no key of this cloud"},

		{name: "replace a part by another cloud's", change: e.put(part, e.foreign[named(e.foreign, "parts/")[0]]), listed: 2, restore: damaged(part), verify: damaged(part)},
		{name: "replace a manifest by another cloud's", change: e.put(manifest, e.foreign[named(e.foreign, "backups/")[0]]), listed: 1,
			list: damaged(manifest), restore: damaged(manifest), verify: damaged(manifest)},
		everywhere(act{name: "replace cairn.json by another cloud's", change: e.put("cairn.json", e.foreign["cairn.json"]), unlock: "damaged cairn.json"}, "cloud_locked cairn.json"),
		{name: "replace a slot by another cloud's, with the same passphrase", change: e.put(e.slot, foreignSlot), listed: 2, unlock: "damaged cairn.json"},
		{name: "add another cloud's slot, with the same passphrase", change: e.put(second, foreignSlot), listed: 2, note: "harmless: the slot that fits is found"},
		everywhere(act{name: "replace everything by another cloud of his own", change: hidden(e.without(e.foreign, "keys/")), unlock: "cloud_locked "}, "cloud_locked cairn.json"),

		{name: "raise the work factor of a slot", change: e.put(e.slot, strings.Replace(e.objects[e.slot], " 1\n", " 30\n", 1)), listed: 2, unlock: damaged(e.slot)},
		{name: "add 1,000 slots of junk", change: func(map[string]string) {}, late: junk, listed: 2, unlock: "damaged keys/", note: "the newest 16 are read; the key still opens the cloud"},

		{name: "put a removed slot back", change: e.put(second, e.removedSlot), listed: 2, by: removed, note: "**not detected**: the removed passphrase opens the cloud again"},
		{name: "put back how everything was before the last backup", change: hidden(e.before), listed: 1, note: "**not detected**"},
	}
	for i := range all {
		if all[i].by == (cloud.Passphrase{}) {
			all[i].by = phrase
		}
	}
	return all
}

// joined returns names as a verification has them.
func joined(names ...string) string {
	slices.Sort(names)
	return strings.Join(names, " ")
}

func (e *estate) without(objects map[string]string, folder string) map[string]string {
	rest := maps.Clone(objects)
	maps.DeleteFunc(rest, func(name, _ string) bool { return strings.HasPrefix(name, folder) })
	return rest
}

// forgedSlot returns a slot that the owner of the bucket knows the passphrase of, with
// a key that he drew.
func (e *estate) forgedSlot() string {
	e.t.Helper()
	h := newHouse(e.t, new(memory.Bucket))
	c, err := h.engine.Connect(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	return objects(e.t, h.bucket)[addPhrase(e.t, c, removed)]
}

// do does the act to a copy of the bucket.
func (a act) do(t *testing.T, e *estate) bucket.Bucket {
	t.Helper()
	changed := maps.Clone(e.objects)
	a.change(changed)
	if (a.name == "nothing" || strings.HasPrefix(a.name, "nothing,") || a.late != nil) != maps.Equal(changed, e.objects) {
		t.Fatal("the act changes nothing, or nothing should be changed")
	}
	var clock atomic.Int64 // the late are younger
	began := time.Now()
	b := &memory.Bucket{Now: func() time.Time { return began.Add(time.Duration(clock.Add(1)) * time.Millisecond) }}
	for _, some := range []map[string]string{changed, a.late} {
		for _, name := range slices.Sorted(maps.Keys(some)) {
			put(t, b, name, some[name])
		}
	}
	return b
}

// TestOwnerOfTheBucket has whoever owns the bucket do all that he can to its objects.
// What comes of it stands in docs/security.md.
func TestOwnerOfTheBucket(t *testing.T) {
	e := newEstate(t)
	for _, a := range e.acts() {
		t.Run(a.name, func(t *testing.T) { a.check(t, e, a.do(t, e)) })
	}
}

// check does all that a device can do with the bucket.
func (a act) check(t *testing.T, e *estate, b bucket.Bucket) {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "keys"), os.DirFS(filepath.Join(e.h.dir, "keys"))); err != nil {
		t.Fatal(err)
	}
	h := openHouse(t, dir, b, nil)
	h.cloud = e.h.cloud
	h.apply(doc("live", "in no backup", 100))
	v := watch(h)
	ctx := t.Context()

	_, err := h.engine.Connect(ctx)
	wantOutcome(t, "opening", err, a.open)
	list, err := h.engine.List(ctx)
	st := h.engine.Cloud(ctx)
	if err == nil && len(st.Unreadable) > 0 {
		err = unreadable(st.Unreadable)
	}
	wantOutcome(t, "listing", err, a.list)
	if len(list) != a.listed {
		t.Errorf("%d backups are listed, want %d", len(list), a.listed)
	}
	found, err := h.engine.CheckCloud(ctx, everything, untold)
	if err == nil && len(found.Damaged) > 0 {
		err = findings(found.Damaged)
	}
	wantOutcome(t, "verifying", err, a.verify)

	device := cloud.Config{Bucket: b, URL: "memory", Keys: &keys.Store{Dir: t.TempDir()}, Passphrase: a.by, Log: slog.New(slog.DiscardHandler)}
	_, err = cloud.Open(ctx, device)
	wantOutcome(t, "unlocking", err, a.unlock)
	if ids, keysErr := device.Keys.IDs(); (len(ids) > 0) != (err == nil) || keysErr != nil {
		t.Errorf("unlocking returned %v and left the keys %q, %v", err, ids, keysErr)
	}

	_, err = h.engine.Restore(ctx, "job", e.backup, ignore)
	wantOutcome(t, "restoring", err, a.restore)
	if err != nil {
		v.checkUntouched("restoring")
		return
	}
	want, _ := folded(byHand())
	if got := h.documents(); !maps.Equal(got, want) {
		t.Errorf("restored are the documents %v, want %v", got, want)
	}
}

// unreadable returns what a listing cannot use as an error.
func unreadable(all []cairn.UnreadableBackup) error {
	var names []string
	for _, u := range all {
		names = append(names, u.Name)
	}
	return &cairn.Error{Code: all[0].Problem.Code, Message: joined(names...)}
}

// findings returns what a verification found as an error.
func findings(all []cairn.Finding) error {
	var names []string
	for _, f := range all {
		names = append(names, f.Object)
	}
	return &cairn.Error{Code: all[0].Problem.Code, Message: joined(names...)}
}

// wantOutcome compares an error with a code and a name, or with "" for none.
func wantOutcome(t *testing.T, doing string, err error, want string) {
	t.Helper()
	code, object, _ := strings.Cut(want, " ")
	if e, ok := errors.AsType[*cairn.Error](err); err != nil && (!ok || !strings.Contains(e.Message, object)) || cairn.CodeOf(err) != cairn.Code(code) {
		t.Errorf("%s returned %v (%s), want %q", doing, err, cairn.CodeOf(err), want)
	}
}

// row returns the line of an act in docs/security.md.
func (a act) row() string {
	cells := []string{a.name}
	for _, what := range []string{a.open, a.list, a.restore, a.verify, a.unlock} {
		code, object, _ := strings.Cut(what, " ")
		cell := "–"
		if code != "" {
			cell = "`" + code + "`"
			for _, kind := range [][2]string{{"parts/", "part"}, {"indexes/", "index"}, {"backups/", "manifest"}, {"keys/", "slot"}, {"cairn.json", "`cairn.json`"}} {
				if strings.HasPrefix(object, kind[0]) {
					cell += " " + kind[1]
				}
			}
		}
		cells = append(cells, cell)
	}
	return "| " + strings.Join(append(cells, a.note), " | ") + " |"
}

// TestOwnerOfTheBucketIsDocumented holds the table in docs/security.md to that of the
// acts, and has a word there on each that is not detected.
func TestOwnerOfTheBucketIsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	const head = "| he does | opening | listing | restoring | verifying | unlocking | |\n|---|---|---|---|---|---|---|\n"
	_, rows, found := strings.Cut(string(text), head)
	rows, _, ended := strings.Cut(rows, "\n\n")
	if !found || !ended {
		t.Fatal("docs/security.md has no table of what the owner of the bucket can do")
	}
	e := newEstate(t)
	var want []string
	for _, a := range e.acts() {
		if strings.HasPrefix(a.name, "nothing") {
			continue
		}
		if a.open+a.list+a.restore+a.verify+a.unlock == "" && a.note == "" {
			t.Errorf("%s: nothing is detected, and nothing said", a.name)
		}
		want = append(want, a.row())
	}
	if diff := cmp.Diff(want, strings.Split(rows, "\n")); diff != "" {
		t.Errorf("the rows of docs/security.md (-want +got):\n%s\nall:\n%s", diff, strings.Join(want, "\n"))
	}
}
