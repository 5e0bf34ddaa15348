package client_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"cairn"
	"cairn/api"
	"cairn/internal/httpapi"
)

func (f *cloud) Undelete(_ context.Context, id string) (cairn.Backup, error) {
	f.ask("undelete %s", id)
	return f.backup, nil
}

func (f *cloud) Deleted(context.Context) ([]cairn.DeletedBackup, error) {
	return []cairn.DeletedBackup{{Backup: f.backup, Deleted: f.backup.Created, Until: f.backup.Created.Add(time.Hour)}}, nil
}

func (f *cloud) Prune(_ context.Context, dry bool, report func(cairn.PruneProgress)) (cairn.Pruned, error) {
	f.ask("prune dry=%t", dry)
	report(cairn.PruneProgress{Step: cairn.PruneDeleting, Done: 1, Total: 3})
	err := error(nil)
	if !dry {
		err = &cairn.Error{Code: cairn.CodeDenied, Message: "It must not.", Hint: "Allow it."}
	}
	return cairn.Pruned{DryRun: dry, Dead: cairn.Count{Objects: 3, Bytes: 5}}, err
}

// TestPrune prunes, and follows that to its end.
func TestPrune(t *testing.T) {
	f := &cloud{backup: cairn.Backup{ID: "b"}}
	c := serve(t, f, jobs{f}, httpapi.Config{})
	for _, dry := range []bool{true, false} {
		var last api.PruneProgress
		for p, err := range c.Prune(t.Context(), dry) {
			if err != nil {
				t.Fatal(err)
			}
			last = p
		}
		if last.Result == nil || last.Result.Dead.Objects != 3 || last.Result.DryRun != dry {
			t.Errorf("the result is %+v", last.Result)
		}
		if code := cairn.CodeOf(last.Err()); dry && code != "" || !dry && code != cairn.CodeDenied {
			t.Errorf("dry=%t: %v", dry, last.Err())
		}
	}
	if b, err := c.UndeleteBackup(t.Context(), "x"); err != nil || b.ID != "b" {
		t.Errorf("UndeleteBackup: %+v, %v", b, err)
	}
	list, err := c.DeletedBackups(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != "b" || list[0].Until.Value <= list[0].Deleted.Value {
		t.Errorf("DeletedBackups: %+v, %v", list, err)
	}
	want := []string{"prune dry=true", "prune dry=false", "undelete x"}
	for i, asked := range f.asked {
		if len(f.asked) != len(want) || asked != want[i] {
			t.Errorf("asked %q, want %q", f.asked, want)
		}
	}
}

// TestPruneStranger has something else answer.
func TestPruneStranger(t *testing.T) {
	for name, answer := range map[string]string{
		"no status":  `{"step":"listing"}`,
		"no result":  `{"status":"COMPLETED"}`,
		"no end":     `{"status":"IN-PROGRESS"}`,
		"no JSON":    `<html>`,
		"no content": ``,
	} {
		t.Run(name, func(t *testing.T) {
			c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", api.NDJSON)
				_, _ = io.WriteString(w, answer)
			})
			var last error
			for _, err := range c.Prune(t.Context(), false) {
				last = err
			}
			if last == nil {
				t.Error("there is no error")
			}
		})
	}
}
