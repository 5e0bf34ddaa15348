//go:build !race

package backup_test

const raced = false
