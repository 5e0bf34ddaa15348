package test

import (
	"os"
	"testing"

	"cairn/test/harness"
	"cairn/test/s3server"
)

func TestMain(m *testing.M) {
	os.Exit(s3server.Main(func() int { return harness.Main(m) }))
}
