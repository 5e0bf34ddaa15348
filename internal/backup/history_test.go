package backup_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/bucket/memory"
	"cairn/internal/cloud"
	"cairn/internal/segment"
	"cairn/test/stores"
)

// TestHistories has devices that share a cloud write, back up, restore, lose what
// they have and find older copies of it, in any order: what is listed always
// restores to exactly the moment that it was made of.
func TestHistories(t *testing.T) {
	n := 60
	if raced || !stores.InMemory() {
		n = 6
	}
	if os.Getenv("CAIRN_LONG") != "" {
		n = 10_000
	}
	random := newSample(t)
	var due, written int64
	for i := range n {
		seed := random.Uint64()
		ok := t.Run(fmt.Sprintf("%d of %d", i+1, n), func(t *testing.T) {
			t.Setenv("CAIRN_SEED", fmt.Sprint(seed))
			w := newWorld(t)
			w.live(40)
			due, written = due+w.due, written+w.written
		})
		if !ok {
			return
		}
	}
	// A single one can be more: of a backup that is restored twice, all is merged twice.
	factor := float64(written) / float64(due)
	t.Logf("%d bytes of lines were written for %d that changed, which is %.2f times", written, due, factor)
	if n >= 60 && factor > 1.5 {
		t.Errorf("%.2f times what changed was written, want at most 1.5", factor)
	}
}

// A world is a cloud and the devices that use it.
type world struct {
	t       *testing.T
	random  sample
	store   bucket.Bucket
	devices []*citizen
	moments map[string]map[string]string // by backup: its documents
	deleted map[string]map[string]string // of those that were deleted
	longest int64                        // the most rows that a database had
	parts   map[string]bool              // that backups hold, or held
	due     int64                        // bytes of lines that had changed before backups
	written int64                        // bytes of lines in parts that were new in them
	log     []string                     // of what happened
	passed  time.Duration                // how late it is
	orphans bool                         // a CURRENT can name what it would undo to and is not there any more
}

// A citizen is a device, and what must be in its database.
type citizen struct {
	*house
	texts map[string]string // by id
	undo  map[string]string
	saved []saved
	clock time.Duration // how wrong its clock is
	// after how many calls the bucket does not answer any more; 0 means never
	after  int
	effect fault.Effect
}

// saved is an older copy of a data folder, and of what the device remembered.
type saved struct {
	dir         string
	texts, undo map[string]string
	cache       map[string][]byte
	made        int64
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, random: newSample(t), moments: map[string]map[string]string{}, deleted: map[string]map[string]string{}, parts: map[string]bool{}}
	w.store = stores.New(t)
	if stores.InMemory() { // the clocks of others are not ours
		w.store = &memory.Bucket{Now: w.now}
	}
	w.join(quickDir(w.t), "first", map[string]string{}, nil).list() // makes the cloud
	return w
}

// now is the time by the clock of the bucket.
func (w *world) now() time.Time { return time.Now().Add(w.passed) }

// copyOf returns a copy of the data folder of a device.
func (w *world) copyOf(c *citizen) string {
	c.close()
	defer c.open()
	dir := quickDir(w.t)
	if err := os.CopyFS(dir, os.DirFS(c.dir)); err != nil {
		w.t.Fatal(err)
	}
	return dir
}

// join adds a device whose data folder is there.
func (w *world) join(dir, installation string, texts, undo map[string]string) *citizen {
	w.t.Helper()
	c := &citizen{texts: texts, undo: undo}
	through := fault.New(w.store, func(fault.Call) fault.Outcome {
		if c.after == 0 {
			return fault.Outcome{}
		}
		if c.after > 1 {
			c.after--
			return fault.Outcome{}
		}
		return fault.Outcome{Effect: c.effect, Err: bucket.ErrRefused} // no use to try again
	})
	c.house = openHouse(w.t, dir, through, func(cfg *backup.Config) {
		sequential(cfg)
		cfg.Memory = 1 << 20
		cfg.Browse = nil
		cfg.PartBytes = 600
		cfg.Now = func() time.Time { return w.now().Add(c.clock) }
	})
	c.installation, c.store = installation, w.store
	c.tune = func(cfg *cloud.Config) {
		cfg.Now, cfg.Monotonic = func() time.Time { return w.now().Add(c.clock) }, func() time.Duration { return w.passed }
	}
	c.restart()
	w.devices = append(w.devices, c)
	return c
}

