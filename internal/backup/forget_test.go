package backup_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/bucket/fault"
	"cairn/test/stores"
)

// createSome makes n backups of different documents, oldest first.
func (h *house) createSome(n int) (ids []string) {
	h.t.Helper()
	for i := range n {
		h.apply(doc("d", fmt.Sprint("text ", i), 10))
		ids = append(ids, h.create().ID)
	}
	return ids
}

// ids returns those of the backups that are listed, oldest first.
func (h *house) ids() (ids []string) {
	h.t.Helper()
	for _, b := range h.list() {
		ids = append(ids, b.ID)
	}
	slices.Sort(ids)
	return ids
}

// forget applies rules.
func (h *house) forget(policy cairn.Retention, o cairn.ForgetOptions) cairn.Forgotten {
	h.t.Helper()
	f, err := h.engine.Forget(h.t.Context(), policy, o)
	if err != nil {
		h.t.Fatal(err)
	}
	return f
}

// split returns the ids of what stays, and of what was removed, oldest first.
func split(f cairn.Forgotten) (kept, removed []string) {
	for _, d := range slices.Backward(f.Decisions) {
		if d.Removed {
			removed = append(removed, d.ID)
		} else {
			kept = append(kept, d.ID)
		}
	}
	return kept, removed
}

func TestForget(t *testing.T) {
	h := newHouse(t, stores.New(t))
	ids := h.createSome(5)
	policy := cairn.Retention{Last: 2}

	dry := h.forget(policy, cairn.ForgetOptions{DryRun: true})
	var decided []string
	for _, d := range slices.Backward(dry.Decisions) {
		decided = append(decided, fmt.Sprint(d.ID, " ", d.Keep, " ", d.Reasons))
	}
	want := []string{ids[0] + " false []", ids[1] + " false []", ids[2] + " false []", ids[3] + " true [last 2 of 2]", ids[4] + " true [last 1 of 2 newest of its line]"}
	if diff := cmp.Diff(want, decided); diff != "" {
		t.Errorf("the decisions (-want +got):\n%s", diff)
	}
	if removed, left := dry.Removed(); removed != 0 || left != 3 {
		t.Errorf("a dry run removes %d and leaves %d, want 0 and 3", removed, left)
	}
	if diff := cmp.Diff(ids, h.ids()); diff != "" {
		t.Errorf("a dry run changes the list (-want +got):\n%s", diff)
	}

	f := h.forget(policy, cairn.ForgetOptions{})
	kept, removed := split(f)
	if diff := cmp.Diff([][]string{ids[3:], ids[:3]}, [][]string{kept, removed}); diff != "" {
		t.Errorf("kept and removed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ids[3:], h.ids()); diff != "" {
		t.Errorf("what is listed (-want +got):\n%s", diff)
	}
	if removed, left := h.forget(policy, cairn.ForgetOptions{}).Removed(); removed != 0 || left != 0 {
		t.Errorf("once more, %d are removed and %d left, want none", removed, left)
	}
	for _, id := range ids[3:] {
		h.restore(id)
	}
}

// TestForgetByTime holds that the times of the device count where the bucket says
// that all came at once.
func TestForgetByTime(t *testing.T) {
	at := time.Now().AddDate(0, 0, -20)
	h := openHouse(t, t.TempDir(), stores.New(t), func(cfg *backup.Config) { cfg.Now = func() time.Time { return at } })
	var ids []string
	for range 4 {
		ids = append(ids, h.createSome(2)...)
		at = at.AddDate(0, 0, 1)
	}
	at = time.Now()
	h.forget(cairn.Retention{Daily: 2}, cairn.ForgetOptions{})
	// The oldest is that by the bucket, where all are of one day.
	if diff := cmp.Diff([]string{ids[0], ids[5], ids[7]}, h.ids()); diff != "" {
		t.Errorf("what is listed (-want +got):\n%s", diff)
	}
}

// elsewhere is a device of another name.
type elsewhere struct {
	backup.Device
	installation, name string
}

func (e elsewhere) Installation() string { return e.installation }
func (e elsewhere) Name() string         { return e.name }

func TestForgetDevices(t *testing.T) {
	h := newHouse(t, stores.New(t))
	own := h.createSome(2)
	other := h.neighbour()
	other.edit = func(cfg *backup.Config) { cfg.Device = elsewhere{cfg.Device, "other", "laptop"} }
	other.engine = other.newEngine()
	others := other.createSome(2)
	chosen, err := h.engine.CreateFrom(t.Context(), h.engine.NewBackup(cairn.ScopeAssets), chosen(nil, doc("one", "", 1)), ignore)
	if err != nil {
		t.Fatal(err)
	}
	policy := cairn.Retention{Last: 1}
	for _, test := range []struct {
		o    cairn.ForgetOptions
		want []string // what is to go
	}{
		{cairn.ForgetOptions{}, own[:1]},
		{cairn.ForgetOptions{Device: "laptop"}, others[:1]},
		{cairn.ForgetOptions{Device: "other"}, others[:1]},
		{cairn.ForgetOptions{AllDevices: true}, []string{own[0], others[0]}},
	} {
		test.o.DryRun = true
		var got []string
		for _, d := range slices.Backward(h.forget(policy, test.o).Decisions) {
			if !d.Keep {
				got = append(got, d.ID)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.o, diff)
		}
	}
	h.forget(policy, cairn.ForgetOptions{AllDevices: true})
	if diff := cmp.Diff([]string{own[1], others[1]}, h.ids()); diff != "" {
		t.Errorf("what is listed (-want +got):\n%s", diff)
	}
	if _, err := h.engine.Backup(t.Context(), chosen.ID); err != nil {
		t.Errorf("the backup of chosen documents: %v", err)
	}
}

func TestForgetRefuses(t *testing.T) {
	h := newHouse(t, stores.New(t))
	ids := h.createSome(2)
	for _, test := range []struct {
		policy cairn.Retention
		o      cairn.ForgetOptions
		want   string
	}{
		{cairn.Retention{}, cairn.ForgetOptions{}, "No rule says which backups to keep, so all stay."},
		{cairn.Retention{Last: -2}, cairn.ForgetOptions{}, "A rule cannot be used: keep-last is -2: it is at least 0 and at most 100000, or -1 for all."},
		{cairn.Retention{Within: cairn.Span{Days: -2}}, cairn.ForgetOptions{}, "A rule cannot be used: keep-within has the number -2: each is at least 0 and at most 100000."},
		{cairn.Retention{Last: 1}, cairn.ForgetOptions{Device: "x", AllDevices: true}, "One device and all of them cannot both be meant."},
		{cairn.Retention{Last: 1}, cairn.ForgetOptions{Device: "x"}, `There is no backup of a device "x".`},
	} {
		_, err := h.engine.Forget(t.Context(), test.policy, test.o)
		e, _ := errors.AsType[*cairn.Error](err)
		if cairn.CodeOf(err) != cairn.CodeInvalid || e.Message != test.want || e.Hint == "" {
			t.Errorf("%+v %+v: %v, want %s", test.policy, test.o, err, test.want)
		}
	}
	if diff := cmp.Diff(ids, h.ids()); diff != "" {
		t.Errorf("what is listed (-want +got):\n%s", diff)
	}
}

// TestForgetFails has the deletion of each backup fail: nothing more is begun, what
// the result says is what is listed, and once more goes on.
func TestForgetFails(t *testing.T) {
	store := stores.New(t)
	var failing string // the backup
	var effect fault.Effect
	h := openHouse(t, t.TempDir(), fault.New(store, func(c fault.Call) fault.Outcome {
		if c.Op == fault.Delete && failing != "" && strings.Contains(c.Name, failing) {
			return fault.Outcome{Effect: effect}
		}
		return fault.Outcome{}
	}), func(cfg *backup.Config) { cfg.Transfers = 1 })
	policy := cairn.Retention{Last: 1}
	for _, effect = range []fault.Effect{fault.Fail, fault.Lost} {
		for i := range 3 {
			h.createSome(4)
			ids := h.ids()
			failing = ids[i]
			f, err := h.engine.Forget(t.Context(), policy, cairn.ForgetOptions{})
			if failed := err != nil; failed != (effect == fault.Fail) {
				t.Errorf("effect %d on %d: %v", effect, i, err)
			}
			if err != nil && !strings.Contains(err.Error(), failing) {
				t.Errorf("the error does not name %s: %v", failing, err)
			}
			failing = ""
			kept, removed := split(f)
			if effect == fault.Fail && len(removed) != i {
				t.Errorf("%d are removed when the deletion of number %d fails", len(removed), i)
			}
			if diff := cmp.Diff(kept, h.ids()); diff != "" {
				t.Errorf("effect %d on %d: what is listed is not what is said to be (-said +listed):\n%s", effect, i, diff)
			}
			h.forget(policy, cairn.ForgetOptions{})
			if diff := cmp.Diff(ids[len(ids)-1:], h.ids()); diff != "" {
				t.Errorf("effect %d on %d, once more (-want +got):\n%s", effect, i, diff)
			}
		}
	}
	ids := append(h.ids(), h.createSome(1)...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.engine.Forget(ctx, policy, cairn.ForgetOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled one: %v", err)
	}
	if diff := cmp.Diff(ids, h.ids()); diff != "" {
		t.Errorf("after a cancelled one (-want +got):\n%s", diff)
	}
}
