package cloud_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/cloud"
	"cairn/internal/segment"
	"cairn/test/stores"
)

func TestNames(t *testing.T) {
	c := newDevice(t, stores.New(t)).open(t)
	seen := map[string]bool{}
	for range 100 {
		part, index := c.PartName(), c.IndexName()
		for name, form := range map[string]string{
			part:  `^parts/([0-9a-f]{2})/([0-9a-f]{32})\.jsonl\.zst\.age$`,
			index: `^indexes/([0-9a-f]{2})/([0-9a-f]{32})\.jsonl\.zst\.age$`,
		} {
			m := regexp.MustCompile(form).FindStringSubmatch(name)
			if m == nil || m[1] != m[2][:2] || seen[m[2]] || bucket.ValidateName(name) != nil {
				t.Errorf("a name is %q", name)
			}
			seen[m[2]] = true
		}
	}
}

func TestPut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, inner := faulty(t, on(fault.Put, "", 1, fault.Outcome{Effect: fault.Lost}))
		name := c.PartName()
		if err := c.Put(t.Context(), name, strings.NewReader("content")); err != nil {
			t.Errorf("Put: %v", err)
		}
		if err := c.Put(t.Context(), name, strings.NewReader("content")); err != nil {
			t.Errorf("Put of the same: %v", err)
		}
		wantError(t, c.Put(t.Context(), name, strings.NewReader("another")), cairn.CodeInternal, name)
		if got := string(get(t, inner, name)); got != "content" {
			t.Errorf("the object is %q", got)
		}
		for _, other := range []string{"cairn.json", "backups/x.json.age", "parts/x", "../x", ""} {
			if err := c.Put(t.Context(), other, strings.NewReader("x")); err == nil {
				t.Errorf("Put(%q) worked", other)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Put(ctx, c.PartName(), strings.NewReader("x")); !errors.Is(err, context.Canceled) {
			t.Errorf("Put that was cancelled: %v", err)
		}
	})
}

// TestPutWithoutAnyAnswer leaves a part that nothing names: whether it is there is
// of no account, and not said. Whether a manifest is, decides.
func TestPutWithoutAnyAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := faulty(t, func(fault.Call) fault.Outcome { return fault.Outcome{Effect: fault.Lost} })
		err := c.Put(t.Context(), c.PartName(), strings.NewReader("x"))
		wantError(t, err, cairn.CodeCloudLost)
		if text := err.Error(); !errors.Is(err, bucket.ErrUnknown) || strings.Contains(text, "is not known") {
			t.Errorf("the error of a part is %q", text)
		}
		_, err = c.Commit(t.Context(), manifest(c, 1), c.Fresh())
		wantError(t, err, cairn.CodeCloudLost, "Whether it was done is not known.")
	})
}

func TestRead(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	text := strings.Repeat("0123456789", 100_000)
	name := c.PartName()
	put(t, b, name, []byte(text))
	object := segment.Object{Name: name, Size: int64(len(text))}

	got, err := c.Read(t.Context(), object, nil)
	if err != nil || string(got) != text {
		t.Fatalf("Read: %d bytes, %v", len(got), err)
	}
	again, err := c.Read(t.Context(), object, got)
	if err != nil || string(again) != text {
		t.Fatalf("Read: %d bytes, %v", len(again), err)
	}
	if &again[0] != &got[0] {
		t.Error("Read did not use the memory that it was given")
	}
	for _, test := range []struct {
		size int64
		says string
	}{
		{object.Size - 1, "more than its 999999 bytes"},
		{object.Size + 1, "has 1000000 bytes instead of 1000001"},
		{-1, "should have -1"},
		{1 << 40, "no such object has more"},
	} {
		_, err := c.Read(t.Context(), segment.Object{Name: name, Size: test.size}, nil)
		wantError(t, err, cairn.CodeDamaged, name, test.says)
	}
	missing := c.PartName()
	_, err = c.Read(t.Context(), segment.Object{Name: missing, Size: 1}, nil)
	wantError(t, err, cairn.CodeDamaged, missing, "missing")
	if empty, err := c.Read(t.Context(), segment.Object{Name: missing}, nil); err == nil {
		t.Errorf("Read of a missing object of no size: %q", empty)
	}
}

