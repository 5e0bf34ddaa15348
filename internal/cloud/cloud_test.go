package cloud_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/cloud"
	"cairn/internal/keys"
	"cairn/test/stores"
)

func TestOpenMakesACloud(t *testing.T) {
	b := stores.New(t)
	d := newDevice(t, b)
	d.Keys.Dir = filepath.Join(d.Keys.Dir, "keys") // is made
	c := d.open(t)

	if _, err := uuid.Parse(c.ID()); err != nil {
		t.Errorf("ID: %v", err)
	}
	if text := string(get(t, b, "cairn.json")); !strings.Contains(text, `,"grace_seconds":86400,`) {
		t.Errorf("cairn.json is %s, want a grace time of a day", text)
	}
	if got, want := names(t, b), []string{"cairn.json"}; !slices.Equal(got, want) {
		t.Errorf("the bucket has %q, want %q", got, want)
	}
	if got, want := d.keyFiles(t), []string{c.ID()}; !slices.Equal(got, want) {
		t.Errorf("the key files are %q, want %q", got, want)
	}
	path := d.Keys.Path(c.ID())
	stored, err := keys.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if stored.String() != c.Identity().String() {
		t.Error("the stored key is not that of the cloud")
	}
	if info, err := os.Stat(path); err != nil {
		t.Error(err)
	} else if mode := info.Mode().Perm(); mode != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("the key file has mode %v", mode)
	}
	if bytes.Contains(get(t, b, "cairn.json"), []byte("SECRET")) {
		t.Error("cairn.json holds the key")
	}

	again := d.open(t)
	if again.ID() != c.ID() || again.Identity().String() != c.Identity().String() {
		t.Error("a second Open found another cloud")
	}
	if err := again.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
}

func TestOpenWithAKeyOfTheUser(t *testing.T) {
	b := stores.New(t)
	d := newDevice(t, b)
	d.Identity = newKey(t)
	if c := d.open(t); c.Identity().String() != d.Identity.String() {
		t.Error("a new cloud has another key than the one supplied")
	}
	d.Identity = nil
	d.open(t) // with the stored key
}

func TestOpenLooksBeforeItWrites(t *testing.T) {
	made := stores.New(t)
	backup := objectOf(commit(t, newDevice(t, made).open(t), 1).ID)
	part := "parts/ab/ab" + strings.Repeat("0", 30) + ".jsonl.zst.age"
	trash := "trash/0.1.0_20261123T072541.123456789Z." + strings.Repeat("0", 32)
	foreign := func(context.Context) (string, error) { return "Lost & Found", nil }
	many := make([]string, 1500)
	for i := range many {
		many[i] = fmt.Sprintf("photo%04d.jpg", i)
	}
	for _, test := range []struct {
		name    string
		objects []string
		foreign func(context.Context) (string, error)
		known   string
		code    cairn.Code
		says    string
	}{
		{"foreign object", []string{"notes.txt", "zebra"}, nil, "", cairn.CodeNotCloud, `"notes.txt"`},
		{"many foreign objects", many, nil, "", cairn.CodeNotCloud, `"photo0000.jpg"`},
		{"foreign object in a folder of ours", []string{"backups/monday.zip"}, nil, "", cairn.CodeNotCloud, `"backups/monday.zip"`},
		{"no object at all", nil, foreign, "", cairn.CodeNotCloud, `"Lost & Found"`},
		{"a backup", []string{backup}, nil, "", cairn.CodeDamaged, "cairn.json"},
		{"a part beside foreign objects", []string{"README.txt", part}, nil, "", cairn.CodeDamaged, "cairn.json"},
		{"trash", []string{trash}, nil, "", cairn.CodeDamaged, "cairn.json"},
		{"known, nothing", nil, nil, uuid.NewString(), cairn.CodeBucketMissing, "cairn.json"},
		{"known, foreign object", []string{"notes.txt"}, nil, uuid.NewString(), cairn.CodeBucketMissing, "cairn.json"},
		{"known, a backup", []string{backup}, nil, uuid.NewString(), cairn.CodeDamaged, "cairn.json"},
		{"what desktops leave behind", []string{"Thumbs.db", "desktop.ini"}, nil, "", "", ""},
		{"nothing", nil, nil, "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := stores.New(t)
			for _, name := range test.objects {
				err := b.Put(t.Context(), name, strings.NewReader("x"))
				if err != nil && (test.code != "" || !errors.Is(err, bucket.ErrName)) { // a folder has no objects of desktops
					t.Fatal(err)
				}
			}
			d := newDevice(t, b)
			d.Foreign, d.Known = test.foreign, test.known
			_, err := cloud.Open(t.Context(), d.Config)
			if test.code == "" {
				if err != nil {
					t.Errorf("Open: %v", err)
				}
				return
			}
			wantError(t, err, test.code, "mem://user:xxxxx@cloud", test.says)
			if got := len(content(t, b)); got != len(test.objects) {
				t.Errorf("there are %d objects, want %d", got, len(test.objects))
			}
			if files := d.keyFiles(t); len(files) != 0 {
				t.Errorf("key files %q were written", files)
			}
		})
	}
}

