//go:build race

package backup_test

// raced says that the race detector watches, with which all takes long.
const raced = true