func TestReadFaults(t *testing.T) {
	for _, test := range []struct {
		name   string
		decide func(fault.Call) fault.Outcome
		code   cairn.Code
	}{
		{"cut twice", on(fault.Get, "parts/", 2, fault.Outcome{Effect: fault.Cut}), ""},
		{"cut always", on(fault.Get, "parts/", always, fault.Outcome{Effect: fault.Cut}), cairn.CodeCloudLost},
		{"cut as streams are", on(fault.Get, "parts/", always, fault.Outcome{Effect: fault.Cut, Err: io.ErrUnexpectedEOF}), cairn.CodeCloudLost},
		{"disk taken away", on(fault.Get, "parts/", 1, fault.Outcome{Effect: fault.Cut, Err: bucket.ErrMissing}), cairn.CodeBucketMissing},
		{"refused", on(fault.Get, "parts/", 1, fault.Outcome{Effect: fault.Fail, Err: bucket.ErrRefused}), cairn.CodeDenied},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, inner := faulty(t, test.decide)
				name := c.PartName()
				put(t, inner, name, []byte("0123456789"))
				got, err := c.Read(t.Context(), segment.Object{Name: name, Size: 10}, make([]byte, 5))
				if test.code != "" {
					wantError(t, err, test.code, name)
				} else if err != nil || string(got) != "0123456789" {
					t.Errorf("Read: %q, %v", got, err)
				}
			})
		})
	}
}

// indexed stores the index of a segment of several parts, which are not there.
func indexed(t *testing.T, c *cloud.Cloud, parts []segment.Part) segment.Segment {
	t.Helper()
	s, err := segment.Join(parts)
	if err != nil {
		t.Fatal(err)
	}
	catalog := segment.NewCatalog(t.TempDir(), 1<<20)
	defer catalog.Close()
	var batch segment.Batch
	for i := range s.Documents {
		batch.Add(segment.Row{Collection: "assets", ID: fmt.Sprint(i), Revision: i + 1, Bytes: 2})
	}
	if err := catalog.Add(&batch); err != nil {
		t.Fatal(err)
	}
	var object bytes.Buffer
	index, err := segment.WriteIndex(t.Context(), &object, c.Recipient(), s, parts, catalog)
	if err != nil {
		t.Fatal(err)
	}
	index.Name = c.IndexName()
	s.Index, s.Stored = &index, s.Stored+index.Size
	if err := c.Put(t.Context(), index.Name, bytes.NewReader(object.Bytes())); err != nil {
		t.Fatal(err)
	}
	return s
}

// partsOf returns parts of ten documents each.
func partsOf(c *cloud.Cloud, n int64) []segment.Part {
	var parts []segment.Part
	for i := range n {
		name := c.PartName()
		parts = append(parts, segment.Part{
			Object: segment.Object{Name: name, Size: 500, SHA256: sha256.Sum256([]byte(name))},
			From:   10 * i, To: 10 * (i + 1), Documents: 10, Plain: 1000,
		})
	}
	return parts
}

func TestParts(t *testing.T) {
	c := newDevice(t, stores.New(t)).open(t)
	want := partsOf(c, 30)
	s := indexed(t, c, want)
	got, err := c.Parts(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	single, err := segment.Join(want[:1])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Parts(t.Context(), single); err != nil || !cmp.Equal(got, want[:1]) {
		t.Errorf("the parts of a single one are %+v, %v", got, err)
	}
	if got, err := c.Parts(t.Context(), segment.Segment{From: 3, To: 5}); err != nil || len(got) != 0 {
		t.Errorf("the parts of nothing are %+v, %v", got, err)
	}
}

// TestPartsFaults has an index cut off.
func TestPartsFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice(t, stores.New(t))
		c := d.open(t)
		want, b := partsOf(c, 30), d.Bucket
		s := indexed(t, c, want)
		d.Bucket = fault.New(b, on(fault.Get, "indexes/", 2, fault.Outcome{Effect: fault.Cut}))
		if got, err := d.open(t).Parts(t.Context(), s); err != nil || len(got) != len(want) {
			t.Errorf("parts of an index that is cut off twice: %d, %v", len(got), err)
		}
		d.Bucket = fault.New(b, on(fault.Get, "indexes/", always, fault.Outcome{Effect: fault.Cut}))
		_, err := d.open(t).Parts(t.Context(), s)
		wantError(t, err, cairn.CodeCloudLost, s.Index.Name)
	})
}

