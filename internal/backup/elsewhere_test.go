package backup_test

import (
	"os"
	"path/filepath"
	"time"

	"cairn"
)

// checkVerified has every backup that is listed verified with its data.
func checkVerified(h *house) {
	h.t.Helper()
	for _, b := range h.list() {
		v, err := h.engine.Verify(h.t.Context(), b.ID, true, func(cairn.Progress) {})
		if err != nil || len(v.Damaged)+len(v.Unchecked) > 0 {
			h.t.Errorf("%s is verified as %+v, %v", b.ID, v, err)
		}
	}
}

// otherDevice returns another device, which has the key of the cloud and nothing else.
func otherDevice(h *house) *house {
	h.t.Helper()
	dir := quickDir(h.t)
	if err := os.CopyFS(filepath.Join(dir, "keys"), os.DirFS(filepath.Join(h.dir, "keys"))); err != nil {
		h.t.Fatal(err)
	}
	return openHouse(h.t, dir, h.store, sequential)
}

// checkElsewhere has another device verify every backup, and once more when it has
// pruned a day later, in a bubble.
func checkElsewhere(h *house) {
	h.t.Helper()
	other := otherDevice(h)
	defer other.close()
	checkVerified(other)
	time.Sleep(25 * time.Hour)
	if _, err := other.engine.Prune(h.t.Context(), false, func(cairn.PruneProgress) {}); err != nil {
		h.t.Errorf("another device prunes: %v", err)
	}
	checkVerified(other)
}
