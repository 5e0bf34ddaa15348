package backup_test

import (
	"os"
	"sync"
	"testing"
	"time"

	"cairn/internal/bucket/folder"
	"cairn/test/stores"
)

// TestShortGrace has two devices and one that prunes use a folder with a grace of one
// second, whose calls fail, lose their answers and take up to 200 ms: no backup that
// is listed ever lacks an object, and in the end all of it can be read. It takes ten
// seconds by the clock of the computer, and a minute with CAIRN_LONG.
func TestShortGrace(t *testing.T) {
	long := 10 * time.Second
	switch {
	case os.Getenv("CAIRN_LONG") != "":
		long = time.Minute
	case raced || !stores.InMemory(): // it is in a folder anyway
		long = 2 * time.Second
	}
	store, err := folder.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	random := newSample(t)
	s := newSim(t, random.Uint64(), store, time.Second, &deeds{of: map[string]int{}})
	s.nap = func(luck, length float64) time.Duration {
		if luck > 0.1 {
			return 0
		}
		return time.Duration(length * float64(200*time.Millisecond))
	}
	end := time.Now().Add(long)
	var wg sync.WaitGroup
	for n := range uint64(3) {
		d := s.sleeper(n)
		do := d.actOnce
		if n == 2 {
			do = func() { d.prune(t.Context()) }
		}
		wg.Go(func() {
			for time.Now().Before(end) {
				do()
				<-time.After(time.Duration(d.draw() * float64(20*time.Millisecond)))
			}
		})
	}
	wg.Wait()
	s.checkAll()
	t.Logf("in %v: %v", long, s.done.of)
	if s.done.of["created"] == 0 || s.done.of["pruned"] == 0 || long >= 10*time.Second && s.done.of["removed"] == 0 {
		t.Error("of one thing nothing happened")
	}
}
