package test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
)

// TestPickDuringRestore puts the assets of two backups back, one set after the
// other, while whole databases are restored: each set is written into one database
// or the other, and all of it.
func TestPickDuringRestore(t *testing.T) {
	t.Parallel()
	const assets, restorations = 50, 12
	d := harness.Start(t, harness.Options{})
	c := client.New(harness.NewValidator(t, d.URL).URL)
	ctx := t.Context()
	storeDocuments(t, d, api.DocumentLine{Collection: "base", ID: "b", Document: json.RawMessage(`{"base":true}`)})
	whole, err := c.CreateBackup(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for set := range 2 {
		var all []json.RawMessage
		for i := range assets {
			all = append(all, json.RawMessage(fmt.Sprintf(`{"id":"p%d","set":%d}`, i, set)))
		}
		if err := c.BackUpAssets(ctx, all...); err != nil {
			t.Fatal(err)
		}
	}
	chosen, err := c.AllBackups(ctx, cairn.ScopeAssets)
	if err != nil || len(chosen) != 2 {
		t.Fatalf("the backups of chosen assets are %+v, %v", chosen, err)
	}
	var picked [2]int // sets put back
	var picking sync.WaitGroup
	ended := make(chan struct{})
	picking.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-ended:
				return
			default:
			}
			for line, err := range c.RestoreAllDocuments(ctx, chosen[n%2].ID) {
				if err != nil {
					t.Errorf("after %v sets: %v", picked, err)
					return
				}
				if line.Restored != nil && line.Restored.Total() == assets {
					picked[n%2]++
				}
			}
		}
	})
	for range restorations {
		if _, err := c.RestoreBackup(ctx, whole.ID); err != nil {
			t.Error(err)
		}
	}
	close(ended)
	picking.Wait()
	t.Logf("the sets were put back %v times during %d restorations", picked, restorations)
	if picked[0] == 0 || picked[1] == 0 {
		t.Errorf("the sets were put back %v times only", picked)
	}
	for _, database := range []string{"the restored database", "the one before"} {
		sets := map[string]int{}
		for name, stored := range storedDocuments(t, d) {
			if strings.HasPrefix(name, "assets/") {
				sets[stored.text[strings.Index(stored.text, `"set":`):]]++
			}
		}
		for set, n := range sets {
			if n != assets {
				t.Errorf("%s has %d assets of %s", database, n, set)
			}
		}
		if len(sets) > 1 || storedDocuments(t, d)["base/b"].text != `{"base":true}` {
			t.Errorf("%s has %v, and the base %+v", database, sets, storedDocuments(t, d)["base/b"])
		}
		if err := c.UndoRestore(ctx); err != nil {
			t.Error(err)
		}
	}
	for line, err := range c.RestoreAllDocuments(ctx, chosen[0].ID) {
		if err != nil || line.Restored != nil && line.Restored.Total() != assets {
			t.Errorf("in the end: %+v, %v", line, err)
		}
	}
	if all := storedDocuments(t, d); len(all) != assets+1 || !strings.HasSuffix(all["assets/p7"].text, `"set":1}`) {
		t.Errorf("in the end there are %d documents, and one is %+v", len(all), all["assets/p7"])
	}
}
