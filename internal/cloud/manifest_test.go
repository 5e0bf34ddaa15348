package cloud_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"cairn"
	"cairn/internal/cloud"
	"cairn/internal/segment"
	"cairn/test/stores"
)

func TestManifestRoundTrip(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	m := manifest(c, 1)
	committed := commit(t, c, 1)
	m.Segments = nil

	want := m.Backup
	want.Bytes = 301 + int64(len(get(t, b, objectOf(want.ID))))
	if diff := cmp.Diff(want, committed, cmpopts.EquateComparable(cairn.Digest{})); diff != "" {
		t.Errorf("Commit (-want +got):\n%s", diff)
	}
	got, err := c.Manifest(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Backup, cmpopts.EquateComparable(cairn.Digest{})); diff != "" {
		t.Errorf("Manifest (-want +got):\n%s", diff)
	}
	if len(got.Segments) != 1 || got.Segments[0].Part == nil {
		t.Errorf("the segments are %+v", got.Segments)
	}
	checkList(t, c, []cairn.Backup{want}, nil)
}

// segmentsOf returns segments that hold nothing in particular.
func segmentsOf(t *testing.T, c *cloud.Cloud) []segment.Segment {
	t.Helper()
	one := func(from, to int64) segment.Part {
		return segment.Part{
			Object: segment.Object{Name: c.PartName(), Size: 500},
			From:   from, To: to, Documents: to - from, Plain: 100 * (to - from),
		}
	}
	several, err := segment.Join([]segment.Part{one(0, 10), one(10, 20)})
	if err != nil {
		t.Fatal(err)
	}
	several.Index = &segment.Object{Name: c.IndexName(), Size: 70}
	several.Stored += 70
	single, err := segment.Join([]segment.Part{one(25, 30)})
	if err != nil {
		t.Fatal(err)
	}
	return []segment.Segment{several, {From: 20, To: 25}, single}
}

