package s3server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cairn/test/s3server"
)

// TestListOrder lists keys whose order is not that of their folders and files.
func TestListOrder(t *testing.T) {
	server := s3server.Shared(t)
	s := rootStore(t, server, server.URL)
	keys := []string{
		"a", "a-b", "a.b", "a0/b", "b/a", "b/a.c", "b/aa/c", "b/aa.c", "b/aa-/d", "b!/x", "b!x", "b-/x", "b.x", "b0",
	}
	for _, key := range keys {
		check(t, "create "+key, s.create(key, "of "+key), "ok")
	}
	slices.Sort(keys)
	for _, prefix := range []string{"", "a", "a0/", "b", "b/", "b/a", "b/aa", "b/aa/", "b/x", "c", "c/"} {
		want := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !strings.HasPrefix(key, prefix) })
		for _, page := range []int32{1, 2, 3, 1000} {
			check(t, fmt.Sprintf("list of %q by %d", prefix, page), s.list(prefix, page), want)
		}
	}
	for _, key := range keys {
		check(t, "get "+key, s.get(key), "of "+key)
		check(t, "delete "+key, s.delete(key), "ok")
	}
	check(t, "list at the end", s.list("", 1000), []string{})
}

// TestFolders asks for what S3 has no word for, since there folders do not
// exist: where versitygw is not S3, the comment says so.
func TestFolders(t *testing.T) {
	server := s3server.Shared(t)
	s := rootStore(t, server, server.URL)
	check(t, "create b/a", s.create("b/a", "hello"), "ok")
	check(t, "create x", s.create("x", "hello"), "ok")
	for _, key := range []string{"b", "b/", "b/a/", "b/c", "x/", "x/y", "x/y/z", "missing", "missing/too"} {
		check(t, "get "+key, s.get(key), "404 NoSuchKey")
		check(t, "head "+key, s.head(key), "404 NotFound")
		want := "ok"
		if key == "b/" {
			want = "400 ErrDirectoryNotEmpty" // S3: ok
		}
		check(t, "delete "+key, s.delete(key), want)
	}
	for key, want := range map[string]string{
		"b":                      "409 ExistingObjectIsDirectory",   // S3: ok
		"x/y":                    "409 ObjectParentIsFile",          // S3: ok
		"c/":                     "400 DirectoryObjectContainsData", // S3: ok
		strings.Repeat("k", 256): "400 KeyTooLongError",             // S3: up to 1024
		"b/../a":                 "ok",                              // of "a", S3: of "b/../a"
	} {
		check(t, "create "+key, s.create(key, "hello"), want)
	}
	check(t, "list", s.list("", 1000), []string{"a", "b/a", "x"})
}

// TestFiles changes the files of objects.
func TestFiles(t *testing.T) {
	server := s3server.Shared(t)
	s := rootStore(t, server, server.URL)
	file := filepath.Join(server.Dir(s.bucket), "a")
	check(t, "create", s.create("a", "hello"), "ok")
	if err := os.Truncate(file, 2); err != nil {
		t.Fatal(err)
	}
	check(t, "head of what was cut", s.head("a"), "2 bytes")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	check(t, "get of what was removed", s.get("a"), "404 NoSuchKey")
	if err := os.WriteFile(file, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	check(t, "get of a file without metadata", s.get("a"), "other")
	check(t, "list", s.list("", 1000), []string{"a"})
}
