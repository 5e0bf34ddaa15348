package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/backup"
	"cairn/internal/cloud"
	"cairn/internal/connection"
)

// TestConnectFirst has the start wait for a cloud for a bounded time only, and
// hear of what it says until then.
func TestConnectFirst(t *testing.T) {
	refused := &cairn.Error{Code: cairn.CodeNotCloud, Message: "It is no cloud."}
	for _, test := range []struct {
		name  string
		after time.Duration // until the cloud answers
		err   error
		took  time.Duration
		code  cairn.Code
	}{
		{"at once", 0, nil, 0, ""},
		{"refused", time.Second, refused, time.Second, cairn.CodeNotCloud},
		{"late", connectTime - 1, nil, connectTime - 1, ""},
		{"too late", connectTime + 1, nil, connectTime, cairn.CodeCloudLost},
		{"never", 1 << 62, nil, connectTime, cairn.CodeCloudLost},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan struct{})
				clouds, err := connection.New(connection.Config{Data: t.TempDir(), Configured: "/cloud"})
				if err != nil {
					t.Fatal(err)
				}
				d := &daemonProcess{clouds: clouds}
				d.engine = backup.New(backup.Config{Connect: func(context.Context) (*cloud.Cloud, error) {
					select { // deaf to its context, as the system is
					case <-time.After(test.after):
					case <-ended:
					}
					return new(cloud.Cloud), test.err
				}})
				start := time.Now()
				err = d.connectFirst(t.Context())
				if took := time.Since(start); took != test.took || cairn.CodeOf(err) != test.code {
					t.Errorf("after %s: %v, want %q after %s", took, err, test.code, test.took)
				}
				if e, ok := errors.AsType[*cairn.Error](err); test.code == cairn.CodeCloudLost && (!ok || e.Message == "" || e.Hint == "") {
					t.Errorf("%v says nothing to a person", err)
				}
				close(ended)
				synctest.Wait()
				if _, ok := d.engine.Connected(); ok == (test.err != nil) {
					t.Errorf("in the end the cloud is open: %t", ok)
				}
			})
		})
	}
}