// live has so many things happen, and looks at all that is there then.
func (w *world) live(steps int) {
	events := []struct {
		weight int
		name   string
		happen func(c *citizen)
	}{
		{30, "writes", w.write},
		{30, "creates", w.create},
		{6, "is cut off while it creates", w.cutOff},
		{4, "deletes", w.remove},
		{3, "deletes all", w.clear},
		{4, "brings back", w.undelete},
		{8, "prunes", w.prune},
		{8, "waits", func(*citizen) { w.passed += time.Duration(w.random.Int64N(int64(50 * time.Hour))) }},
		{5, "restores", w.restore},
		{3, "undoes", w.undo},
		{3, "restarts", func(c *citizen) { c.restart() }},
		{4, "is saved", w.save},
		{4, "is an older copy", w.rollBack},
		{3, "has an older file", w.rollBackOne},
		{2, "has an older CURRENT", w.rollBackCurrent},
		{2, "has an older memory", w.rollBackMemory},
		{2, "has a twin", w.twin},
		{2, "is new", w.arrive},
		{2, "loses all", w.lose},
		{3, "has a wrong clock", func(c *citizen) { c.clock = time.Duration(w.random.Int64N(int64(100*time.Hour))) - 50*time.Hour }},
	}
	sum := 0
	for _, e := range events {
		sum += e.weight
	}
	for range steps {
		at := w.random.IntN(sum)
		i := 0
		for ; at >= events[i].weight; i++ {
			at -= events[i].weight
		}
		n := w.random.IntN(len(w.devices))
		c := w.devices[n]
		w.log = append(w.log, fmt.Sprintf("%d %s", n, events[i].name))
		events[i].happen(c)
		w.compare(c, "afterwards")
		if w.t.Failed() {
			w.t.Fatalf("what happened: %s", strings.Join(w.log, ", "))
		}
	}
	c := w.devices[0]
	w.check(c)
	if w.t.Failed() {
		w.t.Fatalf("what happened: %s", strings.Join(w.log, ", "))
	}
	for _, c := range w.devices {
		c.close()
	}
}

// compare has the database hold what it should.
func (w *world) compare(c *citizen, when string) {
	w.t.Helper()
	got := map[string]string{}
	for doc, err := range c.db.Changes(w.t.Context(), "", 0) {
		if err != nil {
			w.t.Fatal(err)
		}
		if !doc.Deleted() {
			got[doc.ID] = string(doc.JSON)
		}
	}
	if !maps.Equal(got, c.texts) {
		w.t.Errorf("%s the database holds %v, want %v", when, got, c.texts)
	}
}

// write has some documents written and deleted: of a few that change all the time,
// of more that seldom do, or new ones.
func (w *world) write(c *citizen) {
	var docs []cairn.Document
	for range 1 + w.random.IntN(1<<w.random.IntN(6)) {
		id := fmt.Sprint("d", w.random.IntN(1<<(1+w.random.IntN(8))))
		d := doc(id, fmt.Sprint(w.random.Uint32()), w.random.IntN(1<<w.random.IntN(9)))
		if w.random.IntN(4) == 0 {
			d.JSON = nil
			delete(c.texts, id)
		} else {
			c.texts[id] = string(d.JSON)
		}
		docs = append(docs, d)
	}
	c.apply(docs...)
	w.longest = max(w.longest, c.db.Stats().Documents)
}

// create makes a backup, of which the segments are few and the parts that are new
// no more than what changed or is merged.
func (w *world) create(c *citizen) {
	moment := c.documents()
	due := w.changed(c)
	b := c.house.create()
	w.moments[b.ID] = moment
	cloud, m := c.manifest(b.ID)
	classes := bits.Len64(uint64(w.longest))/3 + 3
	if len(m.Segments) > 7*classes {
		w.t.Errorf("%d segments of %d documents", len(m.Segments), w.longest)
	}
	w.due += due
	var rows int64
	for _, s := range m.Segments {
		rows += s.Documents + s.Deletions
		parts, err := cloud.Parts(w.t.Context(), s)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, p := range parts {
			if !w.parts[p.Name] {
				w.written += p.Plain
			}
			w.parts[p.Name] = true
		}
	}
	// It was less than twice before what came last, which is as large as the rest.
	if len(m.Segments) > 1 && rows > 2*(b.Documents+b.JSONBytes>>12) {
		w.t.Errorf("%d rows in %d segments of a backup of %d documents", rows, len(m.Segments), b.Documents)
	}
}