// TestOpenWhatIsExpected opens a place where a cloud must be.
func TestOpenWhatIsExpected(t *testing.T) {
	b := stores.New(t)
	d := newDevice(t, b)
	key := newKey(t)
	for name, cfg := range map[string]cloud.Config{
		"expected":               {Expected: true},
		"expected with a key":    {Expected: true, Identity: key},
		"expected by passphrase": {Passphrase: cloud.NewPassphrase("correct horse battery staple")},
	} {
		d.Expected, d.Identity, d.Passphrase = cfg.Expected, cfg.Identity, cfg.Passphrase
		_, err := cloud.Open(t.Context(), d.Config)
		if fault := faultOf(err, cairn.CodeCloudNotFound, "mem://user:xxxxx@cloud", "cairn.json"); fault != nil {
			t.Errorf("%s: %v", name, fault)
		}
		if e, ok := errors.AsType[*cairn.Error](err); !ok || !strings.Contains(e.Hint, "cairn cloud connect URL --create") {
			t.Errorf("%s: %+v does not say how to make one", name, e)
		}
	}
	d.Expected, d.Identity, d.Passphrase = true, key, cloud.Passphrase{}
	if got, files := content(t, b), d.keyFiles(t); len(got) > 0 || len(files) > 0 {
		t.Errorf("%d objects and the key files %q were written", len(got), files)
	}
	made := newDevice(t, b)
	made.Identity = d.Identity
	if want := made.open(t).ID(); d.open(t).ID() != want {
		t.Errorf("it is not the cloud %s, which is there now", want)
	}
}

// TestOpenInsideACloud makes a cloud in a place that is inside of another one.
func TestOpenInsideACloud(t *testing.T) {
	for _, test := range []struct {
		name  string
		outer func(t *testing.T, b bucket.Bucket) bucket.Bucket
		code  cairn.Code
	}{
		{"in a cloud", func(t *testing.T, b bucket.Bucket) bucket.Bucket {
			newDevice(t, b).open(t)
			return b
		}, cairn.CodeNotCloud},
		{"in one of a newer cairn", func(t *testing.T, b bucket.Bucket) bucket.Bucket {
			return describedBy(t, b, `{"format":99}`)
		}, cairn.CodeNotCloud},
		{"beside another cairn.json", func(t *testing.T, b bucket.Bucket) bucket.Bucket {
			return describedBy(t, b, `{"name":"cairn terrier"}`)
		}, ""},
		{"in nothing", func(_ *testing.T, b bucket.Bucket) bucket.Bucket { return b }, ""},
		{"where it may not look", func(_ *testing.T, b bucket.Bucket) bucket.Bucket {
			return failing{b, bucket.ErrRefused}
		}, ""},
		{"where nobody answers", func(_ *testing.T, b bucket.Bucket) bucket.Bucket {
			return failing{b, bucket.ErrUnreachable}
		}, cairn.CodeCloudLost},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := stores.New(t)
			d := newDevice(t, b)
			d.Outer = []cloud.Place{
				{URL: "mem://nothing", Bucket: stores.New(t)},
				{URL: "mem://user:password@outer", Bucket: test.outer(t, stores.New(t))},
			}
			_, err := cloud.Open(t.Context(), d.Config)
			if test.code == "" {
				if err != nil {
					t.Errorf("Open: %v", err)
				}
				d.open(t) // and nobody asks again
				return
			}
			wantError(t, err, test.code, "mem://user:xxxxx@outer", "")
			if got := len(content(t, b)); got != 0 {
				t.Errorf("%d objects were written", got)
			}
			if files := d.keyFiles(t); len(files) != 0 {
				t.Errorf("key files %q were written", files)
			}
		})
	}
}

