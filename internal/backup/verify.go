package backup

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"cairn"
	"cairn/internal/cloud"
)

// Verify looks at all that a backup consists of. Its manifest and its indexes are
// read and proved; of its parts it asks whether they are there and how long they
// are, or, with readData, it reads them, and restores the backup without putting it
// in the place of the live database: see [inspection.rehearse].
//
// What is damaged is in the Verification, and is no error. An error says that the
// backup could not be verified: cairn.CodeBackupNotFound, CodeFormatTooNew,
// CodeCheckRunning while another verification goes on, those of a cloud, and with
// readData those of the local disk. tell hears how many bytes are done; it must not
// wait.
func (e *Engine) Verify(ctx context.Context, id string, readData bool, tell func(cairn.Progress)) (cairn.Verification, error) {
	return e.inspect(ctx, tell, func(ctx context.Context, in *inspection) error {
		if err := in.readBackup(ctx, id, readData); err != nil || in.sound() {
			return err
		}
		err := in.dropDeleted(ctx)
		if err == nil && in.sound() { // it was deleted meanwhile, which its manifest says
			_, err = askDuring(ctx, e, func() (cloud.Manifest, error) { return in.c.Manifest(ctx, id) })
		}
		return err
	})
}

// readBackup looks at one backup.
func (in *inspection) readBackup(ctx context.Context, id string, readData bool) error {
	m, err := askDuring(ctx, in.e, func() (cloud.Manifest, error) { return in.c.Manifest(ctx, id) })
	if cairn.CodeOf(err) == cairn.CodeDamaged {
		in.lose(id)
		return in.judge(ctx, cloud.ManifestName(id), err)
	}
	if err != nil {
		return err
	}
	in.add(m)
	if err := in.readIndexes(ctx, 1); err != nil {
		return err
	}
	if readData {
		return in.rehearse(ctx, m)
	}
	return in.lookFor(ctx, in.all())
}

// CheckCloud looks at all backups of the cloud, of either scope, and reads a subset
// of their parts. Each manifest and each index is read once and proved, and that the
// parts are there is what a listing says, or else their own answer. Each part is
// read at most once, however many backups share it.
//
// Errors are as with Verify, but nothing of the local disk is used, and that the
// documents of a backup add up to what its manifest says is left to Verify.
func (e *Engine) CheckCloud(ctx context.Context, subset cairn.Subset, tell func(cairn.Progress)) (cairn.Verification, error) {
	return e.inspect(ctx, tell, func(ctx context.Context, in *inspection) error {
		// Objects are listed before the manifests that name them: what a creation
		// has written since is looked for by itself.
		stock, err := askDuring(ctx, e, func() (*cloud.Stock, error) { return in.c.Stock(ctx) })
		if err != nil {
			return err
		}
		if err := in.readManifests(ctx); err != nil {
			return err
		}
		if err := in.readIndexes(ctx, in.share(subset)); err != nil {
			return err
		}
		if err := in.lookFor(ctx, in.take(stock)); err != nil {
			return err
		}
		in.v.Unreferenced, in.v.UnreferencedBytes, in.v.Foreign = stock.Objects, stock.Bytes, stock.Foreign
		if err := in.read(ctx, in.choose(subset), discard); err != nil {
			return err
		}
		return in.dropDeleted(ctx)
	})
}