// changed returns how many bytes the lines take that changed since the newest backup
// that a creation can build on.
func (w *world) changed(c *citizen) (bytes int64) {
	bases, err := c.db.Bases(w.t.Context(), c.cloud)
	if err != nil {
		w.t.Fatal(err)
	}
	var since int64
	if i := slices.IndexFunc(bases, func(b cairn.Base) bool { return w.moments[b.Backup] != nil }); i >= 0 {
		since = bases[i].Revision
	}
	for doc, err := range c.db.Changes(w.t.Context(), "", since) {
		if err != nil {
			w.t.Fatal(err)
		}
		bytes += int64(len(segment.AppendLine(nil, doc)))
	}
	return bytes
}

// cutOff has the bucket not answer any more while a backup is made, which may exist
// all the same.
func (w *world) cutOff(c *citizen) {
	moment := c.documents()
	c.after, c.effect = 1+w.random.IntN(12), []fault.Effect{fault.Fail, fault.Lost}[w.random.IntN(2)]
	b, err := c.engine.Create(w.t.Context(), c.engine.NewBackup(cairn.ScopeAll), ignore)
	c.after = 0
	if err == nil {
		w.moments[b.ID] = moment
		return
	}
	for _, b := range c.list() {
		if w.moments[b.ID] == nil {
			w.moments[b.ID] = moment
		}
	}
}

// any returns one of the backups that are listed; false when there is none.
func (w *world) any(c *citizen) (b cairn.Backup, ok bool) {
	list := c.list()
	if len(list) == 0 {
		return b, false
	}
	return list[w.random.IntN(len(list))], true
}

func (w *world) remove(c *citizen) {
	if b, ok := w.any(c); ok {
		if err := c.engine.Delete(w.t.Context(), b.ID); err != nil {
			w.t.Error(err)
		}
		w.deleted[b.ID] = w.moments[b.ID]
		delete(w.moments, b.ID)
	}
}

// clear deletes all backups, and has what they hold vanish: other devices still know
// them as those to build on.
func (w *world) clear(c *citizen) {
	for range c.list() {
		w.remove(c)
	}
	w.passed += 25 * time.Hour
	w.prune(c)
}

// undelete brings back one of the backups that can be.
func (w *world) undelete(c *citizen) {
	list, err := c.engine.Deleted(w.t.Context())
	if err != nil || len(list) == 0 {
		if err != nil {
			w.t.Error(err)
		}
		return
	}
	id := list[w.random.IntN(len(list))].ID
	_, err = c.engine.Undelete(w.t.Context(), id)
	if cairn.CodeOf(err) == cairn.CodeTooLate && c.clock != 0 {
		return
	}
	if err != nil {
		w.t.Error(err)
		return
	}
	w.moments[id] = w.deleted[id]
}

func (w *world) prune(c *citizen) {
	if _, err := c.engine.Prune(w.t.Context(), false, func(cairn.PruneProgress) {}); err != nil {
		w.t.Error(err)
	}
}

func (w *world) restore(c *citizen) {
	if b, ok := w.any(c); ok {
		w.restoreTo(c, b)
	}
}

// restoreTo restores a backup, and compares what comes of it.
func (w *world) restoreTo(c *citizen, b cairn.Backup) {
	w.t.Helper()
	c.house.restore(b.ID)
	want := w.moments[b.ID]
	if want == nil {
		w.t.Fatalf("nobody knows the backup %s", b.ID)
	}
	if got := c.documents(); !maps.Equal(got, want) {
		w.t.Errorf("%s restores to %v, want %v", b.ID, got, want)
	}
	c.undo, c.texts = c.texts, map[string]string{}
	for name, text := range want {
		_, id, _ := strings.Cut(name, "/")
		_, text, _ := strings.Cut(text, " ")
		c.texts[id] = text
	}
}

func (w *world) undo(c *citizen) {
	err := c.engine.Undo(w.t.Context())
	if c.undo == nil {
		if code := cairn.CodeOf(err); code != cairn.CodeNothingToUndo && !(w.orphans && code == cairn.CodeDamaged) {
			w.t.Errorf("undoing nothing returned %v", err)
		}
		return
	}
	if err != nil {
		w.t.Error(err)
	}
	c.texts, c.undo = c.undo, c.texts
}

// save keeps a copy of the data folder.
func (w *world) save(c *citizen) {
	c.saved = append(c.saved, saved{w.copyOf(c), maps.Clone(c.texts), maps.Clone(c.undo), c.device.cached(), c.device.made})
}

