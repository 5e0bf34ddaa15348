// Package stores opens the stores on which the tests of what uses one run: in
// memory, or of the kind that CAIRN_TEST_STORE names, which is memory, folder, s3,
// gcs or azure.
//
//	func TestMain(m *testing.M) { os.Exit(stores.Main(m.Run)) }
//
//	func TestSomething(t *testing.T) {
//		b := stores.New(t)
//		...
//
// Stores of all kinds can be opened and used in a bubble of testing/synctest,
// whose time stands still during a call.
package stores

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"cairn/internal/bucket"
	"cairn/internal/bucket/folder"
	"cairn/internal/bucket/memory"
	"cairn/internal/bucket/s3"
	"cairn/test/s3server"
)

// kind returns the kind of store to open.
func kind() string { return os.Getenv("CAIRN_TEST_STORE") }

// InMemory reports whether stores are in memory, where calls take no time.
func InMemory() bool { return kind() == "" || kind() == "memory" }

// InFolder reports whether stores are in folders.
func InFolder() bool { return kind() == "folder" }

// Main runs the tests of a package with what their stores need.
func Main(run func() int) int {
	go makeCalls()
	defer close(calls)
	defer emulators.close()
	return s3server.Main(run)
}

// opened counts the stores that were opened and are not in memory.
var opened atomic.Int64

// New returns an empty store. Every second one that is not in memory lies below
// a prefix.
func New(t testing.TB) bucket.Bucket {
	t.Helper()
	var b bucket.Bucket
	switch kind() {
	case "", "memory":
		return new(memory.Bucket)
	case "folder":
		f, err := folder.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		b = f
	case "s3":
		b = newS3(t)
	case "gcs", "azure":
		b = newEmulated(t, kind())
	default:
		t.Fatalf("CAIRN_TEST_STORE is %q, and not memory, folder, s3, gcs or azure", kind())
	}
	if opened.Add(1)%2 == 0 {
		return bucket.Prefix(b, "below/a-prefix")
	}
	return b
}

// newS3 opens a bucket of its own on the server that all tests of the process
// share.
func newS3(t testing.TB) (b bucket.Bucket) {
	t.Helper()
	call(func() {
		server := s3server.Shared(t)
		for _, variable := range server.Env() {
			name, value, _ := strings.Cut(variable, "=")
			setenv(t, name, value)
		}
		opened, err := s3.Open(context.Background(), s3.Location{Bucket: server.Bucket(unending{t}), Endpoint: server.URL})
		if err != nil {
			t.Error(err)
			return
		}
		b = outside{opened}
	})
	if b == nil {
		t.FailNow() // what failed in the call has said why
	}
	return b
}

func setenv(t testing.TB, name, value string) {
	t.Helper()
	if err := os.Setenv(name, value); err != nil {
		t.Error(err)
	}
}

// unending is a test with a context that is of no bubble.
type unending struct{ testing.TB }

// Context implements testing.TB.
func (unending) Context() context.Context { return context.Background() }
