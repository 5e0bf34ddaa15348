package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/internal/httpapi"
)

// TestStreamAssetIDs follows the assets of a daemon until it stops.
func TestStreamAssetIDs(t *testing.T) {
	f := &cloud{}
	c, handler := closable(t, f, jobs{f}, httpapi.Config{})
	var lines []api.DocumentLine
	var want []client.AssetChange
	for i := range 1500 { // more than a frame has
		id := fmt.Sprintf("%036d", i)
		lines = append(lines, api.DocumentLine{Collection: cairn.CollectionAssets, ID: id, Document: json.RawMessage(`{"formats":{"iterable":[]}}`)})
		want = append(want, client.AssetChange{ID: id})
	}
	if _, err := c.WriteDocuments(t.Context(), lines); err != nil {
		t.Fatal(err)
	}
	more := lines[0]
	more.ID = "later"
	want = append(want, client.AssetChange{ID: "later"}, client.AssetChange{ID: lines[7].ID, Deleted: true})
	var got []client.AssetChange
	err := drain(func(yield func(client.AssetChange, error) bool) {
		for change, err := range c.StreamAssetIDs(t.Context()) {
			if err == nil {
				switch got = append(got, change); len(got) {
				case len(lines):
					_, err = c.WriteDocuments(t.Context(), []api.DocumentLine{more})
				case len(lines) + 1:
					err = c.DeleteAsset(t.Context(), lines[7].ID)
				case len(lines) + 2:
					go handler.Close() // it waits for the end of this
				}
			}
			if !yield(change, err) {
				return
			}
		}
	})
	slices.SortFunc(got[:len(lines)], func(a, b client.AssetChange) int { return strings.Compare(a.ID, b.ID) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	wantCode(t, "a daemon that stops", err, cairn.CodeUnreachable)
	wantCode(t, "a daemon that is stopping", drain(c.StreamAssetIDs(t.Context())), cairn.CodeShuttingDown)
}

// TestStreamAssetIDsEnds ends streams in other ways.
func TestStreamAssetIDsEnds(t *testing.T) {
	gone := make(chan struct{}, 1)
	answering := func(frame string, code websocket.StatusCode) *client.Client {
		return fake(t, func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.CloseNow() }() // it may be closed
			if frame != "" {
				_ = conn.Write(r.Context(), websocket.MessageText, []byte(frame)) // the client may be gone
			}
			switch code {
			case 0:
			case -1:
				_, _, _ = conn.Read(r.Context()) // until the client hangs up
				gone <- struct{}{}
			default:
				_ = conn.Close(code, "") // the same
			}
		})
	}
	const one = `{"iterable":[{"asset":{"id":"a"}},{"asset":{"id":"b"},"deleted":true}]}`
	for _, test := range []struct {
		frame string
		close websocket.StatusCode
		want  cairn.Code
	}{
		{one, websocket.StatusServiceRestart, cairn.CodeChanged},
		{one, websocket.StatusGoingAway, cairn.CodeUnreachable},
		{one, websocket.StatusNormalClosure, cairn.CodeUnreachable},
		{one, 0, cairn.CodeUnreachable},
		{"<html>", 0, cairn.CodeInternal},
		{"{}", 0, cairn.CodeInternal},
		{`{"iterable":[7]}`, 0, cairn.CodeInternal},
	} {
		wantCode(t, fmt.Sprintf("%s, closed with %d", test.frame, test.close), drain(answering(test.frame, test.close).StreamAssetIDs(t.Context())), test.want)
	}

	for change, err := range answering(one, -1).StreamAssetIDs(t.Context()) {
		if err != nil || change.ID != "a" {
			t.Errorf("the first is %+v, %v", change, err)
		}
		break
	}
	<-gone
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var last error
	for change, err := range answering(one, -1).StreamAssetIDs(ctx) {
		if last = err; change.Deleted {
			cancel(cause)
		}
	}
	if !errors.Is(last, cause) {
		t.Errorf("cancelled midway: %v, want the cause", last)
	}
	<-gone
}