// rollBack puts an older copy in the place of the data folder.
func (w *world) rollBack(c *citizen) {
	if len(c.saved) == 0 {
		return
	}
	s := c.saved[w.random.IntN(len(c.saved))]
	c.close()
	if err := errors.Join(os.RemoveAll(c.dir), os.CopyFS(c.dir, os.DirFS(s.dir))); err != nil {
		w.t.Fatal(err)
	}
	c.texts, c.undo = maps.Clone(s.texts), maps.Clone(s.undo)
	c.open()
}

// rollBackOne puts an older copy of the file of the live generation in its place.
func (w *world) rollBackOne(c *citizen) {
	live := c.current().Live
	name := filepath.Join("generations", live)
	for _, s := range c.saved {
		data, err := os.ReadFile(filepath.Join(s.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		then, _ := w.currentOf(s)
		c.close()
		if err := os.WriteFile(filepath.Join(c.dir, name), data, 0o600); err != nil {
			w.t.Fatal(err)
		}
		c.texts = maps.Clone(s.texts)
		if then.Live != live {
			c.texts = maps.Clone(s.undo)
		}
		c.open()
		return
	}
}

// currentOf returns what CURRENT said, and the text of it.
func (w *world) currentOf(s saved) (then current, text []byte) {
	text, err := os.ReadFile(filepath.Join(s.dir, "CURRENT"))
	if err := cmp.Or(err, json.Unmarshal(text, &then)); err != nil {
		w.t.Fatal(err)
	}
	return then, text
}

// rollBackCurrent puts an older copy of CURRENT in its place: of before a restoration,
// so that what the restoration replaced is live again.
func (w *world) rollBackCurrent(c *citizen) {
	now := c.current()
	for _, s := range c.saved {
		then, text := w.currentOf(s)
		if now.Undo == "" || then.Live != now.Undo {
			continue
		}
		c.close()
		if err := os.WriteFile(filepath.Join(c.dir, "CURRENT"), text, 0o600); err != nil {
			w.t.Fatal(err)
		}
		former := c.texts
		c.texts, c.undo, w.orphans = c.undo, nil, w.orphans || then.Undo != "" && then.Undo != now.Live
		if then.Undo == now.Live {
			c.undo = former
		}
		c.open()
		return
	}
}

// rollBackMemory has the device remember of the cloud what it did once.
func (w *world) rollBackMemory(c *citizen) {
	if len(c.saved) == 0 {
		return
	}
	s := c.saved[w.random.IntN(len(c.saved))]
	c.close()
	c.device.cache, c.device.made = maps.Clone(s.cache), s.made
	c.open()
}

// twin has a copy of the data folder used on another computer.
func (w *world) twin(c *citizen) {
	if len(w.devices) == 4 {
		return
	}
	w.join(w.copyOf(c), fmt.Sprint("twin ", len(w.devices)), maps.Clone(c.texts), maps.Clone(c.undo))
}

// arrive has a new device use the cloud.
func (w *world) arrive(c *citizen) {
	if len(w.devices) < 4 {
		w.join(w.keys(c), fmt.Sprint("new ", len(w.devices)), map[string]string{}, nil)
	}
}

// keys returns a new folder with the keys of a device.
func (w *world) keys(c *citizen) string {
	dir := quickDir(w.t)
	if err := os.CopyFS(filepath.Join(dir, "keys"), os.DirFS(filepath.Join(c.dir, "keys"))); err != nil {
		w.t.Fatal(err)
	}
	return dir
}

// lose has a device lose its data folder, but for the keys.
func (w *world) lose(c *citizen) {
	dir := w.keys(c)
	c.close()
	c.dir, c.texts, c.undo, c.saved = dir, map[string]string{}, nil, nil
	c.device = &device{house: c.house, cache: map[string][]byte{}}
	c.open()
}

// check has all backups be there that were made, and restore to their moments.
func (w *world) check(c *citizen) {
	w.t.Helper()
	list := c.list()
	var ids []string
	for _, b := range list {
		ids = append(ids, b.ID)
	}
	slices.Sort(ids)
	if want := slices.Sorted(maps.Keys(w.moments)); !slices.Equal(ids, want) {
		w.t.Errorf("listed are %v, want %v", ids, want)
	}
	for _, b := range list {
		w.restoreTo(c, b)
	}
	c.verify()
}
