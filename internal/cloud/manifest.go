package cloud

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/segment"
)

// maxManifest is the largest manifest that is read, in bytes of its object:
// 4 MiB, which is room for some ten thousand segments.
const maxManifest = 4 << 20

// A Manifest makes a backup exist: it says what the backup is and what of the
// bucket it consists of.
type Manifest struct {
	// Backup is what is told of it. Bytes is not in the object: it is set in
	// what is read, and ignored in what is written.
	cairn.Backup
	// Segments follow each other from revision 0 to Backup.Revision.
	Segments []segment.Segment
}

// manifestLine is the line of a manifest:
//
//	{"format":1,"id":"0.1.0_20261123T072541.123456789Z", ... ,"digest":"<32 hexadecimal digits>","segments":[...]}
//
// As in cairn.json, fields that are not known are ignored.
type manifestLine struct {
	Format       int64             `json:"format"`
	ID           string            `json:"id"`
	Version      string            `json:"version"`
	Timestamp    string            `json:"timestamp"`
	Created      string            `json:"created"`
	DeviceName   string            `json:"device_name"`
	Platform     string            `json:"platform"`
	Installation string            `json:"installation"`
	Line         string            `json:"line"`
	Scope        cairn.Scope       `json:"scope"`
	Revision     int64             `json:"revision"`
	Documents    int64             `json:"documents"`
	Deletions    int64             `json:"deletions"`
	JSONBytes    int64             `json:"json_bytes"`
	Digest       string            `json:"digest"`
	Segments     []segment.Segment `json:"segments"`
}

// lineOf returns the line that says m.
func lineOf(m Manifest) manifestLine {
	segments := m.Segments
	if segments == nil {
		segments = []segment.Segment{} // [] rather than null
	}
	return manifestLine{
		Format:       Format,
		ID:           m.ID,
		Version:      m.Version,
		Timestamp:    m.Timestamp,
		Created:      m.Created.UTC().Format(timeLayout),
		DeviceName:   m.DeviceName,
		Platform:     m.Platform,
		Installation: m.Installation,
		Line:         m.Line,
		Scope:        m.Scope,
		Revision:     m.Revision,
		Documents:    m.Documents,
		Deletions:    m.Deletions,
		JSONBytes:    m.JSONBytes,
		Digest:       m.Digest.String(),
		Segments:     segments,
	}
}

// backup returns what the line tells of the backup, but for Bytes.
func (l manifestLine) backup() (cairn.Backup, error) {
	created, err := time.Parse(timeLayout, l.Created)
	if err != nil || created.UTC().Format(timeLayout) != l.Created {
		return cairn.Backup{}, errors.New("its time is not one that cairn writes")
	}
	sum, err := hex.DecodeString(l.Digest)
	if err != nil {
		return cairn.Backup{}, errors.New("its digest is not one")
	}
	digest, err := cairn.ParseDigest(sum)
	if err != nil {
		return cairn.Backup{}, fmt.Errorf("its digest is not one: %w", err)
	}
	return cairn.Backup{
		ID:           l.ID,
		Version:      l.Version,
		Timestamp:    l.Timestamp,
		Created:      created.UTC(),
		DeviceName:   l.DeviceName,
		Platform:     l.Platform,
		Installation: l.Installation,
		Line:         l.Line,
		Scope:        l.Scope,
		Revision:     l.Revision,
		Documents:    l.Documents,
		Deletions:    l.Deletions,
		JSONBytes:    l.JSONBytes,
		Digest:       digest,
	}, nil
}

