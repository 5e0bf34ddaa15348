package cloud

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"cairn"
	"cairn/internal/bucket"
)

// PruneOptions say how to prune. The zero value prunes and tells nobody.
type PruneOptions struct {
	// DryRun only looks: it writes and removes nothing, and takes the time from
	// the clock of this computer.
	DryRun bool
	// Report hears how far it is. It must not wait; calls come one at a time.
	Report func(cairn.PruneProgress)
}

// Prune removes what no backup needs: parts and indexes that neither a manifest in
// backups/ names, nor one in trash/ whose grace lasts, and that are older than the
// grace themselves; then the copies in trash/ whose grace is over. Any number of
// devices may create, delete, undelete and prune meanwhile, and sleep at any moment.
//
// It removes nothing at all unless it has read every manifest and index that counts:
// cairn.CodeDamaged and CodeFormatTooNew name what is in the way. CodeStale says
// that looking took too long. Then the result is empty. When a removal fails, or ctx
// ends, what was removed until then is told with the error; the rest waits for the
// next time.
//
// docs/format.md has the rules, and why no listed backup ever loses an object.
func (c *Cloud) Prune(ctx context.Context, o PruneOptions) (cairn.Pruned, error) {
	p := &pruning{c: c, dry: o.DryRun, report: o.Report}
	if p.report == nil {
		p.report = func(cairn.PruneProgress) {}
	}
	err := p.run(ctx)
	p.dropProbes(ctx)
	return p.result(), err
}

// A pruning is one Prune. All times are by the bucket's clock.
type pruning struct {
	c      *Cloud
	dry    bool
	report func(cairn.PruneProgress)

	now    time.Time // no later than when backups/ is listed
	parts  shelf
	index  shelf
	probes []string // of its own
	trash  trashcan
	listed map[string]bool // ids in backups/
	found  int64           // objects listed
	looked bool            // all that counts was read

	foreign int64
	emptied int64
	deleted cairn.Count
	backups int64
}

// A shelf is a folder of objects of which one is needed or not.
type shelf struct {
	folder string
	stored []stored // by key
}

// A stored is a part or an index. There can be a million, so it has no name.
type stored struct {
	key  [randomBytes]byte // of its name
	size int64
	old  bool // older than the grace
	live bool // named by a manifest that counts
}

// errAgain has prune look at the manifests anew.
var errAgain = errors.New("what was found does not fit together")

// looks is how often prune looks at the manifests until it sees them at one moment.
const looks = 5

func (p *pruning) run(ctx context.Context) error {
	if err := p.c.Check(ctx); err != nil {
		return err
	}
	if err := p.begin(ctx); err != nil {
		return err
	}
	p.parts.folder, p.index.folder = partFolder, indexFolder
	for _, s := range []*shelf{&p.parts, &p.index} {
		if err := p.fill(ctx, s); err != nil {
			return err
		}
	}
	if err := p.look(ctx); err != nil {
		return err
	}
	p.looked = true
	if p.dry {
		return nil
	}
	if err := p.c.Check(ctx); err != nil { // it may be another disk by now
		return err
	}
	return p.sweep(ctx)
}

// begin learns the time.
func (p *pruning) begin(ctx context.Context) error {
	if p.dry {
		p.now = p.c.wall()
		return nil
	}
	name, now, err := p.c.probe(ctx)
	p.probes, p.now = append(p.probes, name), now
	return err
}

// dropProbes removes the probes of this pruning, unless ctx has ended: then another
// one does.
func (p *pruning) dropProbes(ctx context.Context) {
	for _, name := range p.probes {
		if ctx.Err() == nil {
			p.c.dropProbe(ctx, name)
		}
	}
}

// fill lists a folder. This comes before the manifests are listed: what is stored
// later is not in it, and what is named by a manifest that comes later is younger
// than the grace, or in one that is found.
func (p *pruning) fill(ctx context.Context, s *shelf) error {
	for object, err := range p.c.cfg.Bucket.List(ctx, s.folder) {
		if err != nil {
			return p.c.failure(ctx, "listing", s.folder, err)
		}
		p.count()
		key, ok := linesKey(s.folder, object.Name)
		if !ok {
			p.foreign++
			continue
		}
		s.stored = append(s.stored, stored{key: key, size: object.Size, old: p.c.over(object.Modified, p.now)})
	}
	s.stored = slices.Clip(s.stored)
	return nil
}

