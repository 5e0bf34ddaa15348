// Command bench measures the daemon beside raw SQLite, its backups beside the parts
// that they are made of and beside restic, and those of a small change in a small
// and a large database, in one run and on the same documents, so that the ratios
// mean something on a noisy machine:
//
//	go run ./test/bench
//	go run ./test/bench -docs 10000 -tmp /fast/disk
//	go run ./test/bench -only changes,restic
//	go run ./test/bench -large 5000
//
// The last makes and restores a backup of 5 GB, and fails if that takes more
// memory than it may. Goals that are missed are named at the end; those that do
// not depend on how busy the machine is are errors.
//
// The documents are snippets of real source text: that of the Go installation,
// cut into pieces. The plain binary is built and run as a user would run it;
// clients and daemon share the machine. Temporary folders are removed at the
// end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	docs   int
	rounds int
	single time.Duration
	seed   uint64
	tmp    string
	binary string

	restic string // the program; "" for none

	only  string // names of steps, with commas between them; "" for all
	grown int    // documents in the larger of two databases that change
	large int    // MB of documents; 0 for the usual steps
}

func main() {
	var o options
	flag.IntVar(&o.docs, "docs", 100_000, "how many documents")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each figure is taken; the middle one counts")
	flag.DurationVar(&o.single, "single", time.Second, "how long a round of single writes lasts")
	flag.Uint64Var(&o.seed, "seed", 1, "which documents")
	flag.StringVar(&o.tmp, "tmp", "", "where to put the temporary folder: on the disk to measure (default the system's)")
	flag.StringVar(&o.only, "only", "", "which of singles, bulk, lists, backups, stores, changes and restic to measure (default all)")
	flag.IntVar(&o.grown, "grown", 1_000_000, "how many documents the larger database of changes has; the smaller has a tenth")
	flag.IntVar(&o.large, "large", 0, "instead of all that, make and restore a backup of so many MB of documents")
	flag.StringVar(&o.restic, "restic", "restic", "the restic to compare with")
	flag.StringVar(&o.binary, "binary", "", "the cairn to measure (default: built from this source)")
	flag.Parse()
	o.docs, o.rounds, o.grown = max(o.docs, 1), max(o.rounds, 1), max(o.grown, 10)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp(o.tmp, "cairn-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.binary == "" {
		o.binary = filepath.Join(dir, "cairn")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", o.binary, "cairn/cmd/cairn")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, out)
		}
	}
	b := bench{options: o, dir: dir}
	steps, err := b.steps()
	if err != nil {
		return err
	}
	fmt.Printf("%s/%s, %d cores, %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return b.verdict()
}

// bench is one run.
type bench struct {
	options
	dir  string
	docs documents

	missed []goal
}

// steps returns what is to be measured, in order.
func (b *bench) steps() (chosen []func(context.Context) error, err error) {
	if b.large > 0 {
		return append(chosen, b.largeAndBack), nil
	}
	all := []struct {
		name string
		do   func(context.Context) error
		full bool // works on what bulk has left
	}{
		{"singles", b.singles, false},
		{"bulk", b.bulk, false},
		{"lists", b.lists, true},
		{"backups", b.backupsAndBack, true},
		{"stores", b.stores, true},
		{"changes", b.changes, false},
		{"restic", b.besideRestic, true},
	}
	only := strings.FieldsFunc(b.only, func(r rune) bool { return r == ',' })
	write, fill := false, false
	for _, step := range all {
		i := slices.Index(only, step.name)
		if i < 0 && b.only != "" {
			continue
		}
		if i >= 0 {
			only = slices.Delete(only, i, i+1)
		}
		if step.full && !fill {
			chosen = append(chosen, b.bulkOnce)
		}
		fill = fill || step.full || step.name == "bulk"
		write = write || fill || step.name == "singles"
		chosen = append(chosen, step.do)
	}
	if len(only) > 0 {
		return nil, fmt.Errorf("there is nothing to measure that is called %q", only[0])
	}
	if write {
		chosen = slices.Insert(chosen, 0, b.write)
	}
	return chosen, nil
}

// write makes the documents that most steps use.
func (b *bench) write(context.Context) (err error) {
	if b.docs, err = snippets(b.seed, b.options.docs); err != nil {
		return err
	}
	fmt.Printf("%d documents, %.0f MB of JSON, mean %.1f kB, largest %.0f kB\n\n", len(b.docs),
		megabytes(b.docs.bytes()), float64(b.docs.bytes())/float64(len(b.docs))/1e3, float64(b.docs.largest())/1e3)
	fmt.Printf("%-46s %12s %12s %8s\n", "", "cairn", "raw SQLite", "ratio")
	return nil
}

