package backup

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"cairn"
	"cairn/internal/cloud"
	"cairn/internal/segment"
)

// A start is what a creation goes on from.
type start struct {
	line string   // history of the database
	held contents // of the base; nothing without one
	// resumed are the parts that an interrupted creation has uploaded.
	resumed []segment.Part
}

// start chooses the newest base that is not known to be gone, and looks for what an
// interrupted creation has left.
func (u *upload) start(ctx context.Context) (from start, err error) {
	from.line = u.e.cfg.Database.Stats().Line
	if u.base, from.held, err = u.e.newest(ctx, u.c); err != nil {
		return from, err
	}
	u.kept = from.held.Segments
	if from.resumed, err = u.resume(ctx); err != nil {
		return from, err
	}
	u.resumed = from.resumed
	return from, nil
}

// newest returns the id of the newest base that is not known to be gone, and what it
// consists of; "" when there is none.
func (e *Engine) newest(ctx context.Context, c *cloud.Cloud) (id string, held contents, err error) {
	bases, err := e.cfg.Database.Bases(ctx, c.ID())
	if err != nil {
		return "", contents{}, err
	}
	revision := e.cfg.Database.Stats().Revision
	for _, b := range bases {
		e.mu.Lock()
		gone := e.gone[b.Backup]
		e.mu.Unlock()
		if gone {
			continue
		}
		held, err := parse(b)
		if err == nil && b.Revision > revision {
			err = errors.New("it is newer than the database")
		}
		if err == nil {
			return b.Backup, e.spoiled(held), nil
		}
		e.cfg.Log.Warn("a backup is not one to build on", "backup", b.Backup, "err", err)
	}
	return "", contents{}, nil
}

// errGone says that the base is gone from the cloud.
var errGone = errors.New("the backup to build on is gone from the cloud")