func describedBy(t *testing.T, b bucket.Bucket, text string) bucket.Bucket {
	t.Helper()
	if err := b.Put(t.Context(), "cairn.json", strings.NewReader(text+"\n")); err != nil {
		t.Fatal(err)
	}
	return b
}

// A failing bucket opens no object.
type failing struct {
	bucket.Bucket
	err error
}

// Get fails.
func (f failing) Get(context.Context, string) (io.ReadCloser, error) { return nil, f.err }

// TestTwoDevicesMakeOneCloud has both find nothing before either writes.
func TestTwoDevicesMakeOneCloud(t *testing.T) {
	b := stores.New(t)
	var looking sync.WaitGroup
	looking.Add(2)
	devices := [2]*device{}
	var ids [2]string
	var wg sync.WaitGroup
	for i := range devices {
		key := newKey(t)
		devices[i] = newDevice(t, b)
		devices[i].Identity = key
		var once sync.Once
		devices[i].Foreign = func(context.Context) (string, error) {
			once.Do(func() { looking.Done(); looking.Wait() })
			return "", nil
		}
		wg.Go(func() {
			c, err := cloud.Open(context.Background(), devices[i].Config)
			if err == nil {
				ids[i] = c.ID()
				return
			}
			// The slower one has the wrong key, which is what it must say.
			if fault := faultOf(err, cairn.CodeKeyWrong, "cairn.json"); fault != nil {
				t.Error(fault)
			}
		})
	}
	wg.Wait()
	if (ids[0] == "") == (ids[1] == "") {
		t.Fatalf("the devices opened %q", ids)
	}
	for i, d := range devices {
		if files := d.keyFiles(t); len(files) != 1 && ids[i] != "" || len(files) != 0 && ids[i] == "" {
			t.Errorf("device %d opened %q and has the key files %q", i, ids[i], files)
		}
	}
}

// TestTwoDevicesWithOneKeyMakeOneCloud is the same with a key that both have.
func TestTwoDevicesWithOneKeyMakeOneCloud(t *testing.T) {
	b, key := stores.New(t), newKey(t)
	first, second := newDevice(t, b), newDevice(t, b)
	first.Identity, second.Identity = key, key
	var id string
	second.Foreign = func(context.Context) (string, error) { // the last look before it writes
		id = first.open(t).ID()
		return "", nil
	}
	if got := second.open(t).ID(); got != id {
		t.Errorf("the devices opened %s and %s", id, got)
	}
	if got, want := second.keyFiles(t), []string{id}; !slices.Equal(got, want) {
		t.Errorf("the slower device has the key files %q, want %q", got, want)
	}
}

