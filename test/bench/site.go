package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cairn/api"
	"cairn/client"
)

// A site is a daemon whose documents change, with a cloud of its own.
type site struct {
	*daemon
	data, cloud string // folders
	ids         []string
	text        *writer
	random      *rand.Rand
}

// startSite runs a daemon on a data folder, in which there are documents of these
// ids, or none. The text of new ones is cut into pieces of so many bytes.
func (b *bench) startSite(ctx context.Context, data string, median float64, ids []string) (*site, error) {
	s := &site{
		data:   filepath.Join(b.dir, data),
		cloud:  filepath.Join(b.dir, data+"-cloud"),
		ids:    ids,
		random: rand.New(rand.NewPCG(b.seed, 1)),
	}
	var err error
	if s.text, err = newWriter(b.seed+1, median); err != nil {
		return nil, err
	}
	return s, s.start(ctx, b.binary)
}

// start runs the daemon, again if it has run before.
func (s *site) start(ctx context.Context, binary string) (err error) {
	s.daemon, err = startDaemon(ctx, binary, s.data, "CAIRN_CLOUD="+s.cloud, "GOMEMLIMIT=")
	return err
}

// grow stores new documents as long as more says so of their number and bytes,
// which it returns.
func (s *site) grow(ctx context.Context, more func(n int, bytes int64) bool) (total int64, err error) {
	for n := len(s.ids); more(n, total); n = len(s.ids) {
		err := s.fill(ctx, func(yield func(document) bool) {
			for len(s.ids)-n < growBatch && more(len(s.ids), total) {
				doc := s.text.write("")
				s.ids, total = append(s.ids, doc.id), total+int64(len(doc.json))
				if !yield(doc) {
					return
				}
			}
		})
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// growBatch is how many documents are in a request.
const growBatch = 100_000

// edit replaces n documents that are drawn from all, and returns them.
func (s *site) edit(ctx context.Context, n int) (documents, error) {
	var edited documents
	for _, i := range s.random.Perm(len(s.ids))[:min(n, len(s.ids))] {
		edited = append(edited, s.text.write(s.ids[i]))
	}
	return edited, s.fill(ctx, slices.Values(edited))
}

// A cost is what a backup has cost.
type cost struct {
	seconds float64 // of whoever asked for it
	job     float64 // of them in the daemon
	cpu     float64 // seconds of processors, of all processes that took part
	peak    int64   // bytes of memory, of all processes that took part
	stored  int64   // bytes that the cloud has more than before
	calls   string  // of the bucket; in words, but for those that there were none of
}

// costOf returns what something costs that the daemon does.
func (s *site) costOf(ctx context.Context, do func() error) (c cost, err error) {
	before, err := s.metrics(ctx)
	if err != nil {
		return c, err
	}
	stored, err := folderBytes(s.cloud)
	if err != nil {
		return c, err
	}
	s.forgetPeak()
	if c.seconds, err = timed(do); err != nil {
		return c, err
	}
	c.peak = s.memory("VmHWM")
	after, err := s.metrics(ctx)
	if err != nil {
		return c, err
	}
	now, err := folderBytes(s.cloud)
	c.stored = now - stored
	c.cpu = after.sum("process_cpu_seconds_total") - before.sum("process_cpu_seconds_total")
	c.job = after.sum("cairn_job_duration_seconds_sum") - before.sum("cairn_job_duration_seconds_sum")
	for _, operation := range []string{"put", "head", "get", "list", "delete"} {
		label := `operation="` + operation + `"`
		if n := after.sum("cairn_cloud_calls_total", label) - before.sum("cairn_cloud_calls_total", label); n > 0 {
			c.calls = strings.TrimSpace(fmt.Sprintf("%s %.0f %s", c.calls, n, strings.ToUpper(operation)))
		}
	}
	return c, err
}

// backup makes a backup.
func (s *site) backup(ctx context.Context) (cost, error) {
	var made api.Backup
	return s.costOf(ctx, func() error { return s.do(ctx, "/backups/create", &made) })
}

// newest returns the id of the newest backup, "" without any.
func (s *site) newest(ctx context.Context) (string, error) {
	all, err := client.New(s.url).Backups(ctx)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return all[0].ID, nil
}

// metrics are the lines of GET /metrics.
type metrics []byte

func (d *daemon) metrics(ctx context.Context) (metrics, error) {
	var text bytes.Buffer
	_, err := d.readTo(ctx, "/metrics", &text)
	return text.Bytes(), err
}

// sum adds up the values of a metric with these labels.
func (m metrics) sum(name string, labels ...string) (total float64) {
	for line := range strings.Lines(string(m)) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if series != name && !strings.HasPrefix(series, name+"{") || slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(series, l) }) {
			continue
		}
		n, _ := strconv.ParseFloat(value, 64)
		total += n
	}
	return total
}

// forgetPeak has the daemon's peak of memory begin anew, where the system can.
func (d *daemon) forgetPeak() {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", d.cmd.Process.Pid), []byte("5"), 0)
}

// folderBytes returns the bytes of all files in a folder, none if it is not there.
func folderBytes(folder string) (total int64, err error) {
	err = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return total, err
}