// count counts an object that was listed, and tells of each thousandth.
func (p *pruning) count() {
	if p.found++; p.found%1000 == 1 {
		p.report(cairn.PruneProgress{Step: cairn.PruneListing, Done: p.found})
	}
}

// look finds the manifests that count, and marks what they name. It begins anew
// when one is gone before it was read, or its index, and when listing took too long.
func (p *pruning) look(ctx context.Context) error {
	for try := 1; ; try++ {
		names, err := p.list(ctx)
		if err == nil {
			err = p.read(ctx, names)
		}
		again := errors.Is(err, errAgain)
		if !again && !errors.Is(err, bucket.ErrNotFound) || !again && try == looks {
			return err
		}
		if try == looks {
			return &cairn.Error{
				Code:    cairn.CodeStale,
				Message: fmt.Sprintf("The backups of the cloud %s could not be seen at one moment, in %d tries. Nothing was deleted.", p.c.url, looks),
				Hint:    "Its listings may be late, or slow, or many backups be deleted just now. Try again later.",
				Err:     err,
			}
		}
		// Another device may have pruned by a later time what counts at this one.
		if err := p.begin(ctx); err != nil {
			return err
		}
	}
}

// A source is the object of a manifest that counts.
type source struct{ name, id string }

// list lists backups/ and then trash/, and returns the manifests that count. A
// backup that was deleted before backups/ was listed has its copy in trash/ then:
// it is removed a whole grace after the backup was gone, or later. So both are
// listed within an eighth of the grace, and a probe that is written in between, and
// must be listed, shows that the second listing is not behind the first.
func (p *pruning) list(ctx context.Context) ([]source, error) {
	fresh := p.c.freshFor(p.c.grace / 8)
	p.listed = map[string]bool{}
	var names []source
	known := p.c.recall(ctx)
	all, err := p.c.list(ctx, known)
	if err != nil {
		return nil, err
	}
	for _, l := range append(all, absent(all, known, nil)...) {
		p.count()
		if l.absent {
			if err := p.c.find(ctx, &l); err != nil {
				return nil, err
			}
		}
		switch {
		case l.gone:
		case l.id != "":
			p.listed[l.id] = true
			names = append(names, source{l.object.Name, l.id})
		case isIncidental(path.Base(l.object.Name)):
			p.foreign++
		default:
			blocked := p.blocked(l.problem, 1)
			blocked.Hint = "Move it out of " + backupFolder + ", where nothing but manifests belongs."
			return nil, blocked
		}
	}
	if err := p.listTrash(ctx); err != nil {
		return nil, err
	}
	if err := fresh.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", errAgain, err)
	}
	return p.addTrash(ctx, names)
}

