package backup_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/test/stores"
)

// TestUndelete deletes a backup, brings it back on another device, and restores it.
func TestUndelete(t *testing.T) {
	h := newHouse(t, stores.New(t))
	h.fill(20, 500)
	want := h.documents()
	b := h.create()
	h.apply(deletion("doc-00001"), doc("new", "", 10))
	some, err := h.engine.CreateFrom(t.Context(), h.engine.NewBackup(cairn.ScopeAssets), chosen(nil, doc("one", "", 10)), ignore)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{b.ID, some.ID} {
		if err := h.engine.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if list := h.list(); len(list) > 0 {
		t.Errorf("listed are %v", list)
	}
	n := h.neighbour()
	deleted, err := n.engine.Deleted(t.Context())
	if err != nil || len(deleted) != 2 || deleted[0].Backup != some || deleted[1].Backup != b {
		t.Errorf("deleted are %v, %v, want %v and %v", deleted, err, some, b)
	}
	var steps []cairn.PruneProgress
	pruned, err := n.engine.Prune(t.Context(), false, func(p cairn.PruneProgress) { steps = append(steps, p) })
	if err != nil || pruned.Backups != 2 || pruned.Live.Objects < 2 || pruned.Dead.Objects+pruned.Young.Objects > 0 || len(steps) == 0 {
		t.Errorf("prune: %+v, %v after %v", pruned, err, steps)
	}
	if back, err := n.engine.Undelete(t.Context(), b.ID); err != nil || back != b {
		t.Fatalf("Undelete: %v, %v", back, err)
	}
	if back, err := n.engine.Undelete(t.Context(), some.ID); err != nil || back != some {
		t.Fatalf("Undelete: %v, %v", back, err)
	}
	if list := h.list(); len(list) != 1 || list[0] != b {
		t.Errorf("listed are %v", list)
	}
	h.restore(b.ID)
	if diff := cmp.Diff(want, h.documents()); diff != "" {
		t.Errorf("what came back (-want +got):\n%s", diff)
	}
	if _, err := h.engine.Undelete(t.Context(), "0.1.0_20260101T000000.000000000Z"); cairn.CodeOf(err) != cairn.CodeBackupNotFound {
		t.Errorf("bringing back what never was: %v", err)
	}
}