// TestOpenFaults has each call of making a cloud fail once, and opens it again
// without faults: it must be whole, and have the key that is stored.
func TestOpenFaults(t *testing.T) {
	calls := fault.New(stores.New(t), nil)
	newDevice(t, calls).open(t)
	if calls.Calls() < 3 {
		t.Fatalf("making a cloud takes %d calls; the test expects to see get, list and put", calls.Calls())
	}
	for n := 1; n <= calls.Calls(); n++ {
		for _, effect := range []fault.Effect{fault.Fail, fault.Lost, fault.Cut} {
			t.Run(fmt.Sprintf("call %d effect %d", n, effect), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					inner := stores.New(t)
					d := newDevice(t, fault.New(inner, func(c fault.Call) fault.Outcome {
						if c.N == n {
							return fault.Outcome{Effect: effect}
						}
						return fault.Outcome{}
					}))
					c, err := cloud.Open(t.Context(), d.Config)
					if err != nil {
						wantError(t, err, cairn.CodeCloudLost, "mem://user:xxxxx@cloud", "cairn.json")
					}
					checkWhole(t, d, inner, c)
				})
			})
		}
	}
}

// TestOpenWithoutAnyAnswer loses the answer of every write, and what could
// settle it.
func TestOpenWithoutAnyAnswer(t *testing.T) {
	for _, settled := range []bool{true, false} {
		t.Run(fmt.Sprintf("settled %t", settled), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := stores.New(t)
				written := false
				d := newDevice(t, fault.New(inner, func(c fault.Call) fault.Outcome {
					if c.Op == fault.Put {
						written = true
					}
					if c.Op == fault.Put || written && !settled {
						return fault.Outcome{Effect: fault.Lost}
					}
					return fault.Outcome{}
				}))
				c, err := cloud.Open(t.Context(), d.Config)
				if (err == nil) != settled {
					t.Fatalf("Open: %v", err)
				}
				if !settled {
					wantError(t, err, cairn.CodeCloudLost, "cairn.json")
					if !errors.Is(err, bucket.ErrUnknown) {
						t.Errorf("%v does not say that the outcome is unknown", err)
					}
				}
				if got := d.keyFiles(t); len(got) != 1 {
					t.Errorf("the key files are %q, want the one of the cloud that may be there", got)
				}
				checkWhole(t, d, inner, c)
			})
		})
	}
}

// TestOpenAnsweredByAPage has a page of a proxy come in place of the answer that
// cairn.json was stored: the cloud may be there, or come to be there, so its key
// stays.
func TestOpenAnsweredByAPage(t *testing.T) {
	for name, stored := range map[string]bool{"stored, and cannot be read": true, "not stored yet": false} {
		t.Run(name, func(t *testing.T) {
			inner := stores.New(t)
			written := false
			d := newDevice(t, fault.New(inner, func(c fault.Call) fault.Outcome {
				written = written || c.Op == fault.Put
				switch {
				case written && stored:
					return fault.Outcome{Effect: fault.Lost, Err: bucket.ErrNotStore}
				case c.Op == fault.Put:
					return fault.Outcome{Effect: fault.Fail, Err: bucket.ErrNotStore}
				}
				return fault.Outcome{}
			}))
			_, err := cloud.Open(t.Context(), d.Config)
			wantError(t, err, cairn.CodeNotStore, "cairn.json")
			if got := d.keyFiles(t); len(got) != 1 {
				t.Errorf("the key files are %q, want the one of the cloud that may be there", got)
			}
			checkWhole(t, d, inner, nil)
		})
	}
}

// checkWhole opens what an Open with faults, which returned c, left behind.
func checkWhole(t *testing.T, d *device, inner bucket.Bucket, c *cloud.Cloud) {
	t.Helper()
	again := newDevice(t, inner)
	again.Keys = d.Keys
	opened := again.open(t)
	if c != nil && opened.ID() != c.ID() {
		t.Errorf("the cloud is %s, and was %s", opened.ID(), c.ID())
	}
	if got := names(t, inner); !slices.Equal(got, []string{"cairn.json"}) {
		t.Errorf("the bucket has %q", got)
	}
	if !slices.Contains(d.keyFiles(t), opened.ID()) {
		t.Errorf("the key files are %q, and the cloud is %s", d.keyFiles(t), opened.ID())
	}
}