// listTrash lists trash/ until it has a probe that is written before.
func (p *pruning) listTrash(ctx context.Context) (err error) {
	if p.dry {
		p.trash, err = p.c.listTrash(ctx, "")
		return err
	}
	name, _, err := p.c.probe(ctx)
	p.probes = append(p.probes, name)
	if err != nil {
		return err
	}
	for range looks {
		if p.trash, err = p.c.listTrash(ctx, ""); err != nil {
			return err
		}
		if slices.ContainsFunc(p.trash.probes, func(o bucket.Object) bool { return o.Name == name }) {
			return nil
		}
		if err := wait(ctx, time.Second); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: a listing lags behind", errAgain)
}

// wait returns after some time, or when ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// addTrash adds the manifests of trash/ that count. A copy without a receipt does:
// whoever deleted the backup, or meant to, or brought it back, has not written one.
// When the backup is gone, and not about to come back, this does.
func (p *pruning) addTrash(ctx context.Context, names []source) ([]source, error) {
	for _, t := range p.trash.copies {
		if !t.receipt.IsZero() && p.c.over(t.receipt, p.now) {
			continue
		}
		names = append(names, source{t.object.Name, t.id})
		if t.receipt.IsZero() && !p.listed[t.id] && !p.dry && p.c.over(t.object.Modified, p.now) {
			if err := p.c.writeReceipt(ctx, t.object.Name); err != nil {
				return nil, err
			}
		}
	}
	for _, t := range p.trash.checkpoints {
		if !p.c.over(t.object.Modified, p.now) {
			names = append(names, source{t.object.Name, t.id})
		}
	}
	return names, nil
}

// read reads the manifests and their indexes, several at once, and marks what they
// name.
func (p *pruning) read(ctx context.Context, names []source) error {
	r := &reading{p: p, total: int64(len(names)), indexes: map[string]bool{}}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fetches)
	for _, n := range names {
		g.Go(guarded(n.name, func() error {
			if err := ctx.Err(); err != nil {
				return err // of the first that failed, or of the caller
			}
			return r.note(r.manifest(ctx, n))
		}))
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if r.first != nil {
		return p.blocked(r.first, r.unreadable)
	}
	ids := map[string]bool{}
	for _, n := range names {
		ids[n.id] = true
	}
	p.backups = int64(len(ids))
	return nil
}

// A reading reads the manifests of a pruning.
type reading struct {
	p     *pruning
	total int64

	mu         sync.Mutex
	done       int64
	indexes    map[string]bool // that were read, or are
	first      *cairn.Error    // why a manifest or an index cannot be used
	unreadable int
}

// note counts a manifest that was read, and keeps why one is in the way.
func (r *reading) note(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done++
	r.p.report(cairn.PruneProgress{Step: cairn.PruneReading, Done: r.done, Total: r.total})
	switch cairn.CodeOf(err) {
	case cairn.CodeDamaged, cairn.CodeFormatTooNew:
		e, _ := errors.AsType[*cairn.Error](err)
		if r.unreadable++; r.first == nil || e.Message < r.first.Message {
			r.first = e
		}
		return nil
	}
	return err
}

// manifest reads a manifest and its indexes.
func (r *reading) manifest(ctx context.Context, n source) error {
	c := r.p.c
	data, err := c.read(ctx, n.name, nil, maxManifest)
	if errors.Is(err, bucket.ErrNotFound) {
		return fmt.Errorf("%w: %w", errAgain, err)
	}
	if err != nil {
		return c.failure(ctx, "reading", n.name, err)
	}
	decode := c.decodeBackup
	if kind, _, _ := trashOf(n.name); kind == trashCheckpoint {
		decode = c.decode
	}
	m, err := decode(n.name, data, n.id)
	if err != nil {
		return err
	}
	for _, s := range m.Segments {
		if s.Index != nil && !r.claim(s.Index.Name) {
			continue
		}
		parts, err := c.Parts(ctx, s)
		if err != nil {
			return err
		}
		for _, part := range parts {
			r.mark(&r.p.parts, part.Name)
		}
	}
	return nil
}

// claim marks an index, and reports whether it is to be read.
func (r *reading) claim(name string) bool {
	r.mark(&r.p.index, name)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.indexes[name] {
		return false
	}
	r.indexes[name] = true
	return true
}

// mark has an object live, if it was listed.
func (r *reading) mark(s *shelf, name string) {
	key, ok := linesKey(s.folder, name)
	if !ok {
		return // no manifest that can be read has such a name
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if i, ok := slices.BinarySearchFunc(s.stored, key, stored.compare); ok {
		s.stored[i].live = true
	}
}

func (s stored) compare(key [randomBytes]byte) int { return slices.Compare(s.key[:], key[:]) }

// blocked returns the error for a manifest or an index that cannot be used, of so
// many.
func (p *pruning) blocked(e *cairn.Error, n int) *cairn.Error {
	blocked := *e
	blocked.Message = "Nothing was deleted, since not all that the backups need is known. " + e.Message
	if n > 1 {
		blocked.Message += fmt.Sprintf(" So are %d others.", n-1)
	}
	if e.Code == cairn.CodeDamaged {
		blocked.Hint = "Put it back from a copy of the bucket, or delete the backups that use it; cairn status names unreadable ones. " +
			fmt.Sprintf("When they have been deleted for %s, prune goes on without them.", p.c.grace)
	}
	blocked.Err = e
	return &blocked
}