func TestManifestOfSeveralSegments(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	m := manifest(c, 1)
	m.Segments = segmentsOf(t, c)
	m.Revision, m.Documents, m.DeviceName = 30, 22, "\xff\x00\n\u2028 <&>"
	committed, err := c.Commit(t.Context(), m, c.Fresh())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := committed.Bytes, 1000+70+500+int64(len(get(t, b, objectOf(m.ID)))); got != want {
		t.Errorf("Bytes is %d, want %d", got, want)
	}
	got, err := c.Manifest(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Backup != committed || got.DeviceName != "\ufffd\x00\n\u2028 <&>" {
		t.Errorf("read %+v, and committed %+v", got.Backup, committed)
	}
	if diff := cmp.Diff(m.Segments, got.Segments); diff != "" {
		t.Errorf("segments (-want +got):\n%s", diff)
	}
}

func TestManifestOfNothing(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	m := manifest(c, 1)
	m.Revision, m.Documents, m.Deletions, m.JSONBytes, m.Segments = 0, 0, 0, 0, nil
	committed, err := c.Commit(t.Context(), m, c.Fresh())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Manifest(t.Context(), m.ID); err != nil || got.Backup != committed || len(got.Segments) != 0 {
		t.Errorf("Manifest: %+v, %v", got, err)
	}
	text := string(decrypt(t, c.Identity(), get(t, b, objectOf(m.ID))))
	if !strings.Contains(text, `"segments":[]`) {
		t.Errorf("%s does not say that there are no segments", text)
	}
}

// edits are what makes a manifest wrong, though its MAC is right.
func edits() map[string]func(all, segment, part map[string]any) {
	type object = map[string]any
	return map[string]func(all, segment, part map[string]any){
		"no format":      func(a, _, _ object) { delete(a, "format") },
		"format 0":       func(a, _, _ object) { a["format"] = 0 },
		"format of text": func(a, _, _ object) { a["format"] = "1" },
		"another id":     func(a, _, _ object) { a["id"] = "0.1.0_20261123T072542.123000009Z" },
		"another backup": func(a, _, _ object) {
			a["id"], a["timestamp"] = "0.1.0_20261123T072542.123000009Z", "20261123T072542.123000009Z"
		},
		"another version":       func(a, _, _ object) { a["version"] = "0.2.0" },
		"another timestamp":     func(a, _, _ object) { a["timestamp"] = "20261123T072542.123000002Z" },
		"another time":          func(a, _, _ object) { a["created"] = "2026-11-23T07:25:43.123Z" },
		"a time without zone":   func(a, _, _ object) { a["created"] = "2026-11-23T07:25:42.123" },
		"no time":               func(a, _, _ object) { delete(a, "created") },
		"no scope":              func(a, _, _ object) { delete(a, "scope") },
		"another scope":         func(a, _, _ object) { a["scope"] = "some" },
		"a short digest":        func(a, _, _ object) { a["digest"] = "00" },
		"a digest of letters":   func(a, _, _ object) { a["digest"] = strings.Repeat("x", 32) },
		"negative revision":     func(a, _, _ object) { a["revision"] = -1 },
		"negative documents":    func(a, _, _ object) { a["documents"] = -1 },
		"negative deletions":    func(a, _, _ object) { a["deletions"] = -1 },
		"negative bytes":        func(a, _, _ object) { a["json_bytes"] = -1 },
		"higher revision":       func(a, _, _ object) { a["revision"] = 11 },
		"more documents":        func(a, _, _ object) { a["documents"] = 2 },
		"more bytes":            func(a, _, _ object) { a["json_bytes"] = 151 },
		"no segments":           func(a, _, _ object) { delete(a, "segments") },
		"segments of text":      func(a, _, _ object) { a["segments"] = "none" },
		"segment from 1":        func(_, s, p object) { s["from"], p["from"] = 1, 1 },
		"segment to 11":         func(_, s, p object) { s["to"], p["to"] = 11, 11 },
		"part of other range":   func(_, _, p object) { p["to"] = 9 },
		"part of other size":    func(_, _, p object) { p["size"] = 5 },
		"part of other count":   func(_, _, p object) { p["documents"] = 2 },
		"no part":               func(_, s, _ object) { delete(s, "part") },
		"two parts in one":      func(_, s, _ object) { s["parts"] = 2 },
		"part in a wrong place": func(_, _, p object) { p["name"] = strings.Replace(p["name"].(string), "parts/", "indexes/", 1) },
		"part above the cloud":  func(_, _, p object) { p["name"] = "../" + p["name"].(string) },
		"part of a short name":  func(_, _, p object) { p["name"] = "parts/ab/ab.jsonl.zst.age" },
		"part in upper case":    func(_, _, p object) { p["name"] = "parts/AB/" + strings.Repeat("AB", 16) + ".jsonl.zst.age" },
		"part in another xx":    func(_, _, p object) { p["name"] = "parts/00/" + strings.Repeat("ab", 16) + ".jsonl.zst.age" },
		"a short SHA-256":       func(_, _, p object) { p["sha256"] = "00" },
		"countless documents": func(a, s, p object) {
			for _, o := range []object{s, p} {
				o["to"], o["documents"] = 1<<40, 1<<39
			}
			a["revision"], a["documents"] = 1<<40, 1<<39
		},
		"the same segment twice": func(a, s, _ object) {
			a["segments"] = []any{s, s}
		},
		"the same part twice": func(a, s, p object) {
			second, part := object{}, object{}
			for k, v := range s {
				second[k] = v
			}
			for k, v := range p {
				part[k] = v
			}
			part["from"], part["to"], second["from"], second["to"], a["revision"] = 10, 20, 10, 20, 20
			second["part"] = part
			a["segments"] = []any{s, second}
		},
		"sums beyond numbers": func(a, _, _ object) {
			half := func(from int, digit string) object {
				name := "indexes/" + digit + digit + "/" + strings.Repeat(digit, 32) + ".jsonl.zst.age"
				return object{
					"from": from, "to": from + 5, "documents": 5, "plain": 500, "parts": 2, "stored": json.Number("9223372036854775807"),
					"index": object{"name": name, "size": 9, "sha256": strings.Repeat("0", 64)},
				}
			}
			a["segments"] = []any{half(0, "1"), half(5, "2")}
		},
	}
}

func TestManifestThatCannotBeTrue(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	m := manifest(c, 1)
	for what, edit := range edits() {
		all := fields(t, c, 1)
		first := all["segments"].([]any)[0].(map[string]any)
		edit(all, first, first["part"].(map[string]any))
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		replace(t, b, objectOf(m.ID), encrypt(t, c.Recipient(), sealed(t, c, m.ID, text)))
		_, err = c.Manifest(t.Context(), m.ID)
		if fault := faultOf(err, cairn.CodeDamaged, objectOf(m.ID)); fault != nil {
			t.Errorf("%s: %v", what, fault)
		}
	}
	// Without an edit it is whole, and a field that is not known is ignored.
	all := fields(t, c, 1)
	all["mood"] = "good"
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, b, objectOf(m.ID), encrypt(t, c.Recipient(), sealed(t, c, m.ID, text)))
	if _, err := c.Manifest(t.Context(), m.ID); err != nil {
		t.Errorf("a whole manifest: %v", err)
	}
}