// encode returns the object of a manifest and m as it reads there. A manifest
// that could not be read again is an error.
func (c *Cloud) encode(m Manifest) (object []byte, read Manifest, err error) {
	line, err := encodeLine(lineOf(m))
	if err != nil {
		return nil, Manifest{}, fmt.Errorf("encoding the manifest: %w", err)
	}
	if read, err = decodeLine(line, m.ID); err != nil {
		return nil, Manifest{}, fmt.Errorf("the manifest would be damaged: %w", err)
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, c.Recipient())
	if err != nil {
		return nil, Manifest{}, fmt.Errorf("encrypting the manifest: %w", err)
	}
	if _, err := w.Write(c.seal.close(m.ID, line)); err != nil {
		return nil, Manifest{}, fmt.Errorf("encrypting the manifest: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, Manifest{}, fmt.Errorf("encrypting the manifest: %w", err)
	}
	if b.Len() > maxManifest {
		return nil, Manifest{}, fmt.Errorf("the manifest has %d bytes; at most %d can be read again", b.Len(), maxManifest)
	}
	read.Bytes += int64(b.Len())
	return b.Bytes(), read, nil
}

// decode reads the object of the manifest of a backup, which has the name. Its
// errors are *cairn.Error of CodeDamaged and CodeFormatTooNew.
func (c *Cloud) decode(name string, object []byte, id string) (Manifest, error) {
	bad := func(why error) (Manifest, error) { return Manifest{}, c.Damaged(name, why.Error()) }
	undecryptable := func(err error) (Manifest, error) {
		e := c.Damaged(name, notDecrypted) // what age says may quote the object
		if _, foreign := errors.AsType[*age.NoIdentityMatchError](err); foreign {
			e = c.Damaged(name, foreignKey)
		}
		e.Err = err
		return Manifest{}, e
	}
	if len(object) > maxManifest {
		return bad(fmt.Errorf("it is longer than %d bytes", maxManifest))
	}
	r, err := age.Decrypt(bytes.NewReader(object), c.identity)
	if err != nil {
		return undecryptable(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return undecryptable(err)
	}
	line, err := c.seal.open(id, text)
	if err != nil {
		return bad(err)
	}
	format, err := formatOf(line)
	if err != nil {
		return bad(err)
	}
	if format > Format {
		return Manifest{}, c.tooNew(name)
	}
	m, err := decodeLine(line, id)
	if err != nil {
		return bad(err)
	}
	m.Bytes += int64(len(object))
	return m, nil
}

// decodeLine reads the line of the manifest of a backup. Bytes is that of the
// segments.
func decodeLine(line []byte, id string) (Manifest, error) {
	var l manifestLine
	if err := json.Unmarshal(line, &l); err != nil {
		return Manifest{}, fmt.Errorf("it is not a manifest: %w", err)
	}
	backup, err := l.backup()
	if err != nil {
		return Manifest{}, err
	}
	if l.Format < 1 || backup.ID != id {
		return Manifest{}, errors.New("it is not the manifest of this backup")
	}
	m := Manifest{Backup: backup, Segments: l.Segments}
	return m, m.check()
}

// check returns an error unless what m says can be true, and sets Bytes to the
// sum of the segments.
func (m *Manifest) check() error {
	id, ok := cairn.ParseBackupID(m.ID)
	switch {
	case !ok || id.Version != m.Version || id.Timestamp != m.Timestamp:
		return errors.New("its id is not made of its version and its timestamp")
	case !id.Created.Equal(m.Created):
		return errors.New("its timestamp is not the time when it was made")
	case m.Scope != cairn.ScopeAll && m.Scope != cairn.ScopeAssets && m.Scope != scopeCheckpoint:
		return fmt.Errorf("its scope is %s", cairn.Quote(string(m.Scope)))
	case m.Revision < 0 || m.Documents < 0 || m.Deletions < 0 || m.JSONBytes < 0:
		return errors.New("it counts below zero")
	}
	return m.checkSegments()
}

// checkSegments does the part of check that is about segments. A document of
// the backup is in one of them at least, an overwritten one in more.
func (m *Manifest) checkSegments() error {
	var to, documents, plain, stored int64
	names := make(map[string]bool, len(m.Segments))
	for i, s := range m.Segments {
		if err := s.Validate(); err != nil {
			return fmt.Errorf("segment %d: %w", i+1, err)
		}
		if s.From != to {
			return fmt.Errorf("segment %d begins at revision %d, not at %d", i+1, s.From, to)
		}
		name := ""
		switch {
		case s.Part != nil && isLinesName(partFolder, s.Part.Name):
			name = s.Part.Name
		case s.Index != nil && isLinesName(indexFolder, s.Index.Name):
			name = s.Index.Name
		case s.Part != nil || s.Index != nil:
			return fmt.Errorf("segment %d names an object as cairn names none", i+1)
		}
		if name != "" && names[name] {
			return fmt.Errorf("segment %d names an object a second time", i+1)
		}
		names[name] = true
		to, documents, plain, stored = s.To, documents+s.Documents, plain+s.Plain, stored+s.Stored
		if s.Plain < 0 || s.Stored < 0 || documents < 0 || plain < 0 || stored < 0 {
			return fmt.Errorf("segment %d counts below zero, or too far", i+1)
		}
	}
	switch {
	case to != m.Revision:
		return fmt.Errorf("its segments end at revision %d, not at %d", to, m.Revision)
	case m.Documents > documents:
		return fmt.Errorf("its segments hold %d documents, fewer than its %d", documents, m.Documents)
	case m.JSONBytes > plain:
		return fmt.Errorf("its segments hold %d bytes, fewer than its %d", plain, m.JSONBytes)
	}
	m.Bytes = stored
	return nil
}

// Manifest reads the manifest of a backup. A backup that is not there, or whose
// id none can have, is cairn.CodeBackupNotFound. One that is there is in what
// Backups returns from then on, too.
func (c *Cloud) Manifest(ctx context.Context, id string) (Manifest, error) {
	m, err := c.manifest(ctx, id)
	if err == nil {
		c.note(backupFolder+id+backupSuffix, true)
	}
	return m, err
}

// manifest does the work of Manifest.
func (c *Cloud) manifest(ctx context.Context, id string) (Manifest, error) {
	name, ok := backupName(id)
	if !ok {
		return Manifest{}, c.noBackup(id)
	}
	data, err := c.read(ctx, name, nil, maxManifest)
	if errors.Is(err, bucket.ErrNotFound) {
		return Manifest{}, c.missing(ctx, id)
	}
	if err != nil {
		return Manifest{}, c.failure(ctx, "reading", name, err)
	}
	return c.decodeBackup(name, data, id)
}

// decodeBackup is decode of what is no checkpoint.
func (c *Cloud) decodeBackup(name string, object []byte, id string) (Manifest, error) {
	m, err := c.decode(name, object, id)
	if err == nil && m.Scope == scopeCheckpoint {
		return Manifest{}, c.Damaged(name, "it only says what a backup used while it was made")
	}
	return m, err
}
