package durable

import "os"

// Writable returns nil if this user may read and write the file at path, and
// otherwise why not. Of a folder it only looks whether it is there.
func Writable(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
