package backup

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"cairn"
	"cairn/internal/cloud"
	"cairn/internal/segment"
)

// An inspection is one verification of a backup or of all. It holds a description of
// each part, as a restoration does, some 300 bytes, but nothing of documents.
type inspection struct {
	e    *Engine
	c    *cloud.Cloud
	tell func(cairn.Progress)

	mu       sync.Mutex // guards what follows while several goroutines work
	backups  []cairn.AffectedBackup
	segments []*checkedSegment
	parts    []checkedPart
	known    map[segmentKey]int   // place in segments
	part     map[segment.Part]int // place in parts
	findings map[string]*finding  // by the name of the object
	unlike   string               // id of the backup that was rehearsed, if its rows are not what it says
	done     cairn.Progress
	v        cairn.Verification
}

// A checkedSegment is a segment, once for all backups that share it.
type checkedSegment struct {
	segment.Segment
	backups []int        // of inspection.backups
	parts   []int        // of inspection.parts, in order; none when the index cannot be read
	catalog cairn.Digest // of the index
	first   bool         // of a backup
}

// A segmentKey tells segments apart: those that say the same of the same object are
// one.
type segmentKey struct {
	segment segment.Segment // without its pointers
	index   segment.Object
	part    segment.Part
}

// A checkedPart is a part, once for all backups and segments that share it.
type checkedPart struct {
	segment.Part
	rows cairn.Digest // what the catalog must say of its documents; once it was read
	read bool         // and found to be what is said of it
}

// A finding is an object that is damaged or could not be looked at.
type finding struct {
	problem *cairn.Error
	damaged bool
	backups map[int]bool // that need it; set by dropDeleted
}

// mostUnchecked is how many objects a store may fail to give before it counts as the
// store's failure.
const mostUnchecked = 100

// lookups is how many objects are asked for at once, indexReaders how many indexes
// are read.
const (
	lookups      = 8
	indexReaders = 4
)

func newInspection(e *Engine, c *cloud.Cloud, tell func(cairn.Progress)) *inspection {
	return &inspection{
		e: e, c: c, tell: tell,
		known: map[segmentKey]int{}, part: map[segment.Part]int{}, findings: map[string]*finding{},
	}
}

// add takes a manifest.
func (in *inspection) add(m cloud.Manifest) {
	own := m.Bytes // of the manifest itself
	in.backups = append(in.backups, cairn.AffectedBackup{ID: m.ID, Created: m.Created, DeviceName: m.DeviceName})
	in.v.Backups++
	for i, s := range m.Segments {
		own -= s.Stored
		key := segmentKey{segment: s}
		key.segment.Part, key.segment.Index = nil, nil
		if s.Index != nil {
			key.index = *s.Index
		}
		if s.Part != nil {
			key.part = *s.Part
		}
		n, ok := in.known[key]
		if !ok {
			n = len(in.segments)
			in.known[key] = n
			in.segments = append(in.segments, &checkedSegment{Segment: s})
			if s.Part != nil {
				in.segments[n].parts = []int{in.place(*s.Part)}
			}
			if s.Index != nil {
				in.count(s.Index.Size)
			}
		}
		in.segments[n].backups = append(in.segments[n].backups, len(in.backups)-1)
		in.segments[n].first = in.segments[n].first || i == 0
	}
	in.count(own)
}

// lose takes a backup whose manifest cannot be read.
func (in *inspection) lose(id string) {
	b, _ := cairn.ParseBackupID(id)
	in.backups = append(in.backups, cairn.AffectedBackup{ID: id, Created: b.Created})
}

// count counts an object that was not met before.
func (in *inspection) count(bytes int64) {
	in.v.Objects++
	in.v.Bytes += bytes
}

// place returns where a part is, or will be, in parts.
func (in *inspection) place(p segment.Part) int {
	i, ok := in.part[p]
	if !ok {
		i = len(in.parts)
		in.part[p] = i
		in.parts = append(in.parts, checkedPart{Part: p})
		in.count(p.Size)
	}
	return i
}

// all returns the places of all parts.
func (in *inspection) all() []int {
	places := make([]int, len(in.parts))
	for i := range places {
		places[i] = i
	}
	return places
}

