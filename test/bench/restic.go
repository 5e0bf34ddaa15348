package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A restic backs a copy of the database up into a folder, as its user would do it:
// with its defaults, one command each time.
type restic struct {
	program string
	version string
	dir     string // of all that it has
	file    string // the copy of the database
	copies  []float64
}

// newRestic finds restic; it returns nil where there is none. With CI=true there
// must be one.
func (b *bench) newRestic(ctx context.Context) (*restic, error) {
	program, err := exec.LookPath(b.options.restic)
	if err != nil && os.Getenv("CI") == "true" {
		return nil, err
	}
	if err != nil {
		fmt.Printf("\nnot compared with restic: %v\n", err)
		return nil, nil
	}
	out, err := exec.CommandContext(ctx, program, "version").Output()
	if err != nil {
		return nil, fmt.Errorf("restic version: %w", err)
	}
	dir := filepath.Join(b.dir, "restic")
	r := &restic{program: program, dir: dir, file: filepath.Join(dir, "copy", "documents.db")}
	r.version = strings.Join(strings.Fields(string(out))[:2], " ")
	return r, os.MkdirAll(filepath.Dir(r.file), 0o700)
}

// command is a command of restic on its repository.
func (r *restic) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.program, append([]string{"--quiet", "--cache-dir", filepath.Join(r.dir, "cache")}, args...)...)
	cmd.Env = append(os.Environ(), "RESTIC_REPOSITORY="+r.repository(), "RESTIC_PASSWORD=bench")
	return cmd
}

func (r *restic) repository() string { return filepath.Join(r.dir, "repository") }

// begin makes an empty repository in the place of the one before.
func (r *restic) begin(ctx context.Context) error {
	for _, folder := range []string{r.repository(), filepath.Join(r.dir, "cache")} {
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	_, err := spentBy(r.command(ctx, "init"))
	return err
}

// copy makes a consistent copy of a live database, page by page, which whoever
// backs up files needs first. The time for it does not count as restic's.
func (r *restic) copy(ctx context.Context, data string) error {
	text, err := os.ReadFile(filepath.Join(data, "CURRENT"))
	if err != nil {
		return err
	}
	var current struct{ Live string }
	if err := json.Unmarshal(text, &current); err != nil {
		return err
	}
	if err := os.RemoveAll(r.file); err != nil {
		return err
	}
	raw, err := openRaw(filepath.Join(data, "generations", current.Live))
	if err != nil {
		return err
	}
	took, err := timed(func() error { return raw.copyTo(ctx, r.file) })
	r.copies = append(r.copies, took)
	return errors.Join(err, raw.close())
}

// backup backs the copy up.
func (r *restic) backup(ctx context.Context) (cost, error) {
	return r.costOf(r.command(ctx, "backup", r.file))
}

// costOf returns what a command costs.
func (r *restic) costOf(cmd *exec.Cmd) (c cost, err error) {
	before, err := folderBytes(r.repository())
	if err != nil {
		return c, err
	}
	if c, err = spentBy(cmd); err != nil {
		return c, err
	}
	now, err := folderBytes(r.repository())
	c.stored = now - before
	return c, err
}

// restore puts the newest copy into a folder.
func (r *restic) restore(ctx context.Context, folder string) (cost, error) {
	return r.costOf(r.command(ctx, "restore", "latest", "--target", folder))
}

// spentBy runs a command. Its peak of memory is what the system says of it while it
// runs: what it says afterwards counts what this process has, too.
func spentBy(cmd *exec.Cmd) (c cost, err error) {
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return c, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			c.seconds = time.Since(begin).Seconds()
			c.cpu = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
			if err != nil {
				err = fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, output.Bytes())
			}
			return c, err
		case <-look.C:
			c.peak = max(c.peak, memoryOf(cmd.Process.Pid, "VmHWM"))
		}
	}
}

// command does a verb of cairn as a user does.
func (s *site) command(ctx context.Context, binary string, args ...string) (cost, error) {
	var client cost
	c, err := s.costOf(ctx, func() (err error) {
		client, err = spentBy(exec.CommandContext(ctx, binary, append(args, "--data", s.data)...))
		return err
	})
	c.seconds = client.seconds
	c.peak += client.peak
	c.cpu += client.cpu
	return c, err
}