// TestCommitRefuses checks that no manifest is written that nobody could read.
func TestCommitRefuses(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	for what, edit := range map[string]func(*cloud.Manifest){
		"another id":     func(m *cloud.Manifest) { m.ID = "x" },
		"a path":         func(m *cloud.Manifest) { m.ID = "../" + m.ID },
		"no scope":       func(m *cloud.Manifest) { m.Scope = "" },
		"no segments":    func(m *cloud.Manifest) { m.Segments = nil },
		"a foreign part": func(m *cloud.Manifest) { m.Segments[0].Part.Name = "part" },
		"too long":       func(m *cloud.Manifest) { m.DeviceName = strings.Repeat("x", 4<<20) },
	} {
		m := manifest(c, 1)
		edit(&m)
		if _, err := c.Commit(t.Context(), m, c.Fresh()); cairn.CodeOf(err) != cairn.CodeInternal {
			t.Errorf("%s: Commit: %v", what, err)
		}
	}
	if got := names(t, b); len(got) != 1 {
		t.Errorf("the bucket has %q", got)
	}
}

func TestIDsThatNoBackupHas(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	for _, id := range []string{
		"", ".", "..", "x", "0.1.0", "_20261123T072541.123456789Z", "0.1.0_20261123T072541.123456789", "0.1.0_20261323T072541.123456789Z",
		"0.1.0_20261123T072541.12345678Z", "../0.1.0_20261123T072541.123456789Z", "a/b_20261123T072541.123456789Z", "0.1.0_20261123T072541.123456789Z\n",
		".1_20261123T072541.123456789Z", strings.Repeat("1", 120) + "_20261123T072541.123456789Z", "0.1.0_20261123T072541.123456789Z", // the last is not there
	} {
		_, err := c.Manifest(t.Context(), id)
		if fault := faultOf(err, cairn.CodeBackupNotFound); fault != nil {
			t.Errorf("Manifest(%q): %v", id, fault)
		}
		if fault := faultOf(c.Delete(t.Context(), id), cairn.CodeBackupNotFound); fault != nil {
			t.Errorf("Delete(%q): %v", id, fault)
		}
	}
	put(t, b, "backups/x.json.age", []byte("x"))
	put(t, b, "backups/readme", []byte("x"))
	checkList(t, c, nil, map[string]cairn.Code{"backups/x.json.age": cairn.CodeDamaged, "backups/readme": cairn.CodeDamaged})
}

// TestVersionsInIDs has ids of versions as builds have them.
func TestVersionsInIDs(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	for i, version := range []string{"0.1.0", "v0.1.0-3-g0c0ffee-dirty", "dev", "1_2", "0c0ffee"} {
		m := manifest(c, i)
		m.Version = version
		m.ID, m.Timestamp = cairn.NewBackupID(version, m.Created, 5)
		if _, err := c.Commit(t.Context(), m, c.Fresh()); err != nil {
			t.Errorf("Commit: %v", err)
		}
		if !has(t, b, m.ID) {
			t.Errorf("the manifest of %q is not there", m.ID)
		}
		if got, err := c.Manifest(t.Context(), m.ID); err != nil || got.Version != version {
			t.Errorf("Manifest(%q): %+v, %v", m.ID, got, fmt.Sprint(err))
		}
	}
}
