package test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cairn"
	"cairn/client"
	"cairn/test/harness"
)

// TestCancelLeaks creates and cancels a thousand times. The daemon then has as many
// goroutines, open files and connections as after a few times, and nothing is left
// in its folders.
func TestCancelLeaks(t *testing.T) {
	t.Parallel()
	eachCloud(t, func(t *testing.T, cloud place) {
		t.Parallel()
		const few, many = 40, 1000
		other := folderCloud(t)
		if cloud.server != nil {
			other = s3Cloud(t)
		}
		before, after := cancelMany(t, other, few), cancelMany(t, cloud, many)
		t.Logf("after %d: %+v; after %d: %+v", few, before, many, after)
		// A client, a connection to the store and a thread more or less are chance.
		const chance = 20
		if after.goroutines > before.goroutines+chance || after.files > before.files+chance {
			t.Error("that grows")
		}
		if after.memory > before.memory+64 {
			t.Errorf("the memory grew by %d MiB", after.memory-before.memory)
		}
	})
}

// A footprint is what a daemon takes.
type footprint struct {
	goroutines, files, memory int // files with connections, memory in MiB
}

// cancelMany has four clients create backups and cancel that, so many times, in a
// daemon of its own.
func cancelMany(t *testing.T, cloud place, times int) (f footprint) {
	t.Helper()
	d := cloud.serve(t, harness.Options{AnyExit: true})
	c := client.New(d.URL)
	fillDatabase(t, c, rand.New(rand.NewPCG(1, 2)), 10_000, 1000)
	if _, err := c.CreateBackup(t.Context()); err != nil {
		t.Fatal(err)
	}
	const clients = 4
	var working sync.WaitGroup
	var mu sync.Mutex
	ends := map[cairn.JobStatus]int{}
	for range clients {
		working.Go(func() {
			for n := range times / clients {
				job, err := beginJob(t, d.URL, cairn.Creation, "")
				if err != nil {
					t.Error(err)
					return
				}
				if n%10 == 9 { // or else few are ever complete
					<-job.ended
				}
				err = job.cancel(t, d.URL)
				<-job.ended
				if code := cairn.CodeOf(err); err != nil && code != cairn.CodeNotInProgress || (err == nil) != (job.last.Status == cairn.JobCanceled) || job.err != nil {
					t.Errorf("cancelling was answered with %v, and the end is %+v, %v", err, job.last, job.err)
				}
				mu.Lock()
				ends[job.last.Status]++
				mu.Unlock()
			}
		})
	}
	working.Wait()
	t.Logf("of %d: %v", times, ends)
	if n := len(listedBackups(t, c, cloud)); n != ends[cairn.JobCompleted]+1 {
		t.Errorf("%d backups are listed, and %d were made", n, ends[cairn.JobCompleted]+1)
	}
	checkTidy(t, d.Data)
	checkNothingHidden(t, cloud)
	for _, folder := range []string{"spool", "generations"} {
		names := allFiles(t, d.Data+"/"+folder)
		if slices.ContainsFunc(names, func(name string) bool { return !strings.Contains(name, ".db") }) {
			t.Errorf("the folder has %q", names)
		}
	}
	return footprintOf(t, d)
}

var memoryLine = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

// footprintOf measures a daemon, and ends it, since that is how its goroutines can
// be counted.
func footprintOf(t *testing.T, d *harness.Daemon) (f footprint) {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.PID))
	if err != nil {
		t.Fatal(err)
	}
	f.files = len(files)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.PID))
	if err != nil {
		t.Fatal(err)
	}
	if m := memoryLine.FindSubmatch(status); m == nil || json.Unmarshal(m[1], &f.memory) != nil {
		t.Fatalf("the status of the daemon is %s", status)
	}
	f.memory >>= 10
	if err := syscall.Kill(d.PID, syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	d.ExitCode()
	f.goroutines = strings.Count(d.Stderr(), "\ngoroutine ")
	if f.goroutines < 5 {
		t.Errorf("the daemon has %d goroutines; it said %s", f.goroutines, d.Stderr())
	}
	return f
}
