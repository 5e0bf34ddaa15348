//go:build !linux

package s3server

import "syscall"

func attributes() *syscall.SysProcAttr { return nil }

// hasAttributes is for Linux alone: files do for metadata everywhere.
func hasAttributes(string) bool { return false }
