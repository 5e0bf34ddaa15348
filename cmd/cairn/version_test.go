package main

import "testing"

func TestBackupVersion(t *testing.T) {
	for build, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3": "1.2.3", "v1.2.3-4-gabcdef-dirty": "1.2.3",
		"dev": release, "0c0ffee": release, "0c0ffee-dirty": release, "1.2": release, "": release, "12345.1.1": release,
	} {
		if got := backupVersion(build); got != want {
			t.Errorf("backupVersion(%q) = %q, want %q", build, got, want)
		}
	}
}