// besideRestic measures the verbs of cairn on what bulk left beside restic on
// copies of it, in turn.
func (b *bench) besideRestic(ctx context.Context) error {
	r, err := b.newRestic(ctx)
	if err != nil || r == nil {
		return err
	}
	ids := make([]string, len(b.docs))
	for i, doc := range b.docs {
		ids[i] = doc.id
	}
	s, err := b.startSite(ctx, "bulk", medianPiece, ids)
	if err != nil {
		return err
	}
	return errors.Join(b.race(ctx, s, r), s.stop())
}

// A leg is what both do for some rounds.
type leg struct {
	name   string
	rounds int
	before func() error // of each round, not measured
	ours   func() (cost, error)
	theirs func() (cost, error)
	goals  []goal // for the ratios of time and of bytes
}

func (b *bench) race(ctx context.Context, s *site, r *restic) error {
	fmt.Printf("\n%-46s %12s %12s %8s\n", "", "cairn", r.version, "times")
	create := func() (cost, error) { return s.command(ctx, b.binary, "backup", "create") }
	backup := func() (cost, error) { return r.backup(ctx) }
	edits := func(n int) func() error {
		return func() error {
			_, err := s.edit(ctx, n)
			return errors.Join(err, r.copy(ctx, s.data))
		}
	}
	restored := filepath.Join(r.dir, "restored")
	var newest string
	for _, l := range []leg{
		{"full backup", b.rounds, func() error {
			old, err := s.newest(ctx)
			return errors.Join(err, s.forget(ctx, old), r.begin(ctx), r.copy(ctx, s.data))
		}, create, backup, []goal{{bound: 3}, {}}},
		{"nothing changed", b.rounds, nil, create, backup, []goal{{}, {}}},
		{fmt.Sprint(fewEdits, " changed"), min(b.rounds, changeRounds), edits(fewEdits), create, backup, []goal{{bound: 20}, {bound: 50}}},
		{"1 % changed", min(b.rounds, shareRounds), edits(len(s.ids) / share), create, backup, []goal{{}, {}}},
		{"restore", b.rounds, func() (err error) {
			newest, err = s.newest(ctx)
			return errors.Join(err, os.RemoveAll(restored))
		}, func() (cost, error) {
			return s.command(ctx, b.binary, "backup", "restore", newest)
		}, func() (cost, error) {
			c, err := r.restore(ctx, restored)
			return c, errors.Join(err, os.RemoveAll(restored)) // as ours removes the database before the last
		}, []goal{{bound: 1 / 1.2}}},
	} {
		if err := b.run(l); err != nil {
			return err
		}
	}
	alone("  copying the database before that, ms", "%.0f", 1e3*middle(r.copies))
	return nil
}

// run fights the rounds of a leg.
func (b *bench) run(l leg) error {
	var seconds, jobs, cpu, stored, peaks, times [2][]float64
	for range l.rounds {
		if l.before != nil {
			if err := l.before(); err != nil {
				return err
			}
		}
		var both [2]cost
		for i, side := range []func() (cost, error){l.theirs, l.ours} {
			c, err := side()
			if err != nil {
				return err
			}
			both[1-i] = c
		}
		for i, c := range both {
			seconds[i] = append(seconds[i], 1e3*c.seconds)
			jobs[i] = append(jobs[i], 1e3*c.job)
			cpu[i] = append(cpu[i], 1e3*c.cpu)
			stored[i] = append(stored[i], float64(c.stored)/1e3)
			peaks[i] = append(peaks[i], float64(c.peak)/1e6)
		}
		times[0] = append(times[0], both[1].seconds/both[0].seconds)
		times[1] = append(times[1], float64(both[1].stored)/float64(max(both[0].stored, 1)))
	}
	ratio(l.name+", ms", "%.0f", middle(seconds[0]), middle(seconds[1]), middle(times[0]))
	alone("  of that the job in the daemon, ms", "%.0f", middle(jobs[0]))
	ratio("  processors, ms", "%.0f", middle(cpu[0]), middle(cpu[1]), middle(cpu[1])/middle(cpu[0]))
	if len(l.goals) > 1 {
		ratio("  stored, kB", "%.1f", middle(stored[0]), middle(stored[1]), middle(times[1]))
	}
	ratio("  peak memory, MB", "%.0f", middle(peaks[0]), middle(peaks[1]), middle(peaks[1])/middle(peaks[0]))
	for i, g := range l.goals {
		if g.bound > 0 {
			g.step, g.what = l.name, []string{"times as fast as restic", "times fewer bytes than restic"}[i]
			g.got, g.least = middle(times[i]), true
			b.hold(g)
		}
	}
	return nil
}