func TestDamagedIndex(t *testing.T) {
	b := stores.New(t)
	c := newDevice(t, b).open(t)
	s := indexed(t, c, partsOf(c, 3))
	other := indexed(t, c, partsOf(c, 3))
	foreign := newDevice(t, stores.New(t))
	name := s.Index.Name
	whole := get(t, b, name)
	for what, data := range damages(whole, 0x01) {
		replace(t, b, name, data)
		_, err := c.Parts(t.Context(), s)
		if fault := faultOf(err, cairn.CodeDamaged, name); fault != nil {
			t.Errorf("%s: %v", what, fault)
		}
	}
	replace(t, b, name, get(t, b, other.Index.Name))
	_, err := c.Parts(t.Context(), s)
	wantError(t, err, cairn.CodeDamaged, name)

	// Damage that the manifest agrees with: another key, a name of no part.
	lying := indexed(t, foreign.open(t), partsOf(c, 3))
	replace(t, b, name, get(t, foreign.Bucket, lying.Index.Name))
	lying.Index.Name = name
	_, err = c.Parts(t.Context(), lying)
	wantError(t, err, cairn.CodeDamaged, name, "another key")

	outside, twice := partsOf(c, 3), partsOf(c, 3)
	outside[1].Name = "cairn.json"
	twice[2].Name = twice[0].Name
	for _, parts := range [][]segment.Part{outside, twice} {
		bad := indexed(t, c, parts)
		_, err = c.Parts(t.Context(), bad)
		wantError(t, err, cairn.CodeDamaged, bad.Index.Name, "names an object")
	}

	if err := b.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	_, err = c.Parts(t.Context(), s)
	wantError(t, err, cairn.CodeDamaged, name, "missing")
}

func TestUnreadable(t *testing.T) {
	c := newDevice(t, stores.New(t)).open(t)
	cause := fmt.Errorf("%w: %w", segment.ErrDamaged, errors.New("its SHA-256 is wrong"))
	err := c.Unreadable("parts/x", cause)
	wantError(t, err, cairn.CodeDamaged, "The object parts/x of the cloud mem://user:xxxxx@cloud is damaged: its SHA-256 is wrong.")
	if !errors.Is(err, segment.ErrDamaged) {
		t.Errorf("%v does not wrap its cause", err)
	}
	wantError(t, c.Unreadable("parts/x", segment.ErrKey), cairn.CodeDamaged, "parts/x", "another key")
	wantError(t, c.Unreadable("indexes/x", segment.ErrFormat), cairn.CodeFormatTooNew, "indexes/x")
	// What the object holds is told neither for a failure of this cloud, nor as
	// the bytes that they are.
	invalid := fmt.Errorf("line 2: %w", cairn.ValidateID("a b"))
	wantError(t, c.Unreadable("parts/x", fmt.Errorf("%w: %w", segment.ErrDamaged, invalid)), cairn.CodeDamaged,
		"The object parts/x of the cloud", " is damaged: line 2: ")
	for _, what := range []string{"decrypted", "decompressed", "decrypted and decompressed"} {
		raw := fmt.Errorf("%w: it cannot be %s: unexpected intro: \x04C+\xff", segment.ErrDamaged, what)
		err := c.Unreadable("parts/x", raw)
		wantError(t, err, cairn.CodeDamaged, " is damaged: it cannot be "+what+".")
		if !errors.Is(err, raw) {
			t.Errorf("%v does not wrap its cause", err)
		}
	}
	wantError(t, c.Damaged("parts/y", "it is odd"), cairn.CodeDamaged, "parts/y", "it is odd.")
}
