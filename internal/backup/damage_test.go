package backup_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cairn"
	"cairn/test/stores"
)

// A victim is a house whose live database must survive what is tried with it.
type victim struct {
	*house
	stats   cairn.Stats
	current string
	files   []string
}

// watch remembers what a house is like.
func watch(h *house) victim {
	h.t.Helper()
	return victim{h, h.db.Stats(), h.currentText(), h.files()}
}

// currentText returns the content of CURRENT.
func (h *house) currentText() string {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.dir, "CURRENT"))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

// checkUntouched compares it with what it was.
func (v victim) checkUntouched(what string) {
	v.t.Helper()
	if got := v.db.Stats(); got != v.stats {
		v.t.Errorf("%s: the live database has the numbers %+v, want %+v", what, got, v.stats)
	}
	if got := v.currentText(); got != v.current {
		v.t.Errorf("%s: CURRENT is %s, want %s", what, got, v.current)
	}
	if got := v.house.files(); !slices.Equal(got, v.files) {
		v.t.Errorf("%s: the data folder holds %v, want %v", what, got, v.files)
	}
}

// checkRefused restores a backup, which must fail with one of the codes and name
// the object.
func (v victim) checkRefused(what, id, object string, codes ...cairn.Code) {
	v.t.Helper()
	_, err := v.engine.Restore(v.t.Context(), "job", id, ignore)
	if !slices.Contains(codes, cairn.CodeOf(err)) {
		v.t.Errorf("%s: got %v of code %q, want one of %v", what, err, cairn.CodeOf(err), codes)
	} else if !strings.Contains(err.Error(), object) {
		v.t.Errorf("%s: the error does not name %s: %v", what, object, err)
	}
	v.checkUntouched(what)
}

// A damage is what can happen to an object; nil bytes mean that it is gone.
type damage struct {
	what string
	data []byte
}

// damages returns flipped bytes at the beginning, in the middle, at the end and
// at so many other places, and other lengths.
func damages(chosen sample, data []byte, others int) (all []damage) {
	n := len(data)
	places := []int{0, n / 2, n - 1}
	for range others {
		if i := chosen.IntN(n); chosen.has(100) {
			places = append(places, i)
		}
	}
	for _, i := range places {
		flipped := bytes.Clone(data)
		flipped[i] ^= byte(1 + chosen.IntN(255))
		all = append(all, damage{fmt.Sprintf("byte %d of %d is %#x instead of %#x", i, n, flipped[i], data[i]), flipped})
	}
	return append(all,
		damage{"missing", nil},
		damage{"empty", []byte{}},
		damage{"cut off by a byte", data[:n-1]},
		damage{"cut in half", data[:n/2]},
		damage{"a byte longer", append(bytes.Clone(data), 0)},
		damage{"twice", append(bytes.Clone(data), data...)},
	)
}

// byHand is a backup of several small parts.
func byHand() [][][]cairn.Document {
	return [][][]cairn.Document{
		{{at(1, doc("a", "one", 300)), at(2, doc("b", "two", 300))}, {at(3, doc("c", "three", 300))}, {at(7, doc("d", "four", 300))}},
		{{at(8, doc("a", "new", 300)), at(9, deletion("c"))}},
	}
}

// TestDamage has every byte of a sample, and every other damage, found in every
// object of a backup, before the live database is touched.
func TestDamage(t *testing.T) {
	chosen := newSample(t)
	for _, test := range []struct {
		name   string
		others int
		make   func(*house) cairn.Backup
	}{
		{"small parts by hand", 60, func(h *house) cairn.Backup {
			_, stats := folded(byHand())
			return h.commit(stats, byHand(), nil)
		}},
		{"created", 0, func(h *house) cairn.Backup {
			h.apply(large().documents...)
			return h.create()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := stores.New(t)
			h := newHouse(t, store)
			b := test.make(h)
			h.apply(doc("live", "in no backup", 100), deletion("a"))
			v := watch(h)
			all := objects(t, store)
			if len(named(all, "parts/")) < 2 || len(named(all, "indexes/")) != 1 {
				t.Fatalf("the objects are %v", named(all, ""))
			}
			for _, name := range named(all, "") {
				data := all[name]
				for _, d := range damages(chosen, []byte(data), test.others) {
					if err := store.Delete(t.Context(), name); err != nil {
						t.Fatal(err)
					}
					if d.data != nil {
						put(t, store, name, string(d.data))
					}
					v.checkDamage(name, d, b.ID)
				}
				put(t, store, name, data)
			}
			if d := h.verify(); d != v.stats.Digest {
				t.Errorf("the live database has the digest %s, want %s", d, v.stats.Digest)
			}
			h.restore(b.ID)
			if d := h.verify(); d != b.Digest {
				t.Errorf("undamaged, the backup restores to %s, want %s", d, b.Digest)
			}
		})
	}
}

