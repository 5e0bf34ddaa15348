package bucket

import (
	"fmt"
	"strings"
)

// MaxName is the length of the longest name, in bytes.
const MaxName = 512

// ValidateName returns nil if an object can have this name: parts of
// [A-Za-z0-9._-]+ separated by slashes, none of which begins or ends with a
// dot or ends in .tmp, at most [MaxName] bytes in all. Otherwise it returns an
// ErrName that says why. What it allows means the same to every store and file
// system but for letter case: no two names may differ in nothing else.
func ValidateName(name string) error {
	if len(name) > MaxName {
		return fmt.Errorf("%.60q...: %w: it has %d bytes, and %d are the most", name, ErrName, len(name), MaxName)
	}
	for part := range strings.SplitSeq(name, "/") {
		if fault := partFault(part); fault != "" {
			return fmt.Errorf("%q: %w: %s", name, ErrName, fault)
		}
	}
	return nil
}

// partFault says what is wrong with one part of a name; "" for nothing.
func partFault(part string) string {
	if part == "" {
		return "a part of it is empty"
	}
	for _, r := range part {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r)) {
			return fmt.Sprintf("it holds %q", r)
		}
	}
	switch {
	case part[0] == '.':
		return "a part of it begins with a dot"
	case part[len(part)-1] == '.':
		return "a part of it ends with a dot"
	case strings.HasSuffix(part, ".tmp"):
		return "a part of it ends in .tmp"
	}
	return ""
}
