package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"cairn/internal/config"
)

// TestTokenModeStays holds that a token is read, too, when others can read the file
// and nobody can change that: so are the secrets that containers are given.
func TestTokenModeStays(t *testing.T) {
	var log bytes.Buffer
	text, err := token(config.Config{TokenFile: "/proc/sys/kernel/random/uuid"}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil || len(text) != 36 {
		t.Errorf("it is read as %d characters, %v", len(text), err)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "cannot be changed") {
		t.Errorf("the log says %q", log.String())
	}
}
