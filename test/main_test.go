package test

import (
	"os"
	"testing"

	"cairn/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
