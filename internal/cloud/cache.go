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

// note remembers whether the object of a manifest is there, as this Cloud has
// found out by itself: a listing can lag some seconds behind that, and the cache
// can fail.
func (c *Cloud) note(name string, there bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.there[name] = there
}

// recall returns an entry for each manifest that should be there: what the cache
// holds, and what is noted. An entry that is not in the cache, or cannot be read,
// counts as one of no size, which no object has.
func (c *Cloud) recall(ctx context.Context) map[string]entry {
	entries := c.cached(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, there := range c.there {
		if !there {
			delete(entries, name)
		} else if _, ok := entries[name]; !ok {
			entries[name] = entry{}
		}
	}
	return entries
}

// cached returns what the cache holds.
func (c *Cloud) cached(ctx context.Context) map[string]entry {
	entries := map[string]entry{}
	if c.cfg.Cache == nil {
		return entries
	}
	stored, err := c.cfg.Cache.Cached(ctx, c.id)
	if err != nil {
		c.cacheFailed("reading", err)
		return entries
	}
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

// forget drops the entry for a manifest.
func (c *Cloud) forget(ctx context.Context, names ...string) {
	if c.cfg.Cache == nil || len(names) == 0 {
		return
	}
	if err := c.cfg.Cache.Forget(ctx, c.id, names); err != nil {
		c.cacheFailed("writing", err)
	}
}

func (c *Cloud) cacheFailed(doing string, err error) {
	c.cfg.Log.Warn(doing+" the cache of manifests failed; manifests are read from the cloud", "url", c.url, "error", err)
}
