package database_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cairn"
)

// TestRehearse says of backups what Replace would, and changes nothing.
func TestRehearse(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	apply(t, db, put("live", `{"v":1}`))
	before, stats := snapshot(t, dir), db.Stats()
	lost := errors.New("lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(lost)
	twice := [][]cairn.Document{{at(1, put("a", `{}`)), at(2, put("a", `{}`))}}
	wrong := replacement("job", backedUp()...)
	wrong.Want.Bytes++
	for name, test := range map[string]struct {
		ctx  context.Context
		r    cairn.Replacement
		fill func(prepareFunc) error
		want error
	}{
		"whole":           {t.Context(), replacement("job", backedUp()...), feed(backedUp()...), nil},
		"a byte fewer":    {t.Context(), wrong, feed(backedUp()...), cairn.ErrUnlike},
		"a row fewer":     {t.Context(), replacement("job", backedUp()...), feed(backedUp()[:2]...), cairn.ErrUnlike},
		"a row twice":     {t.Context(), replacement("job", twice...), feed(twice...), cairn.ErrUnlike},
		"what fill says":  {t.Context(), replacement("job", backedUp()...), func(prepareFunc) error { return lost }, lost},
		"a context's end": {ctx, replacement("job", backedUp()...), feed(backedUp()...), lost},
	} {
		if err := db.Rehearse(test.ctx, test.r, test.fill); !errors.Is(err, test.want) {
			t.Errorf("%s: it returned %v, want %v", name, err, test.want)
		}
		if got := db.Stats(); got != stats {
			t.Errorf("%s: the live database has the numbers %+v, want %+v", name, got, stats)
		}
		if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
			t.Errorf("%s: the folder (-before +after):\n%.2000s", name, diff)
		}
	}
}
