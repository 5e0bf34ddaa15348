package cloud_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/fault"
	"cairn/internal/cloud"
	"cairn/test/stores"
)

var (
	late    = fault.Outcome{Effect: fault.Late}
	refused = fault.Outcome{Effect: fault.Fail, Err: bucket.ErrRefused}
	full    = fault.Outcome{Effect: fault.Fail, Err: bucket.ErrFull}
)

// inTurn has the calls of an operation with a prefix end one after the other;
// the last outcome is that of all behind it.
func inTurn(op fault.Op, prefix string, outcomes ...fault.Outcome) func(fault.Call) fault.Outcome {
	return func(c fault.Call) fault.Outcome {
		if c.Op != op || !strings.HasPrefix(c.Name, prefix) {
			return fault.Outcome{}
		}
		outcome := outcomes[0]
		outcomes = outcomes[min(1, len(outcomes)-1):]
		return outcome
	}
}

// outcomes are those of requests that the store carries out later, or never.
var outcomes = []struct {
	name     string
	of       []fault.Outcome
	code     cairn.Code
	answered bool // each time
}{
	{"no answer", []fault.Outcome{late}, cairn.CodeCloudLost, false},
	{"no answer, then refused", []fault.Outcome{late, refused}, cairn.CodeDenied, false},
	{"no answer, then full", []fault.Outcome{late, full}, cairn.CodeDiskFull, false},
	{"refused", []fault.Outcome{refused}, cairn.CodeDenied, true},
	{"full", []fault.Outcome{full}, cairn.CodeDiskFull, true},
}

// checkUnknown checks that an error says so when the store may carry out later
// what failed, and else does not.
func checkUnknown(t *testing.T, err error, code cairn.Code, unknown bool, object string) {
	t.Helper()
	wantError(t, err, code, object)
	e, _ := errors.AsType[*cairn.Error](err)
	if e == nil || errors.Is(err, bucket.ErrUnknown) != unknown || strings.Contains(e.Message, "is not known") != unknown || strings.Contains(e.Hint, "cairn backup list") != unknown {
		t.Errorf("%#v (%v) says that the outcome is unknown: %t, want %t", e, err, !unknown, unknown)
	}
}

// TestCommitLate has manifests stored after Commit has given up: only if it said
// that this may happen.
func TestCommitLate(t *testing.T) {
	for _, test := range outcomes {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := stores.New(t)
				faulty := fault.New(inner, inTurn(fault.Put, "backups/", test.of...))
				c := newDevice(t, bucket.Retry(faulty, bucket.Policy{})).open(t)
				m := manifest(c, 1)
				_, err := c.Commit(t.Context(), m, c.Fresh())
				checkUnknown(t, err, test.code, !test.answered, objectOf(m.ID))
				checkList(t, c, nil, nil)
				faulty.Land(t.Context())
				if there := has(t, inner, m.ID); there == test.answered {
					t.Errorf("after %v the manifest is there: %t", err, there)
				}
				if got, err := c.Manifest(t.Context(), m.ID); err == nil {
					checkList(t, c, []cairn.Backup{got.Backup}, nil)
				} else if !test.answered {
					t.Errorf("what was stored later cannot be read: %v", err)
				}
			})
		})
	}
}

// TestCommitExistsUnreadable has a store that took the manifest, says to a second
// request that it exists, and then nothing more: it may be ours.
func TestCommitExistsUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := stores.New(t)
		d := newDevice(t, inner)
		d.open(t)
		d.Bucket = fault.New(inner, func(c fault.Call) fault.Outcome {
			switch {
			case c.Op == fault.Put:
				return fault.Outcome{Effect: fault.Lost, Err: bucket.ErrExists}
			case c.Op == fault.Get && strings.HasPrefix(c.Name, "backups/"):
				return fault.Outcome{Effect: fault.Fail}
			}
			return fault.Outcome{}
		})
		c := d.open(t)
		m := manifest(c, 1)
		_, err := c.Commit(t.Context(), m, c.Fresh())
		checkUnknown(t, err, cairn.CodeCloudLost, true, objectOf(m.ID))
	})
}

// TestDeleteLate has manifests deleted after Delete has given up.
func TestDeleteLate(t *testing.T) {
	for _, test := range outcomes {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := stores.New(t)
				faulty := fault.New(inner, inTurn(fault.Delete, "", test.of...))
				d := newDevice(t, bucket.Retry(faulty, bucket.Policy{}))
				d.Cache = &cache{}
				c := d.open(t)
				b := commit(t, c, 1)
				err := c.Delete(t.Context(), b.ID)
				checkUnknown(t, err, test.code, !test.answered, objectOf(b.ID))
				checkList(t, c, []cairn.Backup{b}, nil)
				faulty.Land(t.Context())
				if there := has(t, inner, b.ID); there != test.answered {
					t.Errorf("after %v the manifest is there: %t", err, there)
				}
				if test.answered {
					checkList(t, c, []cairn.Backup{b}, nil)
				} else {
					checkList(t, c, nil, nil)
				}
			})
		})
	}
	// Without the wrapper that tries again, too.
	faulty := fault.New(stores.New(t), inTurn(fault.Delete, "", late))
	c := newDevice(t, faulty).open(t)
	b := commit(t, c, 1)
	checkUnknown(t, c.Delete(t.Context(), b.ID), cairn.CodeCloudLost, true, objectOf(b.ID))
}

// TestDeleteTrash has the copy in the trash fail: the backup is there, and that
// is known.
func TestDeleteTrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newDevice(t, fault.New(stores.New(t), inTurn(fault.Put, "trash/", late))).open(t)
		b := commit(t, c, 1)
		err := c.Delete(t.Context(), b.ID)
		wantError(t, err, cairn.CodeCloudLost, "trash/")
		if strings.Contains(err.Error(), "is not known.") {
			t.Errorf("%v says that it may be deleted", err)
		}
		checkList(t, c, []cairn.Backup{b}, nil)
	})
}

// TestOpenLate has cairn.json stored after Open has given up: its key is there.
func TestOpenLate(t *testing.T) {
	for _, test := range outcomes {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := stores.New(t)
				faulty := fault.New(inner, inTurn(fault.Put, "", test.of...))
				d := newDevice(t, bucket.Retry(faulty, bucket.Policy{}))
				_, err := cloud.Open(t.Context(), d.Config)
				wantError(t, err, test.code, "cairn.json")
				files := d.keyFiles(t)
				if len(files) == 0 != test.answered {
					t.Errorf("after %v the key files are %q", err, files)
				}
				faulty.Land(t.Context())
				d.Bucket = inner
				if c := d.open(t); !test.answered && !slices.Contains(files, c.ID()) {
					t.Errorf("the cloud is %s, and the key files were %q", c.ID(), files)
				}
			})
		})
	}
}
