package client_test

import (
	"encoding/json"
	"testing"

	"cairn"
	"cairn/internal/httpapi"
)

// TestSystem asks the daemon who it is, and signs the user out and in again.
func TestSystem(t *testing.T) {
	f := &cloud{backup: sample}
	c, ctx := serve(t, f, jobs{f}, httpapi.Config{}), t.Context()
	installation, err := c.Health(ctx)
	if err != nil || len(installation) != 36 {
		t.Errorf("the installation is %q, %v", installation, err)
	}
	if level, err := c.Version(ctx); err != nil || level != cairn.APILevel {
		t.Errorf("the API level is %q, %v", level, err)
	}
	var at struct {
		OS          string
		Application struct{ Name string }
		User        json.RawMessage
	}
	for name, application := range map[string]json.RawMessage{"UNKNOWN": nil, "OBSIDIAN": json.RawMessage(`{"name":"OBSIDIAN"}`)} {
		text, err := c.Connect(ctx, application)
		if err == nil {
			err = json.Unmarshal(text, &at)
		}
		if err != nil || at.OS != installation || at.Application.Name != name || at.User == nil {
			t.Errorf("connecting as %s: %s, %v", name, text, err)
		}
	}
	signed := func(in bool) {
		t.Helper()
		user, err := c.User(ctx)
		if err != nil || (user != nil) != in || in && string(user) != string(at.User) {
			t.Errorf("the user is %s, %v, signed in %t", user, err, in)
		}
		allocations, err := c.Allocations(ctx)
		if err != nil || (len(allocations) == 1) != in {
			t.Errorf("the allocations are %s, %v, signed in %t", allocations, err, in)
		}
	}
	signed(true)
	if err := c.SignOut(ctx); err != nil {
		t.Error(err)
	}
	signed(false)
	if profile, err := c.SignIn(ctx); err != nil || string(profile) != string(at.User) {
		t.Errorf("signing in: %s, %v", profile, err)
	}
	signed(true)
}

// TestForeignSystem asks what says other things.
func TestForeignSystem(t *testing.T) {
	for _, text := range []string{"", "ok", "12.5", "v12.5.0", "12.5.0\n12.5.0", "not ok:", `{"ok":true}`} {
		c := fake(t, cut(text, true))
		for _, call := range []string{"Health", "Version"} {
			wantCode(t, call+" of "+text, calls[call](t.Context(), c), cairn.CodeInternal)
		}
	}
	if user, err := fake(t, cut(`{"user":null}`, true)).User(t.Context()); user != nil || err != nil {
		t.Errorf("no user is %q, %v", user, err)
	}
}
