package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"cairn"
)

// A Cache remembers what manifests say, since they never change. Losing it
// costs time only, so its failures are logged and nothing else.
type Cache interface {
	// Cached returns all that is stored of a cloud, by the name of the object.
	Cached(ctx context.Context, cloud string) (map[string][]byte, error)
	// Store keeps data for the object of a cloud. It replaces what was there.
	Store(ctx context.Context, cloud, name string, data []byte) error
	// Forget drops what is stored for objects of a cloud; names that it does
	// not have are fine.
	Forget(ctx context.Context, cloud string, names []string) error
}

// cacheVersion is the form of entries that this code reads and writes.
const cacheVersion = 1

// An entry is what the cache holds for a manifest.
type entry struct {
	size   int64 // of the manifest's object
	backup cairn.Backup
}

// entryLine is an entry as JSON.
type entryLine struct {
	Version int          `json:"version"`
	Size    int64        `json:"size"`
	Bytes   int64        `json:"bytes"`    // of all objects of the backup
	Backup  manifestLine `json:"manifest"` // without segments
}

// entryOf returns the entry for a manifest whose object has size bytes.
func entryOf(m Manifest, size int64) entry { return entry{size: size, backup: m.Backup} }

func (e entry) encode() ([]byte, error) {
	return json.Marshal(entryLine{cacheVersion, e.size, e.backup.Bytes, lineOf(Manifest{Backup: e.backup})})
}

// decodeEntry reads the entry for the manifest of that name.
func decodeEntry(name string, data []byte) (entry, error) {
	var l entryLine
	if err := json.Unmarshal(data, &l); err != nil {
		return entry{}, err
	}
	backup, err := l.Backup.backup()
	if err != nil {
		return entry{}, err
	}
	id, ok := backupOf(name)
	if l.Version != cacheVersion || l.Size <= 0 || l.Bytes < l.Size || !ok || backup.ID != id {
		return entry{}, errors.New("it is not an entry for this object")
	}
	backup.Bytes = l.Bytes
	return entry{size: l.Size, backup: backup}, nil
}

// recall returns what the cache holds. An entry that cannot be read counts as
// one of no size, which no object has.
func (c *Cloud) recall(ctx context.Context) map[string]entry {
	if c.cfg.Cache == nil {
		return nil
	}
	stored, err := c.cfg.Cache.Cached(ctx, c.id)
	if err != nil {
		c.cacheFailed("reading", err)
		return nil
	}
	entries := make(map[string]entry, len(stored))
	for name, data := range stored {
		e, err := decodeEntry(name, data)
		if err != nil {
			c.cacheFailed("reading", fmt.Errorf("%s: %w", name, err))
		}
		entries[name] = e
	}
	return entries
}

// store keeps the entry for a manifest.
func (c *Cloud) store(ctx context.Context, name string, e entry) {
	if c.cfg.Cache == nil {
		return
	}
	data, err := e.encode()
	if err == nil {
		err = c.cfg.Cache.Store(ctx, c.id, name, data)
	}
	if err != nil {
		c.cacheFailed("writing", fmt.Errorf("%s: %w", name, err))
	}
}

// forgetOthers drops the entries of objects that are not listed any more.
func (c *Cloud) forgetOthers(ctx context.Context, cached map[string]entry, all []listed) {
	there := make(map[string]bool, len(all))
	for _, l := range all {
		there[l.object.Name] = !l.gone
	}
	var others []string
	for name := range cached {
		if !there[name] {
			others = append(others, name)
		}
	}
	if len(others) > 0 {
		c.forget(ctx, others)
	}
}

func (c *Cloud) forget(ctx context.Context, names []string) {
	if c.cfg.Cache == nil {
		return
	}
	if err := c.cfg.Cache.Forget(ctx, c.id, names); err != nil {
		c.cacheFailed("writing", err)
	}
}

func (c *Cloud) cacheFailed(doing string, err error) {
	c.cfg.Log.Warn(doing+" the cache of manifests failed; manifests are read from the cloud", "url", c.url, "error", err)
}
