package test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cairn"
	"cairn/api"
	"cairn/client"
	"cairn/test/harness"
)

// TestDamagedClouds damages each kind of object. A restoration that needs it says
// so and changes nothing, other backups restore, and once the object is put back
// all is well, without a restart.
func TestDamagedClouds(t *testing.T) {
	t.Parallel()
	eachCloud(t, func(t *testing.T, cloud place) {
		t.Parallel()
		d := cloud.serve(t, harness.Options{})
		r := &ruin{cloud: cloud, c: client.New(d.URL)}
		r.fill(t)
		part, index, manifest := r.objects(t, "parts"), r.objects(t, "indexes"), "backups/"+r.first.ID+".json.age"
		if len(part) != 2 || len(index) != 1 {
			t.Fatalf("the backup has the parts %q and the indexes %q, want two and one", part, index)
		}
		if _, err := r.c.WriteDocuments(t.Context(), []api.DocumentLine{{Collection: "odd", ID: "later", Document: []byte(`{}`)}}); err != nil {
			t.Fatal(err)
		}
		back := r.missing(manifest)(t) // the second one shall not build on the first
		r.second = r.create(t)
		back()
		r.database = databaseOf(t, r.c)
		for _, tt := range []struct {
			name   string
			damage func(t *testing.T) (undo func())
			object string // that is told of
			code   cairn.Code
		}{
			{"part flipped", r.flipped(part[1]), part[1], cairn.CodeDamaged},
			{"part cut", r.rewritten(part[0], func(text []byte) []byte { return text[:len(text)-1] }), part[0], cairn.CodeDamaged},
			{"part too long", r.rewritten(part[0], func(text []byte) []byte { return append(text, 0) }), part[0], cairn.CodeDamaged},
			{"parts swapped", r.swapped(part[0], part[1]), "parts/", cairn.CodeDamaged},
			{"part missing", r.missing(part[1]), part[1], cairn.CodeDamaged},
			{"index flipped", r.flipped(index[0]), index[0], cairn.CodeDamaged},
			{"index missing", r.missing(index[0]), index[0], cairn.CodeDamaged},
			{"manifest flipped", r.flipped(manifest), manifest, cairn.CodeDamaged},
			{"manifest missing", r.missing(manifest), r.first.ID, cairn.CodeBackupNotFound},
			{"description flipped", r.flipped("cairn.json"), "cairn.json", cairn.CodeDamaged},
		} {
			t.Run(tt.name, func(t *testing.T) {
				undo := tt.damage(t)
				r.refuses(t, tt.code, tt.object)
				if tt.object != "cairn.json" {
					r.restores(t, r.second)
				}
				undo()
				r.restores(t, r.first)
			})
		}
		t.Run("manifests swapped", func(t *testing.T) {
			undo := r.swapped(manifest, "backups/"+r.second.ID+".json.age")(t)
			r.refuses(t, cairn.CodeDamaged, manifest)
			undo()
			r.restores(t, r.first)
		})
		r.restores(t, r.create(t))
	})
}

// A ruin is a cloud that is damaged, with two backups that have no object in
// common, and a daemon.
type ruin struct {
	cloud         place
	c             *client.Client
	first, second api.Backup
	database      api.DatabaseStatus
}

// fill writes documents and makes the first backup.
func (r *ruin) fill(t *testing.T) {
	t.Helper()
	fillDatabase(t, r.c, rand.New(rand.NewPCG(1, 2)), 9<<20, 8000)
	r.first = r.create(t)
}

func (r *ruin) create(t *testing.T) api.Backup {
	t.Helper()
	made, err := r.c.CreateBackup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// objects returns the names of the objects in a folder of the cloud.
func (r *ruin) objects(t *testing.T, folder string) (names []string) {
	t.Helper()
	for _, path := range allFiles(t, filepath.Join(r.cloud.dir, folder)) {
		name, err := filepath.Rel(r.cloud.dir, path)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, filepath.ToSlash(name))
	}
	return names
}

// refuses checks that the first backup is not restored, for a reason that names
// an object, and that nothing was changed.
func (r *ruin) refuses(t *testing.T, code cairn.Code, object string) {
	t.Helper()
	_, err := r.c.RestoreBackup(t.Context(), r.first.ID)
	e, ok := errors.AsType[*cairn.Error](err)
	if !ok || e.Code != code || !strings.Contains(e.Message, object) || e.Hint == "" {
		t.Errorf("restoring: %+v, want %s about %s, and a hint", err, code, object)
	}
	if st := databaseOf(t, r.c); st != r.database {
		t.Errorf("the database is %+v, and was %+v", st, r.database)
	}
}

// restores checks that a backup restores to what it says, and undoes that.
func (r *ruin) restores(t *testing.T, b api.Backup) {
	t.Helper()
	restoresTo(t, r.c, b.ID)
	if err := r.c.UndoRestore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := databaseOf(t, r.c); st != r.database {
		t.Errorf("undone, the database is %+v, and was %+v", st, r.database)
	}
}

func (r *ruin) path(object string) string {
	return filepath.Join(r.cloud.dir, filepath.FromSlash(object))
}

// rewritten returns a function that changes an object in place, as a disk does,
// so that what the store knows of it stays.
func (r *ruin) rewritten(object string, change func([]byte) []byte) func(*testing.T) func() {
	return func(t *testing.T) (undo func()) {
		t.Helper()
		text, err := os.ReadFile(r.path(object))
		if err != nil {
			t.Fatal(err)
		}
		write(t, r.path(object), string(change(slices.Clone(text))))
		return func() { write(t, r.path(object), string(text)) }
	}
}

func (r *ruin) flipped(object string) func(*testing.T) func() {
	return r.rewritten(object, func(text []byte) []byte { text[len(text)/2] ^= 1; return text })
}

// swapped returns a function that gives each of two objects the bytes of the
// other one.
func (r *ruin) swapped(a, b string) func(*testing.T) func() {
	return func(t *testing.T) (undo func()) {
		t.Helper()
		text, err := os.ReadFile(r.path(a))
		if err != nil {
			t.Fatal(err)
		}
		other, err := os.ReadFile(r.path(b))
		if err != nil {
			t.Fatal(err)
		}
		write(t, r.path(a), string(other))
		write(t, r.path(b), string(text))
		return func() { write(t, r.path(a), string(text)); write(t, r.path(b), string(other)) }
	}
}

// missing returns a function that takes an object away.
func (r *ruin) missing(object string) func(*testing.T) func() {
	return func(t *testing.T) (undo func()) {
		t.Helper()
		away := r.cloud.dir + ".away" // with what the store knows of it
		if err := os.Rename(r.path(object), away); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := os.Rename(away, r.path(object)); err != nil {
				t.Fatal(err)
			}
		}
	}
}
