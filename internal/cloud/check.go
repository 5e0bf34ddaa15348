package cloud

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"

	"cairn"
	"cairn/internal/segment"
)

// A Stock is what listings say of the parts and indexes in a cloud. It keeps some
// fifty bytes of each. It must not be used by two goroutines at the same time.
type Stock struct {
	// Objects and Bytes count the parts and indexes that were not taken, Foreign
	// what lies in the folders of a cloud under names that cairn gives to nothing.
	Objects, Bytes, Foreign int64

	objects map[stockKey]stocked
}

// A stockKey is what tells a part or an index from all others: its digits.
type stockKey struct {
	index  bool
	digits [randomBytes]byte
}

// stocked is what is known of an object.
type stocked struct {
	size  int64
	taken bool
}

// Stock lists parts/, indexes/ and trash/, each once. A listing may lag behind: only
// [Cloud.Present] tells that an object is missing.
func (c *Cloud) Stock(ctx context.Context) (*Stock, error) {
	s := &Stock{objects: map[stockKey]stocked{}}
	for _, folder := range []string{partFolder, indexFolder, trashFolder} {
		for object, err := range c.cfg.Bucket.List(ctx, folder) {
			if err != nil {
				return nil, c.failure(ctx, "listing", folder, err)
			}
			key, lines := stockKeyOf(object.Name)
			switch {
			case lines:
				s.objects[key] = stocked{size: object.Size}
				s.Objects++
				s.Bytes += object.Size
			case !isOurs(object.Name):
				s.Foreign++
			}
		}
	}
	return s, nil
}

// Take returns the size of a part or an index, and whether it is listed. It is not
// among those that were not taken any more.
func (s *Stock) Take(name string) (size int64, listed bool) {
	key, _ := stockKeyOf(name)
	o, listed := s.objects[key]
	if listed && !o.taken {
		s.objects[key] = stocked{o.size, true}
		s.Objects--
		s.Bytes -= o.size
	}
	return o.size, listed
}

// stockKeyOf returns the key of a part or an index; ok is false for other names.
func stockKeyOf(name string) (key stockKey, ok bool) {
	key.index = strings.HasPrefix(name, indexFolder)
	if !key.index && !isLinesName(partFolder, name) || key.index && !isLinesName(indexFolder, name) {
		return stockKey{}, false
	}
	digits := strings.TrimSuffix(name[strings.LastIndexByte(name, '/')+1:], linesSuffix)
	_, err := hex.Decode(key.digits[:], []byte(digits))
	return key, err == nil
}

// Present asks whether an object is there and as long as it should be; if not, that
// is cairn.CodeDamaged.
func (c *Cloud) Present(ctx context.Context, o segment.Object) error {
	object, err := c.cfg.Bucket.Head(ctx, o.Name)
	if err != nil {
		return c.failure(ctx, "looking for", o.Name, err)
	}
	return c.Fits(o, object.Size)
}

// Fits returns nil if size is that of an object; else it is cairn.CodeDamaged.
func (c *Cloud) Fits(o segment.Object, size int64) error {
	if size != o.Size {
		return c.Damaged(o.Name, fmt.Sprintf("it has %d bytes instead of %d", size, o.Size))
	}
	return nil
}

// ReadManifests reads all manifests, several at once, whatever is in the cache. read
// gets each that can be used, in any order, one at a time. What is returned, and
// what ids are for, is as with [Cloud.Backups].
func (c *Cloud) ReadManifests(ctx context.Context, ids []string, read func(Manifest)) (unreadable []cairn.UnreadableBackup, err error) {
	known := c.recall(ctx) // before the listing; see Backups
	all, err := c.list(ctx, nil)
	if err != nil {
		return nil, err
	}
	all = append(all, absent(all, known, ids)...)
	var mu sync.Mutex
	for i := range all {
		all[i].entry = entry{}
		all[i].found = func(m Manifest) {
			mu.Lock()
			defer mu.Unlock()
			read(m)
		}
	}
	err = c.fetch(ctx, all)
	if err == nil {
		err = c.isolate(ctx, all)
	}
	c.learn(context.WithoutCancel(ctx), all)
	if err != nil {
		return nil, err
	}
	for _, l := range all {
		if l.problem != nil && !l.gone {
			unreadable = append(unreadable, cairn.UnreadableBackup{Name: l.object.Name, Problem: l.problem})
		}
	}
	return unreadable, nil
}

// CheckIndex reads the index of a segment to its end. It returns the parts, as
// [Cloud.Parts] does, and the digest of the catalog, as segment.CheckIndex does.
func (c *Cloud) CheckIndex(ctx context.Context, s segment.Segment) (parts []segment.Part, catalog cairn.Digest, err error) {
	parts, err = c.readIndex(ctx, s, func(r io.Reader) (parts []segment.Part, err error) {
		parts, catalog, err = segment.CheckIndex(r, c.identity, s)
		return parts, err
	})
	return parts, catalog, err
}

// BackupOf returns the id of the backup whose manifest has this name; ok is false
// for a name that no manifest has.
func BackupOf(name string) (id string, ok bool) { return backupOf(name) }

// ManifestName returns the name of the manifest of a backup.
func ManifestName(id string) string { return backupFolder + id + backupSuffix }

// DescriptionName is the name of the object that makes a place a cloud.
const DescriptionName = descriptionName
