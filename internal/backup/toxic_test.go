package backup_test

import (
	"cmp"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/internal/bucket"
	"cairn/internal/bucket/s3"
	"cairn/test/s3server"
	"cairn/test/toxic"
)

// TestToxics has the connections to a store go bad in many ways: a creation and a
// restoration are done, or fail and say why, in a time that is bounded. What is
// listed afterwards can be restored, the database is whole, and as soon as the
// store is well again, so is everything else.
func TestToxics(t *testing.T) {
	if raced || os.Getenv("CAIRN_TEST_STORE") == "folder" {
		return // its store is its own, so once is enough: with the tests on S3
	}
	s := s3server.Start(t)
	environ(t, s.Env())
	const stall = 500 * time.Millisecond // for which a connection may stand still
	for _, test := range []struct {
		name     string
		toxics   []toxic.Toxic
		stall    time.Duration // 0 means stall
		standing bool          // they act on the connections that stand only
		drop     bool          // the connections that stand, at the beginning
		heals    time.Duration // after which all is well again; 0 means when the work has ended
		fails    bool          // it cannot be done
		may      bool          // it can, or not
	}{
		{name: "latency", toxics: []toxic.Toxic{toxic.Latency{Delay: 200 * time.Millisecond, Jitter: 50 * time.Millisecond}}},
		{name: "1 MB/s", toxics: []toxic.Toxic{toxic.Bandwidth{PerSecond: 1e6}}, stall: 10 * time.Second}, // buffers hold all of it
		{name: "slow close", toxics: []toxic.Toxic{toxic.SlowClose{Delay: 3 * time.Second}}},
		{name: "connections that were cut", drop: true},
		{name: "some resets", toxics: []toxic.Toxic{toxic.For(func(n int) bool { return n%3 != 0 }, toxic.Reset{After: 1000, Spread: 1e6, Seed: 1})}, may: true},
		{name: "nothing but resets", toxics: []toxic.Toxic{toxic.Reset{After: 1000, Spread: 100_000, Seed: 1}}, drop: true, fails: true},
		{name: "answers that are cut", toxics: []toxic.Toxic{toxic.For(func(n int) bool { return n%2 == 0 }, toxic.Cut{After: 100})}, drop: true, may: true},
		{name: "half-open connections", standing: true, toxics: []toxic.Toxic{toxic.Blackhole{}}},
		{name: "a black hole", toxics: []toxic.Toxic{toxic.Blackhole{}}, fails: true},
		{name: "a black hole for a while", toxics: []toxic.Toxic{toxic.Blackhole{}}, heals: 2 * stall},
		{name: "an answer that stops", toxics: []toxic.Toxic{toxic.Stall{After: 2000}}, may: true},
		{name: "an answer that stops for a while", toxics: []toxic.Toxic{toxic.Stall{After: 2000}}, heals: 2 * stall},
		{name: "nobody listens", toxics: []toxic.Toxic{toxic.Refuse{}}, drop: true, fails: true},
		{name: "nobody listens for a while", toxics: []toxic.Toxic{toxic.Refuse{}}, drop: true, heals: stall / 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := toxic.New(t, strings.TrimPrefix(s.URL, "http://"))
			b, err := s3.OpenImpatient(t.Context(), s3.Location{Bucket: s.Bucket(t), Endpoint: "http://" + p.Addr}, cmp.Or(test.stall, stall))
			if err != nil {
				t.Fatal(err)
			}
			h := newHouse(t, bucket.Retry(bucket.Prefix(b, "some/prefix"), bucket.Policy{}))
			h.fill(18, 500_000)
			first := h.create()
			h.apply(doc("changed", "since", 100))
			h.unbase() // so that there is something to send
			digests := map[string]cairn.Digest{first.ID: first.Digest}

			under := func(work func(context.Context) (cairn.Backup, error)) (b cairn.Backup, done bool) {
				t.Helper()
				toxics := test.toxics
				if test.standing {
					last := p.Connections()
					toxics = []toxic.Toxic{toxic.For(func(number int) bool { return number <= last }, toxics...)}
				}
				p.Set(toxics...)
				if test.drop {
					p.Drop()
				}
				if test.heals > 0 {
					healing := time.AfterFunc(test.heals, func() { p.Set() })
					defer healing.Stop()
				}
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				defer cancel()
				begun := time.Now()
				b, err := work(ctx)
				t.Logf("it took %v: %v", time.Since(begun).Round(time.Millisecond), err)
				p.Set()
				switch {
				case ctx.Err() != nil:
					t.Error("it has no end")
				case err == nil && test.fails:
					t.Error("it was done, though the store cannot be reached")
				case err != nil && !test.fails && !test.may:
					t.Errorf("it failed: %v", err)
				case err != nil && cairn.CodeOf(err) != cairn.CodeCloudLost:
					t.Errorf("it failed with %s, want %s: %v", cairn.CodeOf(err), cairn.CodeCloudLost, err)
				}
				return b, err == nil
			}
			made, done := under(func(ctx context.Context) (cairn.Backup, error) {
				return h.engine.Create(ctx, h.engine.NewBackup(cairn.ScopeAll), ignore)
			})
			if done {
				digests[made.ID] = made.Digest
			}
			live := h.verify()
			if _, done := under(func(ctx context.Context) (cairn.Backup, error) {
				return h.engine.Restore(ctx, "job", first.ID, ignore)
			}); done {
				live = first.Digest
			}
			if got := h.verify(); got != live {
				t.Errorf("the live database is %s, want %s", got, live)
			}
			h.checkTidy(false)

			// A manifest whose answer was lost may stand.
			list, other := h.list(), h.neighbour()
			for _, b := range list {
				other.restore(b.ID)
				if got := other.verify(); got != b.Digest {
					t.Errorf("%s restores to %s, want %s", b.ID, got, b.Digest)
				}
				delete(digests, b.ID)
			}
			if len(digests) > 0 {
				t.Errorf("the backups %v are not listed", digests)
			}
			last := h.create()
			if other.restore(last.ID); other.verify() != h.verify() {
				t.Errorf("the next backup restores to %s, want %s", other.verify(), h.verify())
			}
		})
	}
}

// environ changes the environment for a test, also for what runs beside it.
func environ(t *testing.T, variables []string) {
	t.Helper()
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		if before, ok := os.LookupEnv(name); ok {
			t.Cleanup(func() { _ = os.Setenv(name, before) })
		} else {
			t.Cleanup(func() { _ = os.Unsetenv(name) })
		}
		if err := os.Setenv(name, value); err != nil {
			t.Fatal(err)
		}
	}
}
