package database

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cairn"
	"cairn/internal/durable"
	"cairn/internal/sqlitefile"
)

// CurrentFile is the name of the file in the data folder that says which database is
// the live one; a folder that has it is a data folder.
const CurrentFile = "CURRENT"

const (
	generationsFolder = "generations"
	spoolFolder       = "spool"
	currentFormat     = 1
)

// current is what the file CURRENT says: one line of JSON, replaced as a whole
// by one durable rename, so that it names either the old or the new state.
type current struct {
	Format int    `json:"format"`         // 1
	Live   string `json:"live"`           // file name of the live generation
	Undo   string `json:"undo,omitempty"` // of the one that it replaced
	Job    string `json:"job,omitempty"`  // id of the job that made the live one
	// Drop are files of generations that the next start removes: one that is
	// about to become live and has not, and those that have been replaced
	// twice.
	Drop []string `json:"drop,omitempty"`
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
	if err := json.Unmarshal(text, &c); err != nil || c.Format < 1 || !isGeneration(c.Live) || c.Undo != "" && !isGeneration(c.Undo) || c.Undo == c.Live {
		return nil, sqlitefile.Damaged(path, "it names no generation")
	}
	for _, name := range c.Drop {
		if !isGeneration(name) || name == c.Live || name == c.Undo {
			return nil, sqlitefile.Damaged(path, "it wants a generation removed that is none, or is in use")
		}
	}
	return &c, nil
}

// equal reports whether two say the same.
func (c current) equal(o current) bool {
	return c.Live == o.Live && c.Undo == o.Undo && c.Job == o.Job && slices.Equal(c.Drop, o.Drop)
}

// isGeneration reports whether name can be that of a file in the folder of
// generations.
func isGeneration(name string) bool {
	return name == filepath.Base(name) && strings.HasSuffix(name, ".db")
}

func writeCurrent(path string, c current) error {
	var line bytes.Buffer
	if err := json.NewEncoder(&line).Encode(c); err != nil {
		return err
	}
	return cairn.FileError("writing", path, durable.WriteFile(path, line.Bytes()))
}

// recoverCurrent removes what a crash left half made, and returns what CURRENT
// says. An empty data folder gets a generation and a CURRENT.
func recoverCurrent(ctx context.Context, cfg Config) (current, error) {
	path := filepath.Join(cfg.Dir, CurrentFile)
	c, err := readCurrent(path)
	if err != nil {
		return current{}, err
	}
	folder := filepath.Join(cfg.Dir, generationsFolder)
	// What was read may be of a rename that no power cut must take back any more.
	if err := durable.SyncDir(cfg.Dir); err != nil {
		return current{}, cairn.FileError("syncing", cfg.Dir, err)
	}
	for _, dir := range []string{cfg.Dir, folder, filepath.Join(cfg.Dir, spoolFolder)} {
		if err := durable.MkdirAll(dir); err != nil {
			return current{}, cairn.FileError("creating", dir, err)
		}
		removed, err := durable.RemoveTemps(dir)
		if err != nil {
			return current{}, cairn.FileError("tidying", dir, err)
		}
		for _, name := range removed {
			cfg.Log.Info("removed a file that was never finished", "file", name)
		}
	}
	if c != nil {
		dropFiles(cfg, folder, *c)
		return *c, nil
	}
	name, err := first(ctx, cfg, folder)
	if err != nil {
		return current{}, err
	}
	c = &current{Format: currentFormat, Live: name}
	return *c, writeCurrent(path, *c)
}

// dropFiles removes the generations that CURRENT wants removed, as far as that
// is possible now: another program may have one open.
func dropFiles(cfg Config, folder string, c current) {
	for _, name := range c.Drop {
		for _, suffix := range []string{"-wal", "-shm", ""} {
			path := filepath.Join(folder, name+suffix)
			err := os.Remove(path)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				cfg.Log.Warn("a database that is no longer needed could not be removed; the next start tries again", "file", path, "err", err)
			}
			if err == nil && suffix == "" {
				cfg.Log.Info("removed a database that is no longer needed", "file", name)
			}
		}
	}
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
				Message: fmt.Sprintf("The file %s is missing, but %s holds %d documents.", filepath.Join(cfg.Dir, CurrentFile), file, stats.Documents),
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
