package database

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cairn"
	"cairn/internal/durable"
	"cairn/internal/sqlitefile"
)

const (
	currentFile       = "CURRENT"
	generationsFolder = "generations"
	currentFormat     = 1
)

// current is what the file CURRENT says: one line of JSON, replaced as a whole
// by one durable rename, so that it names either the old or the new state.
type current struct {
	Format int    `json:"format"` // 1
	Live   string `json:"live"`   // file name of the live generation
}

// readCurrent returns nil without an error when there is no such file.
func readCurrent(path string) (*current, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, cairn.FileError("reading", path, err)
	}
	var version struct{ Format int64 } // all that later formats have in common
	if err := json.Unmarshal(text, &version); err != nil {
		return nil, sqlitefile.Damaged(path, "it is not one line of JSON")
	}
	if version.Format > currentFormat {
		return nil, sqlitefile.TooNew(path, version.Format, currentFormat)
	}
	var c current
	if err := json.Unmarshal(text, &c); err != nil || c.Format < 1 || c.Live != filepath.Base(c.Live) || !strings.HasSuffix(c.Live, ".db") {
		return nil, sqlitefile.Damaged(path, "it names no generation")
	}
	return &c, nil
}

func writeCurrent(path string, c current) error {
	var line bytes.Buffer
	if err := json.NewEncoder(&line).Encode(c); err != nil {
		return err
	}
	return cairn.FileError("writing", path, durable.WriteFile(path, line.Bytes()))
}

// recoverLive removes what a crash left half made, and returns the file of the
// live generation, which it makes in an empty data folder.
func recoverLive(ctx context.Context, cfg Config) (string, error) {
	path := filepath.Join(cfg.Dir, currentFile)
	c, err := readCurrent(path)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cfg.Dir, generationsFolder)
	if err := durable.MkdirAll(folder); err != nil {
		return "", cairn.FileError("creating", folder, err)
	}
	for _, dir := range []string{cfg.Dir, folder} {
		removed, err := durable.RemoveTemps(dir)
		if err != nil {
			return "", cairn.FileError("tidying", dir, err)
		}
		for _, name := range removed {
			cfg.Log.Info("removed a file that was never finished", "file", name)
		}
	}
	if c == nil {
		name, err := first(ctx, cfg, folder)
		if err != nil {
			return "", err
		}
		c = &current{Format: currentFormat, Live: name}
		if err := writeCurrent(path, *c); err != nil {
			return "", err
		}
	}
	return filepath.Join(folder, c.Live), nil
}

// first returns the generation to begin with where no CURRENT is: a new one,
// or the empty one that a first start made before it was cut off. Generations
// that hold changes are never passed over.
func first(ctx context.Context, cfg Config, folder string) (string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", cairn.FileError("reading", folder, err)
	}
	var files []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".db") && !e.IsDir() {
			files = append(files, filepath.Join(folder, e.Name()))
		}
	}
	for _, file := range files {
		stats, err := inspect(ctx, file)
		if err != nil {
			return "", failure(file, err)
		}
		if stats.Revision > 0 {
			return "", &cairn.Error{
				Code:    cairn.CodeDamaged,
				Message: fmt.Sprintf("The file %s is missing, but %s holds %d documents.", filepath.Join(cfg.Dir, currentFile), file, stats.Documents),
				Hint:    fmt.Sprintf(`If that is the database to go on with, write {"format":1,"live":%q} into the missing file.`, filepath.Base(file)),
			}
		}
	}
	if len(files) > 0 {
		cfg.Log.Info("going on with the database of a first start that was cut off", "file", files[0])
		return filepath.Base(files[0]), nil
	}
	return create(ctx, folder)
}