// readIndexes reads the indexes, several at once. share is how much of the parts is
// looked at afterwards, about: it makes up the progress.
func (in *inspection) readIndexes(ctx context.Context, share float64) error {
	in.done = cairn.Progress{}
	for _, s := range in.segments {
		if s.Index != nil {
			in.done.Total += s.Index.Size + int64(share*float64(s.Stored-s.Index.Size))
		} else {
			in.done.Total += int64(share * float64(s.Stored))
		}
	}
	in.advance(0)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(indexReaders)
	for _, s := range in.segments {
		if s.Index == nil {
			continue
		}
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := in.readIndex(ctx, s); err != nil {
				return err
			}
			in.advance(s.Index.Size)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return in.checkFirsts(ctx)
}

// readIndex reads the index of a segment.
func (in *inspection) readIndex(ctx context.Context, s *checkedSegment) error {
	type content struct {
		parts   []segment.Part
		catalog cairn.Digest
	}
	index, err := askDuring(ctx, in.e, func() (x content, err error) {
		x.parts, x.catalog, err = in.c.CheckIndex(ctx, s.Segment)
		return x, err
	})
	if err != nil {
		return in.judge(ctx, s.Index.Name, err)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	s.catalog = index.catalog
	for _, p := range index.parts {
		s.parts = append(s.parts, in.place(p))
	}
	return nil
}

// checkFirsts refuses what no first segment of a backup holds.
func (in *inspection) checkFirsts(ctx context.Context) error {
	for _, s := range in.segments {
		if !s.first {
			continue
		}
		for _, i := range s.parts {
			if err := checkFirst(in.c, []segment.Part{in.parts[i].Part}); err != nil {
				if err := in.judge(ctx, in.parts[i].Name, err); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// expect has the progress count so many bytes from here on, besides what is done.
func (in *inspection) expect(places []int) {
	in.mu.Lock()
	in.done.Total = in.done.Done
	for _, i := range places {
		in.done.Total += in.parts[i].Size
	}
	in.mu.Unlock()
	in.advance(0)
}

// advance tells that so many bytes more are done.
func (in *inspection) advance(bytes int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.done.Done += bytes
	in.tell(in.done)
}

// lookFor asks for parts, several at once, whether they are there.
func (in *inspection) lookFor(ctx context.Context, places []int) error {
	in.expect(places)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookups)
	for _, i := range places {
		p := in.parts[i].Part
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			_, err := askDuring(ctx, in.e, func() (struct{}, error) { return struct{}{}, in.c.Present(ctx, p.Object) })
			if err != nil {
				err = in.judge(ctx, p.Name, err)
			}
			in.advance(p.Size)
			return err
		})
	}
	return g.Wait()
}

// read reads parts, none of them twice, of which those that were found damaged before
// are left out, and has prepare take the rows of each; it gets the place of the part in the list, and
// the rest is as in Database.Replace. It takes half the memory of a restoration,
// since it may go on beside one.
func (in *inspection) read(ctx context.Context, places []int, prepare prepare) error {
	var order, from []int // of places
	var runs [][]segment.Part
	in.mu.Lock()
	for at, i := range places {
		if p := in.parts[i].Part; in.findings[p.Name] == nil {
			order, from, runs = append(order, i), append(from, at), append(runs, []segment.Part{p})
		}
	}
	in.mu.Unlock()
	in.expect(order)
	err := in.e.download(ctx, in.c, runs, intake{
		memory: in.e.cfg.Memory / 2,
		prepare: func(n int, docs []cairn.Document) (func() error, error) {
			insert, err := prepare(from[n], docs)
			if err == nil {
				p := &in.parts[order[n]]
				p.rows, p.read = catalogued(docs), true
			}
			return insert, err
		},
		failed: func(p segment.Part, err error) error { return in.judge(ctx, p.Name, err) },
		done:   func(p segment.Part) { in.advance(p.Size) },
	})
	if err != nil {
		return err
	}
	for _, i := range order {
		if in.parts[i].read {
			in.v.Read++
			in.v.ReadBytes += in.parts[i].Size
		}
	}
	in.compareCatalogs()
	return nil
}

// catalogued returns the digest of what a catalog says of documents.
func catalogued(docs []cairn.Document) (sum cairn.Digest) {
	for _, d := range docs {
		if !d.Deleted() {
			sum = sum.Add(segment.NewRow(d, cairn.ContentHash(d.JSON), nil).Digest())
		}
	}
	return sum
}

// compareCatalogs compares each catalog with the documents that were read, where
// those of all its parts were.
func (in *inspection) compareCatalogs() {
	for _, s := range in.segments {
		if s.Index == nil || len(s.parts) == 0 || slices.ContainsFunc(s.parts, func(i int) bool { return !in.parts[i].read }) {
			continue
		}
		var sum cairn.Digest
		for _, i := range s.parts {
			sum = sum.Add(in.parts[i].rows)
		}
		if sum != s.catalog {
			in.note(s.Index.Name, in.c.Damaged(s.Index.Name, "its catalog does not say what its parts hold"), true)
		}
	}
}

// judge takes the error that asking for an object came to. What it says of the object
// is noted; so is that the store did not give this one, if it answers still. Else
// the error is returned: then it is not the object.
func (in *inspection) judge(ctx context.Context, name string, err error) error {
	problem, _ := errors.AsType[*cairn.Error](err)
	switch cairn.CodeOf(err) {
	case cairn.CodeDamaged:
		in.note(name, problem, true)
		return nil
	case cairn.CodeFormatTooNew:
		in.note(name, problem, false)
		return nil
	case cairn.CodeDenied, cairn.CodeRejected, cairn.CodeCloudBusy, cairn.CodeCloudLost:
		if ctx.Err() != nil || in.unchecked() >= mostUnchecked {
			return err
		}
		if lost := in.e.check(ctx, in.c); lost != nil && cairn.CodeOf(lost) != cairn.CodeDamaged {
			return err
		}
		in.note(name, problem, false)
		return nil
	}
	return err
}

// healed ends the hint for what holds documents.
const healed = " The next backup that this device makes writes anew what its database still has of it."

// note notes a finding. The first one of an object counts.
func (in *inspection) note(name string, problem *cairn.Error, damaged bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.findings[name] != nil {
		return
	}
	if _, manifest := cloud.BackupOf(name); damaged && !manifest && name != cloud.DescriptionName {
		told := *problem
		told.Hint += healed
		problem = &told
	}
	in.findings[name] = &finding{problem: problem, damaged: damaged}
}

// sound reports whether nothing was found.
func (in *inspection) sound() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.findings) == 0
}

// unchecked counts the objects of which nobody knows.
func (in *inspection) unchecked() (n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, f := range in.findings {
		if !f.damaged {
			n++
		}
	}
	return n
}

// dropDeleted finds out which backups need what was found, and drops what only
// such need as have been deleted meanwhile: what another device prunes then is no
// damage. Nor is it, if the place is another one by now.
func (in *inspection) dropDeleted(ctx context.Context) error {
	if len(in.findings) == 0 {
		return nil
	}
	if err := in.e.check(ctx, in.c); err != nil && cairn.CodeOf(err) != cairn.CodeDamaged {
		return err
	}
	in.assign()
	var needed []int
	for _, f := range in.findings {
		needed = slices.AppendSeq(needed, maps.Keys(f.backups))
	}
	slices.Sort(needed)
	gone := map[int]bool{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookups)
	for _, b := range slices.Compact(needed) {
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			there, err := askDuring(ctx, in.e, func() (bool, error) { return in.c.Has(ctx, in.backups[b].ID) })
			in.mu.Lock()
			defer in.mu.Unlock()
			if gone[b] = !there; err != nil {
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	maps.DeleteFunc(in.findings, func(_ string, f *finding) bool {
		before := len(f.backups)
		maps.DeleteFunc(f.backups, func(b int, _ bool) bool { return gone[b] })
		return before > 0 && len(f.backups) == 0
	})
	return nil
}

// assign finds out which backups need what was found.
func (in *inspection) assign() {
	for _, f := range in.findings {
		f.backups = map[int]bool{}
	}
	need := func(name string, backups ...int) {
		if f := in.findings[name]; f != nil {
			for _, b := range backups {
				f.backups[b] = true
			}
		}
	}
	for i, b := range in.backups {
		need(cloud.ManifestName(b.ID), i)
		need(cloud.DescriptionName, i)
	}
	for _, s := range in.segments {
		if s.Index != nil {
			need(s.Index.Name, s.backups...)
		}
		for _, p := range s.parts {
			need(in.parts[p].Name, s.backups...)
		}
	}
}

// result returns what was found.
func (in *inspection) result() cairn.Verification {
	v := in.v
	damaged := make([]int64, len(in.backups)) // objects of each
	newest := func(a, b int) int {
		return cmp.Or(in.backups[b].Created.Compare(in.backups[a].Created), strings.Compare(in.backups[b].ID, in.backups[a].ID))
	}
	for _, name := range slices.Sorted(maps.Keys(in.findings)) {
		f := in.findings[name]
		told := cairn.Finding{Object: name, Problem: f.problem}
		for _, b := range slices.SortedFunc(maps.Keys(f.backups), newest) {
			if f.damaged {
				damaged[b]++
			}
			if len(told.Backups) < cairn.MaxFindingBackups {
				told.Backups = append(told.Backups, in.backups[b].ID)
			} else {
				told.MoreBackups++
			}
		}
		list, more := &v.Unchecked, &v.MoreUnchecked
		if f.damaged {
			list, more = &v.Damaged, &v.MoreDamaged
		}
		if len(*list) < cairn.MaxFindings {
			*list = append(*list, told)
		} else {
			*more++
		}
	}
	for b := range in.backups {
		if damaged[b] > 0 {
			affected := in.backups[b]
			affected.Objects = damaged[b]
			v.Affected = append(v.Affected, affected)
		}
	}
	slices.SortFunc(v.Affected, func(a, b cairn.AffectedBackup) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(b.ID, a.ID))
	})
	return v
}

// spoiled returns the names of the objects that are damaged.
func (in *inspection) spoiled() (names []string) {
	for name, f := range in.findings {
		if f.damaged {
			names = append(names, name)
		}
	}
	return names
}