// inspect has one verification done at a time: a second one would take as much
// memory again.
func (e *Engine) inspect(ctx context.Context, tell func(cairn.Progress), look func(context.Context, *inspection) error) (cairn.Verification, error) {
	select {
	case e.checking <- struct{}{}:
		defer func() { <-e.checking }()
	default:
		return cairn.Verification{}, &cairn.Error{
			Code:    cairn.CodeCheckRunning,
			Message: "Another verification of a backup or of the cloud goes on.",
			Hint:    "Try again when it has ended.",
		}
	}
	c, err := e.Connect(ctx)
	if err != nil {
		return cairn.Verification{}, err
	}
	in := newInspection(e, c, tell)
	if err = e.check(ctx, c); cairn.CodeOf(err) == cairn.CodeDamaged {
		err = in.judge(ctx, cloud.DescriptionName, err)
	}
	if err == nil {
		tell(cairn.Progress{}) // from here on it goes on
		err = look(ctx, in)
	}
	if err == nil {
		e.spoil(ctx, c, in.spoiled())
		if in.unlike != "" {
			e.distrust(ctx, c, in.unlike)
		}
		return in.result(), nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if names := slices.Sorted(maps.Keys(in.findings)); len(names) > 0 {
		e.cfg.Log.Warn("a verification came to no end, and had found objects that are not as they should be",
			"objects", len(names), "first", names[:min(len(names), 20)], "err", err)
	}
	return cairn.Verification{}, e.lost(c, err)
}

// readManifests adds all backups.
func (in *inspection) readManifests(ctx context.Context) error {
	e := in.e
	bases, err := e.cfg.Database.Bases(ctx, in.c.ID())
	if err != nil && ctx.Err() == nil {
		e.cfg.Log.Warn("the backups that the database knows of cannot be read", "err", err)
	}
	unreadable, err := askDuring(ctx, e, func() ([]cairn.UnreadableBackup, error) {
		return in.c.ReadManifests(ctx, e.expected(bases), in.add)
	})
	if err != nil {
		return err
	}
	for _, u := range unreadable {
		if id, ok := cloud.BackupOf(u.Name); ok {
			in.lose(id)
		}
		if err := in.judge(ctx, u.Name, u.Problem); err != nil {
			return err
		}
	}
	return nil
}

// take returns the parts that the listing does not have as they should be.
func (in *inspection) take(stock *cloud.Stock) (doubtful []int) {
	for _, s := range in.segments {
		if s.Index != nil {
			stock.Take(s.Index.Name)
		}
	}
	for i, p := range in.parts {
		if size, listed := stock.Take(p.Name); !listed || size != p.Size {
			doubtful = append(doubtful, i)
		}
	}
	return doubtful
}

// share returns how much of the parts a subset is, about.
func (in *inspection) share(subset cairn.Subset) float64 {
	if subset.Turns > 0 {
		return 1 / float64(subset.Turns)
	}
	return subset.Percent / 100
}

// choose returns the parts of a subset. Those of a percentage are drawn anew each
// time.
func (in *inspection) choose(subset cairn.Subset) []int {
	order := in.all()
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(in.parts[a].Name, in.parts[b].Name) })
	if subset.Turns > 0 {
		return slices.DeleteFunc(order, func(i int) bool { return !subset.Falls(in.parts[i].Name) })
	}
	random := rand.New(rand.NewPCG(uint64(in.e.cfg.Random()), uint64(in.e.cfg.Random())))
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	return order[:subset.Draw(len(order))]
}

// errDamage ends a rehearsal whose outcome is known.
var errDamage = errors.New("damage was found")

// rehearse reads the parts of a backup and does with them all that a restoration
// does, but for the swap: a later change of a document wins over an earlier one, and
// what is left must be as many documents and deletions, of as many bytes, with the
// digest, as the manifest says.
//
// Nothing smaller would do. Which rows count is not known before all of them were
// seen, since a part does not tell what it replaces, and catalogs do not tell of
// deletions; a set of all ids outgrows any memory. The generation that a restoration
// builds on the disk is a set of ids that does not, its code is the one that the
// verdict is about, and it is removed in the end. So verifying with data takes as
// much of the disk as restoring does.
//
// All parts are read, also when one is damaged; then their rows go nowhere.
func (in *inspection) rehearse(ctx context.Context, m cloud.Manifest) error {
	if !in.sound() { // an index is missing: there is no order to insert in
		return in.read(ctx, in.all(), discard)
	}
	var order, segmentOf []int
	var plain int64
	for i, s := range in.segments { // one backup has each segment once, in order
		plain += s.Plain
		for _, p := range s.parts {
			order, segmentOf = append(order, p), append(segmentOf, i)
		}
	}
	err := in.e.cfg.Database.Rehearse(ctx, replacement("", cairn.Base{Backup: m.ID}, m.Backup, plain), func(prepare prepare) error {
		err := in.read(ctx, order, func(i int, docs []cairn.Document) (func() error, error) {
			if !in.sound() {
				return nothing, nil
			}
			insert, err := prepare(segmentOf[i], docs)
			if err != nil {
				return nil, err
			}
			return func() error {
				if !in.sound() {
					return nil
				}
				return in.contradicts(m.ID, insert())
			}, nil
		})
		if err == nil && !in.sound() {
			err = errDamage
		}
		return err
	})
	if errors.Is(err, errDamage) {
		return nil
	}
	return in.contradicts(m.ID, err)
}

// contradicts notes that the rows of a backup are not what its manifest says, if
// that is what err says. Any other error is returned.
func (in *inspection) contradicts(id string, err error) error {
	problem, ok := errors.AsType[*cairn.Error](err)
	if !ok || !errors.Is(err, cairn.ErrUnlike) {
		return err
	}
	in.note(cloud.ManifestName(id), problem, true)
	in.unlike = id
	return nil
}

// discard takes the rows of a part and does nothing with them.
func discard(int, []cairn.Document) (func() error, error) { return nothing, nil }
