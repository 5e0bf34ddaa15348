package test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"cairn"
	"cairn/api"
)

// TestWritesDuringRestore writes one document after the other while a restoration
// runs. Those that were acknowledged before the swap are gone with the database that
// they went into, and an undo brings each of them back; those that were acknowledged
// after it are in the restored one.
func TestWritesDuringRestore(t *testing.T) {
	t.Parallel()
	eachCloud(t, func(t *testing.T, cloud place) {
		t.Parallel()
		h := newHouse(t, cloud, seededRandom(t))
		backup, whole := h.back(t)
		before := h.writeLate(t, "earlier", 3) // so that revisions tell the two apart
		restored := whole.stats.Revision

		job, err := beginJob(t, h.d.URL, cairn.Restoration, backup)
		if err != nil {
			t.Fatal(err)
		}
		var inOriginal, inRestored []string
		var writing sync.WaitGroup
		writing.Go(func() {
			revision := before
			for n := 0; ; n++ {
				select {
				case <-job.ended:
					return
				default:
				}
				id := fmt.Sprint("during", n)
				got := h.writeLate(t, id, 1)
				switch {
				case got == revision+1 && inRestored == nil:
					inOriginal, revision = append(inOriginal, id), got
				case got == restored+1:
					inRestored, restored = append(inRestored, id), got
				default:
					t.Errorf("%s got the revision %d, after %d, or %d in the restored database", id, got, revision, restored)
					return
				}
			}
		})
		<-job.ended
		writing.Wait()
		inRestored = append(inRestored, "after")
		h.writeLate(t, "after", 1)
		if job.err != nil || job.last.Status != cairn.JobCompleted || len(inOriginal) < 5 {
			t.Fatalf("the restoration ended as %+v, %v; %d documents were written before the swap", job.last, job.err, len(inOriginal))
		}
		t.Logf("%d documents were acknowledged before the swap, %d after it", len(inOriginal), len(inRestored))
		for round, there := range []bool{false, true, false} { // restored, undone, and that undone
			if round > 0 {
				if err := h.c.UndoRestore(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			h.checkLate(t, inOriginal, there)
			h.checkLate(t, inRestored, !there)
			if t.Failed() {
				t.Fatalf("this was after %d undos", round)
			}
		}
		h.stop(t)
		verifyFolder(t, h.data)
	})
}

// writeLate writes documents with ids that begin so, or a single one of that id, and
// returns the revision of the last.
func (h *house) writeLate(t *testing.T, id string, n int) int64 {
	t.Helper()
	var lines []api.DocumentLine
	for i := range n {
		name := id
		if n > 1 {
			name = fmt.Sprint(id, i)
		}
		lines = append(lines, api.DocumentLine{Collection: "late", ID: name, Document: json.RawMessage(`{"late":true}`)})
	}
	written, err := h.c.WriteDocuments(t.Context(), lines)
	if err != nil || written.Added != int64(n) {
		t.Errorf("writing %s: %+v, %v", id, written, err)
	}
	return written.Revision
}

// checkLate has all of the documents be there, or none.
func (h *house) checkLate(t *testing.T, ids []string, there bool) {
	t.Helper()
	for _, id := range ids {
		_, err := h.c.Document(t.Context(), "late", id)
		if (err == nil) != there {
			t.Errorf("%s: %v; it should be there: %t", id, err, there)
		}
	}
}