// singles measures durable writes of one document each.
func (b *bench) singles(ctx context.Context) error {
	d, err := startDaemon(ctx, b.binary, filepath.Join(b.dir, "singles"))
	if err != nil {
		return err
	}
	defer d.stop()
	raw, err := createRaw(ctx, filepath.Join(b.dir, "singles.db"))
	if err != nil {
		return err
	}
	defer raw.close()
	for _, clients := range []int{1, 8} {
		var ours, theirs []float64
		for range b.rounds {
			for _, side := range []struct {
				rates *[]float64
				write func(context.Context, document) error
			}{{&ours, d.writeOne}, {&theirs, raw.writeOne}} {
				rate, err := perSecond(ctx, b.single, clients, b.docs, side.write)
				if err != nil {
					return err
				}
				*side.rates = append(*side.rates, rate)
			}
		}
		row(fmt.Sprintf("single writes/s, %d at a time", clients), "%.0f", middle(ours), middle(theirs))
	}
	return d.stop()
}

// bulk fills a database on each side, which lists read afterwards.
func (b *bench) bulk(ctx context.Context) error { return b.bulkFor(ctx, b.rounds) }

// bulkOnce is bulk for the sake of what comes afterwards.
func (b *bench) bulkOnce(ctx context.Context) error { return b.bulkFor(ctx, 1) }

func (b *bench) bulkFor(ctx context.Context, rounds int) error {
	var ours, theirs []float64
	var peak int64
	for round := range rounds {
		// The last round's databases are kept.
		for _, name := range []string{"bulk", "bulk.db", "bulk.db-wal", "bulk.db-shm"} {
			if err := os.RemoveAll(filepath.Join(b.dir, name)); err != nil {
				return err
			}
		}
		raw, err := createRaw(ctx, filepath.Join(b.dir, "bulk.db"))
		if err != nil {
			return err
		}
		took, err := timed(func() error { return raw.fill(ctx, b.docs) })
		if err := errors.Join(err, raw.close()); err != nil {
			return err
		}
		theirs = append(theirs, took)
		d, err := startDaemon(ctx, b.binary, filepath.Join(b.dir, "bulk"))
		if err != nil {
			return err
		}
		took, err = timed(func() error { return d.fill(ctx, slices.Values(b.docs)) })
		peak = d.memory("VmHWM")
		if err := errors.Join(err, d.stop()); err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
		ours = append(ours, took)
	}
	n, mb := float64(len(b.docs)), megabytes(b.docs.bytes())
	row("POST /v1/documents, documents/s", "%.0f", n/middle(ours), n/middle(theirs))
	row("POST /v1/documents, MB/s", "%.0f", mb/middle(ours), mb/middle(theirs))
	alone("  peak memory, MB", "%.0f", float64(peak)/1e6)
	return nil
}

// lists measures starting on what bulk left, and reading all of it.
func (b *bench) lists(ctx context.Context) error {
	var starts []float64
	var d *daemon
	for range b.rounds {
		if d != nil {
			if err := d.stop(); err != nil {
				return err
			}
		}
		var err error
		if d, err = startDaemon(ctx, b.binary, filepath.Join(b.dir, "bulk")); err != nil {
			return err
		}
		starts = append(starts, d.started.Seconds())
	}
	defer d.stop()
	alone("start to first health answer, ms", "%.0f", 1e3*middle(starts))
	alone("  memory then, MB", "%.0f", float64(d.memory("VmRSS"))/1e6)
	raw, err := openRaw(filepath.Join(b.dir, "bulk.db"))
	if err != nil {
		return err
	}
	defer raw.close()
	paths := []string{"/assets", "/assets?transferables=false", "/v1/documents"}
	took, wire := make([][]float64, len(paths)), make([]int64, len(paths))
	var scans []float64
	for range b.rounds {
		s, err := timed(func() error { return raw.scan(ctx, b.docs.bytes()) })
		if err != nil {
			return err
		}
		scans = append(scans, s)
		for i, path := range paths {
			s, err := timed(func() (err error) { wire[i], err = d.read(ctx, path); return err })
			if err != nil {
				return err
			}
			took[i] = append(took[i], s)
		}
	}
	stored := megabytes(b.docs.bytes())
	for i, path := range paths {
		row("GET "+path+", MB/s stored", "%.0f", stored/middle(took[i]), stored/middle(scans))
		alone("  MB/s on the wire", "%.0f", megabytes(wire[i])/middle(took[i]))
	}
	alone("  peak memory after these, MB", "%.0f", float64(d.memory("VmHWM"))/1e6)
	return d.stop()
}

// row prints a figure of ours beside that of raw SQLite.
func row(name, format string, ours, raw float64) { ratio(name, format, ours, raw, ours/raw) }

// ratio prints a row whose ratio is not that of its figures.
func ratio(name, format string, ours, raw, ratio float64) {
	fmt.Printf("%-46s %12s %12s %8.2f\n", name, fmt.Sprintf(format, ours), fmt.Sprintf(format, raw), ratio)
}

// alone prints a figure that raw SQLite has not.
func alone(name, format string, ours float64) {
	fmt.Printf("%-46s %12s\n", name, fmt.Sprintf(format, ours))
}

func megabytes(n int64) float64 { return float64(n) / 1e6 }

// middle returns the median.
func middle(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	return sorted[len(sorted)/2]
}

// timed returns how many seconds fn took.
func timed(fn func() error) (float64, error) {
	begin := time.Now()
	err := fn()
	return time.Since(begin).Seconds(), err
}