// lookBefore looks before anything is sent, unless that is one part at most, to be
// added to a base.
func (u *upload) lookBefore(ctx context.Context) error {
	if u.base == "" {
		return u.look(ctx)
	}
	select {
	case <-u.begun:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	u.mu.Lock()
	little := u.total <= int64(u.e.cfg.PartBytes)
	u.mu.Unlock()
	if little {
		return nil
	}
	return u.look(ctx)
}

// confirm looks at whether the place is still the cloud, and has the base. It costs
// one HEAD, or one GET without a base.
func (u *upload) confirm(ctx context.Context) error {
	if u.base == "" {
		return u.c.Check(ctx)
	}
	there, err := u.c.Has(ctx, u.base)
	if err != nil || there {
		return err
	}
	err = u.c.Check(ctx)
	if err != nil && !u.looked { // it is another place by now, which has the little that was sent
		if err := u.discard(ctx); err != nil {
			return err
		}
		err = u.c.Check(ctx)
	}
	if err != nil {
		return err
	}
	u.e.mu.Lock()
	u.e.gone[u.base] = true
	u.e.mu.Unlock()
	return errGone
}

// discard removes what was sent.
func (u *upload) discard(ctx context.Context) error {
	u.mu.Lock()
	stored := u.stored
	u.mu.Unlock()
	for _, name := range stored {
		if err := u.c.Discard(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// look is confirm, once, for whoever is about to send more than a little.
func (u *upload) look(ctx context.Context) error {
	if err := u.looking.Acquire(ctx, 1); err != nil {
		return context.Cause(ctx)
	}
	defer u.looking.Release(1)
	if u.looked {
		return nil
	}
	err := u.confirm(ctx)
	u.looked = err == nil
	return err
}

// resume returns the parts in the journal that are still good, and forgets the
// others.
func (u *upload) resume(ctx context.Context) ([]segment.Part, error) {
	database := u.e.cfg.Database
	entries, err := database.Journal(ctx, u.c.ID())
	if err != nil {
		u.e.cfg.Log.Warn("the journal of uploads cannot be read", "err", err)
	}
	if len(entries) == 0 {
		return nil, nil
	}
	var sent []cloud.Sent
	var stored int64
	for _, entry := range entries {
		p, err := parseEntry(entry)
		if err != nil {
			u.e.cfg.Log.Warn("an entry in the journal of uploads is not one", "err", err)
			continue
		}
		sent = append(sent, p)
		stored += p.Size
	}
	if stored < u.smallPart() { // not worth the calls
		sent = nil
	}
	var parts []segment.Part
	var using string
	if sent = u.e.sound(sent); len(sent) > 0 {
		if parts, using, err = u.young(ctx, sent); err != nil {
			return nil, err
		}
	}
	line := database.Stats().Line
	err = database.BeginJournal(ctx, line, u.c.ID(), namesOf(parts))
	if err == nil && len(parts) > 0 {
		err = database.UseJournal(ctx, line, u.c.ID(), namesOf(parts), using)
	}
	if err != nil && ctx.Err() == nil {
		u.e.cfg.Log.Warn("the journal of uploads cannot be written", "err", err)
	}
	return parts, nil
}

// namesOf returns the names of parts.
func namesOf(parts []segment.Part) []string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.Name
	}
	return names
}

// young returns the parts that are there, and that no prune may have found to be of
// no use, and the checkpoint that names them.
func (u *upload) young(ctx context.Context, sent []cloud.Sent) (young []segment.Part, using string, err error) {
	if err := u.look(ctx); err != nil {
		return nil, "", err
	}
	var parts []segment.Part
	for _, p := range sent {
		parts = append(parts, p.Part)
	}
	if using, err = u.c.Checkpoint(ctx, u.backup, nil, parts, u.fresh); err != nil {
		return nil, "", err
	}
	young, err = u.c.Young(ctx, using, sent)
	return young, using, err
}

// scan reads what the backup needs of one moment of the database.
func (u *upload) scan(ctx context.Context, from start) error {
	return u.e.cfg.Database.Moment(ctx, func(m cairn.Moment) error {
		if m.Stats.Line != from.line {
			return &cairn.Error{
				Code:    cairn.CodeInternal,
				Message: "The database was replaced by another one while a backup of it began. No backup was made.",
				Hint:    "Try again.",
			}
		}
		spans, steps, err := u.plan(m, from)
		if err != nil {
			return err
		}
		stats := m.Stats
		stats.Deletions = 0
		if len(spans) > 0 { // the first segment has none
			if stats.Deletions, err = m.Deletions(spans[0].to); err != nil {
				return err
			}
		}
		var total int64
		written := 0
		u.whole = len(spans) == 1 && spans[0].written
		for i, s := range spans {
			if s.written {
				written++
			}
			for _, t := range steps[i] {
				if t.taken == nil {
					total += t.rows.Bytes
				}
			}
			u.whole = u.whole && (len(steps[i]) != 1 || steps[i][0].taken == nil)
		}
		u.begin(stats, total)
		for i, s := range spans {
			if !s.written {
				u.keep(s, from.held.Segments[s.first], from.held.Parts[s.first])
				continue
			}
			u.write(s, written)
			for _, t := range steps[i] {
				if err := u.follow(m, s, t, len(steps[i]) > 1); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// plan returns the segments that the backup shall have, and the steps in which each
// is written that is.
func (u *upload) plan(m cairn.Moment, from start) (spans []span, steps [][]step, err error) {
	var end int64
	if n := len(from.held.Segments); n > 0 {
		end = from.held.Segments[n-1].To
	}
	count := func(after, to int64) (cairn.Rows, error) {
		if after == 0 && to == m.Stats.Revision { // which would take long
			return cairn.Rows{Documents: m.Stats.Documents, Deletions: m.Stats.Deletions, Bytes: m.Stats.Bytes}, nil
		}
		return m.Count(after, to)
	}
	tail, err := count(end, m.Stats.Revision)
	if err != nil {
		return nil, nil, err
	}
	spans = arrange(from.held, m.Stats, tail)
	steps = make([][]step, len(spans))
	for i, s := range spans {
		if !s.written {
			continue
		}
		if steps[i], err = stepsOf(s, u.candidates(from, s), count); err != nil {
			return nil, nil, err
		}
	}
	return spans, steps, nil
}

// candidates returns the parts that a span could take over.
func (u *upload) candidates(from start, s span) (all []candidate) {
	for i := s.first; i < min(s.end, len(from.held.Parts)); i++ {
		for _, p := range from.held.Parts[i] {
			rank := large
			if u.small(p) {
				rank = small
			}
			if !slices.Contains(from.held.Bad, p.Name) {
				all = append(all, candidate{p, rank})
			}
		}
	}
	for _, p := range from.resumed {
		all = append(all, candidate{p, uploaded})
	}
	return all
}

// smallPart is the size in bytes below which parts are gathered into larger ones.
func (u *upload) smallPart() int64 { return int64(u.e.cfg.PartBytes) / smallShare }

// small reports whether a part is gathered. One that is more than half full is not,
// however well it is compressed: what is written in its place would hardly be larger.
func (u *upload) small(p segment.Part) bool {
	return p.Size < u.smallPart() && 2*p.Plain <= int64(u.e.cfg.PartBytes) && 2*(p.Documents+p.Deletions) <= maxRows
}

// follow does one step of a segment. The rows of a part that is there are read for
// the catalog, which a segment of one part does not have.
func (u *upload) follow(m cairn.Moment, s span, t step, cataloged bool) error {
	if t.taken != nil {
		if err := u.take(*t.taken); err != nil {
			return err
		}
		if !cataloged {
			return u.end()
		}
	}
	var got cairn.Rows
	deletions := s.from > 0 && t.taken == nil
	err := m.Scan(t.from, t.to, deletions, func(doc cairn.Document, hash cairn.Hash) error {
		if doc.Deleted() {
			got.Deletions++
		} else {
			got.Documents++
			got.Bytes += int64(len(doc.JSON))
		}
		return u.row(doc, hash)
	})
	if err != nil {
		return err
	}
	want := t.rows
	if !deletions {
		want.Deletions = 0
	}
	// All of it is compared with the digest in the end.
	if got != want && !u.whole {
		return u.damaged("what is read of it is not what is counted")
	}
	return u.end()
}

// refresh has what the upload uses so far live for another grace, if that was not
// seen to for so long. From then on fresh is about what the checkpoint does not name:
// what is found out later, is sent later, or was on its way.
func (u *upload) refresh(ctx context.Context, age time.Duration) error {
	if err := u.refreshing.Acquire(ctx, 1); err != nil {
		return context.Cause(ctx)
	}
	defer u.refreshing.Release(1)
	if u.fresh.Age() < age {
		return nil
	}
	if err := u.look(ctx); err != nil { // what is gone must not be named
		return err
	}
	next := u.c.Fresh()
	u.mu.Lock()
	b, joined, parts := u.backup, u.joined(), u.used()
	for _, since := range u.underway {
		if since.Age() > next.Age() {
			next = since
		}
	}
	u.mu.Unlock()
	using, err := u.c.Checkpoint(ctx, b, u.kept, parts, u.fresh)
	if err == nil && len(joined) > 0 {
		_, err = u.c.Checkpoint(ctx, b, joined, nil, u.fresh)
	}
	if err != nil {
		return err
	}
	u.fresh = next
	if b.Scope != cairn.ScopeAll {
		return nil
	}
	if err := u.e.cfg.Database.UseJournal(ctx, b.Line, u.c.ID(), namesOf(parts), using); err != nil && ctx.Err() == nil {
		u.e.cfg.Log.Warn("the journal of uploads cannot be written", "err", err)
	}
	return nil
}

// used returns the parts in the bucket that the upload uses, without those of the
// base. The caller holds upload.mu.
func (u *upload) used() []segment.Part {
	used := map[string]segment.Part{}
	for _, p := range u.resumed {
		used[p.Name] = p
	}
	for _, s := range u.stretches {
		for _, p := range s.parts {
			if p.sent && s.written {
				used[p.Name] = p.Part
			}
		}
	}
	return slices.Collect(maps.Values(used))
}

// joined returns the segments up to the last one of which the index was written;
// none if there is none. The caller holds upload.mu.
func (u *upload) joined() (segments []segment.Segment) {
	last := 0
	for _, s := range u.stretches {
		if s.kept == nil {
			break
		}
		segments = append(segments, *s.kept)
		if s.written && s.kept.Index != nil {
			last = len(segments)
		}
	}
	return segments[:last]
}

// An entry is a part in the journal, with a checksum of the JSON of the part, as
// contents have one.
type entry struct {
	cloud.Sent
	CRC *uint32 `json:"crc,omitempty"`
}

// entryOf returns the entry of a part.
func entryOf(p segment.Part) ([]byte, error) {
	sum, err := checksum(p)
	if err != nil {
		return nil, err
	}
	return json.Marshal(entry{cloud.Sent{Part: p}, sum})
}

// parseEntry reads an entry.
func parseEntry(text []byte) (cloud.Sent, error) {
	var e entry
	if err := json.Unmarshal(text, &e); err != nil {
		return e.Sent, err
	}
	if sum, err := checksum(e.Part); err != nil || e.CRC != nil && *sum != *e.CRC {
		return e.Sent, errors.New("it is not what was noted")
	}
	return e.Sent, e.Validate()
}

// journal notes a part that was uploaded. The backup does not depend on it.
func (u *upload) journal(ctx context.Context, p segment.Part) {
	if u.backup.Scope != cairn.ScopeAll {
		return
	}
	entry, err := entryOf(p)
	if err == nil {
		err = u.e.cfg.Database.AddJournal(ctx, u.line(), u.c.ID(), u.backup.ID, p.Name, entry)
	}
	if err != nil && ctx.Err() == nil {
		u.e.cfg.Log.Warn("an uploaded part could not be noted here", "part", p.Name, "err", err)
	}
}