// TestOpenRefused checks that a store which surely wrote nothing leaves no key
// file behind.
func TestOpenRefused(t *testing.T) {
	for cause, code := range map[error]cairn.Code{
		bucket.ErrReadOnly: cairn.CodeReadOnly,
		bucket.ErrFull:     cairn.CodeDiskFull,
		bucket.ErrRefused:  cairn.CodeDenied,
		bucket.ErrMissing:  cairn.CodeBucketMissing,
	} {
		d := newDevice(t, fault.New(stores.New(t), func(c fault.Call) fault.Outcome {
			if c.Op == fault.Put {
				return fault.Outcome{Effect: fault.Fail, Err: cause}
			}
			return fault.Outcome{}
		}))
		_, err := cloud.Open(t.Context(), d.Config)
		wantError(t, err, code, "cairn.json", "mem://user:xxxxx@cloud")
		if !errors.Is(err, cause) {
			t.Errorf("%v is not %v", err, cause)
		}
		if files := d.keyFiles(t); len(files) != 0 {
			t.Errorf("%v: key files %q are left", cause, files)
		}
	}
}

func TestOpenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := stores.New(t)
	if _, err := cloud.Open(ctx, newDevice(t, b).Config); !errors.Is(err, context.Canceled) || cairn.CodeOf(err) != cairn.CodeInternal {
		t.Errorf("Open: %v of code %q", err, cairn.CodeOf(err))
	}
	if got := names(t, b); len(got) != 0 {
		t.Errorf("the bucket has %q", got)
	}
}

func TestCheck(t *testing.T) {
	first, second := stores.New(t), stores.New(t)
	d := newDevice(t, first)
	d.Identity = newKey(t)
	c := d.open(t)
	foreign, sameKey := newDevice(t, second), newDevice(t, stores.New(t))
	sameKey.Identity = d.Identity
	foreign.open(t)
	sameKey.open(t)
	whole := get(t, first, "cairn.json")

	for _, test := range []struct {
		name string
		data []byte
		code cairn.Code
	}{
		{"another cloud", get(t, second, "cairn.json"), cairn.CodeBucketMissing},
		{"another cloud of the same key", get(t, sameKey.Bucket, "cairn.json"), cairn.CodeBucketMissing},
		{"damaged id", bytes.Replace(whole, []byte(`"id":"`+c.ID()[:2]), []byte(`"id":"`+flip(c.ID()[:2])), 1), cairn.CodeDamaged},
		{"damaged MAC", flipLast(whole), cairn.CodeDamaged},
		{"newer", bytes.Replace(whole, []byte(`"format":1`), []byte(`"format":2`), 1), cairn.CodeFormatTooNew},
		{"whole", whole, ""},
	} {
		replace(t, first, "cairn.json", test.data)
		if err := c.Check(t.Context()); test.code != "" {
			if fault := faultOf(err, test.code, "cairn.json"); fault != nil {
				t.Errorf("%s: %v", test.name, fault)
			}
		} else if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}

	if err := first.Delete(t.Context(), "cairn.json"); err != nil {
		t.Fatal(err)
	}
	wantError(t, c.Check(t.Context()), cairn.CodeBucketMissing, "cairn.json")
	commit(t, c, 1)
	wantError(t, c.Check(t.Context()), cairn.CodeDamaged, "cairn.json", "missing")
}

// flip changes the first of some hexadecimal digits.
func flip(digits string) string {
	if digits[0] == '0' {
		return "1" + digits[1:]
	}
	return "0" + digits[1:]
}

// flipLast changes the last digit of a MAC.
func flipLast(text []byte) []byte {
	text = bytes.Clone(text)
	text[len(text)-2] ^= 1
	return text
}