// checkDamage restores a backup one of whose objects is damaged, through a cloud
// that is open and, where that reads the object, through one that is opened.
func (v victim) checkDamage(name string, d damage, id string) {
	v.t.Helper()
	what := name + " is damaged: " + d.what
	switch {
	case name == manifestOf(id) && d.data == nil:
		v.checkRefused(what, id, id, cairn.CodeBackupNotFound)
	case name != "cairn.json":
		v.checkRefused(what, id, name, cairn.CodeDamaged)
	default:
		codes := []cairn.Code{cairn.CodeDamaged}
		if rest, ok := bytes.CutPrefix(d.data, []byte(`{"format":`)); ok && len(rest) > 0 && rest[0] != '1' {
			codes = append(codes, cairn.CodeFormatTooNew) // the format is read first
		}
		v.checkRefused(what, id, name, codes...)
		open := v.engine
		v.engine = v.newEngine()
		v.checkRefused(what+", opened anew", id, name, codes...)
		v.engine = open
	}
}

// TestMixUps has objects in the place of others.
func TestMixUps(t *testing.T) {
	store := stores.New(t)
	h := newHouse(t, store)
	_, stats := folded(byHand())
	b := h.commit(stats, byHand(), nil)
	first := objects(t, store)
	part, index := named(first, "parts/"), named(first, "indexes/")[0]
	longer := append(byHand(), [][]cairn.Document{{at(12, doc("e", "five", 300))}})
	_, stats = folded(longer)
	other := h.commit(stats, longer, nil)
	h.apply(doc("live", "in no backup", 100))
	v := watch(h)
	own := objects(t, store)

	foreignStore := stores.New(t)
	foreigner := newHouse(t, foreignStore)
	foreigner.commit(stats, longer, nil)
	foreign := objects(t, foreignStore)

	indexes := named(own, "indexes/")
	recipient := func(text string) string {
		_, rest, _ := strings.Cut(text, `"recipient":"`)
		key, _, _ := strings.Cut(rest, `"`)
		return key
	}
	for _, test := range []struct {
		name   string
		change map[string]string
		id     string
		object string
		code   cairn.Code
	}{
		{"two parts exchanged", map[string]string{part[0]: own[part[1]], part[1]: own[part[0]]}, b.ID, "parts/", cairn.CodeDamaged},
		{"a part of another cloud", map[string]string{part[2]: foreign[named(foreign, "parts/")[2]]}, b.ID, "parts/", cairn.CodeDamaged},
		{"an index of another cloud", map[string]string{index: foreign[named(foreign, "indexes/")[0]]}, b.ID, index, cairn.CodeDamaged},
		{"an index of another backup", map[string]string{indexes[0]: own[indexes[1]], indexes[1]: own[indexes[0]]}, b.ID, index, cairn.CodeDamaged},
		{"a manifest of another cloud", map[string]string{manifestOf(b.ID): foreign[named(foreign, "backups/")[0]]}, b.ID, manifestOf(b.ID), cairn.CodeDamaged},
		{"a manifest of another backup", map[string]string{manifestOf(b.ID): own[manifestOf(other.ID)]}, b.ID, manifestOf(b.ID), cairn.CodeDamaged},
		{"a manifest under another id", map[string]string{manifestOf("0.1.0_20260101T000000.000000001Z"): own[manifestOf(b.ID)]}, "0.1.0_20260101T000000.000000001Z", manifestOf("0.1.0_20260101T000000.000000001Z"), cairn.CodeDamaged},
		{"a foreign recipient", map[string]string{"cairn.json": strings.Replace(own["cairn.json"], recipient(own["cairn.json"]), recipient(foreign["cairn.json"]), 1)}, b.ID, "cairn.json", cairn.CodeDamaged},
		{"another cloud", map[string]string{"cairn.json": foreign["cairn.json"]}, b.ID, "cairn.json", cairn.CodeBucketMissing},
	} {
		for name, data := range test.change {
			if data == own[name] || data == "" {
				t.Fatalf("%s: %s is not another object", test.name, name)
			}
			put(t, store, name, data)
		}
		v.checkRefused(test.name, test.id, test.object, test.code)
		for name := range objects(t, store) {
			if own[name] == "" {
				if err := store.Delete(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			} else {
				put(t, store, name, own[name])
			}
		}
	}
	for _, id := range []string{b.ID, other.ID} {
		h.restore(id)
		h.verify()
	}
}

// TestDamagedManifestIsNotListed has one that cannot be read named, and the
// others listed.
func TestDamagedManifestIsNotListed(t *testing.T) {
	store := stores.New(t)
	h := newHouse(t, store)
	h.apply(doc("a", "", 10))
	good, bad := h.create(), h.create()
	put(t, store, manifestOf(bad.ID), "age-encryption.org/v1\n")
	list, err := h.engine.List(t.Context())
	if err != nil || len(list) != 1 || list[0] != good {
		t.Errorf("listed are %v, %v; want %v", list, err, good)
	}
	st := h.engine.Cloud(t.Context())
	if st.State != cairn.CloudReady || len(st.Unreadable) != 1 || st.Unreadable[0].Name != manifestOf(bad.ID) || st.Unreadable[0].Problem == nil {
		t.Errorf("the status is %+v", st)
	}
	if err := h.engine.Delete(t.Context(), bad.ID); err != nil {
		t.Error(err)
	}
	if list := h.list(); len(list) != 1 {
		t.Errorf("listed are %v", list)
	}
}

// TestDamagedDatabase has a bit of a document, or of the hash beside it, flip in
// the database file: no backup is made of it, and one of before heals it.
func TestDamagedDatabase(t *testing.T) {
	victim := doc("victim", "sound", 100)
	hash := cairn.ContentHash(victim.JSON)
	for name, test := range map[string]struct {
		where []byte
		known bool // the document is in the backup of before, of which nothing is read
	}{
		"text":             {[]byte("victim sound"), true},
		"hash":             {hash[:], true},
		"text of a change": {[]byte("victim sound"), false},
		"hash of a change": {hash[:], false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, stores.New(t))
			h.apply(large().documents...)
			if test.known {
				h.apply(victim)
			}
			b := h.create()
			if test.known {
				h.unbase()
			} else {
				h.apply(victim)
			}
			path := h.db.Path()
			h.close()
			flipAt(t, path, test.where)
			h.open()
			_, err := h.engine.Create(t.Context(), h.engine.NewBackup(cairn.ScopeAll), ignore)
			if cairn.CodeOf(err) != cairn.CodeDamaged || !strings.Contains(err.Error(), path) {
				t.Errorf("creating returned %v, want %q and the name of %s", err, cairn.CodeDamaged, path)
			}
			if list := h.list(); len(list) != 1 || list[0] != b {
				t.Errorf("listed are %v, want only %v", list, b)
			}
			h.checkTidy(false)
			h.restore(b.ID)
			if d := h.verify(); d != b.Digest {
				t.Errorf("restored is %s, want %s", d, b.Digest)
			}
			h.create()
		})
	}
}

// flipAt flips a bit of the bytes that a file holds in one place.
func flipAt(t *testing.T, path string, where []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(data, where)
	if i < 0 {
		t.Fatalf("%q is not in the file", where)
	}
	data[i] ^= 4
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
