package schedule_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn"
	"cairn/internal/schedule"
)

func TestScheduledTimes(t *testing.T) {
	live(t, cron("0 3 * * *"), func(h *house) {
		h.wantNext("01-01 03:00:00", schedule.TriggerSchedule)
		h.write()
		h.until("2000-01-01 02:59:59")
		h.wantBegan()
		h.until("2000-01-01 03:00:01")
		h.wantBegan("01-01 03:00:00")
		h.wantNext("01-02 03:00:00", schedule.TriggerSchedule)
		st := h.s.Status()
		if want := start().Add(3*time.Hour + time.Second); !st.LastSuccess.Equal(want) || st.Running || st.Failures != 0 {
			t.Errorf("the status is %+v", st)
		}
		// Nothing has changed: the cloud is asked for the newest, no other is made.
		h.until("2000-01-02 03:00:01")
		h.wantBegan()
		if h.asked != 1 || h.tidied != 2 || !h.s.Status().LastSuccess.Equal(start().Add(27*time.Hour)) {
			t.Errorf("%d questions, tidied up %d times, %+v", h.asked, h.tidied, h.s.Status())
		}
		h.gone = true
		h.until("2000-01-03 03:00:01")
		h.wantBegan("01-03 03:00:00")
	})
}

// TestClocksPutForward holds that the scheduler uses the zone that it is given, on
// a day without the time.
func TestClocksPutForward(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	live(t, func(h *house, cfg *schedule.Config) {
		cron("30 2 * * *")(h, cfg)
		cfg.Zone = berlin
		h.sleep(time.Date(2000, 3, 25, 12, 0, 0, 0, berlin).Sub(start()))
		h.base.Created = h.now()
	}, func(h *house) {
		h.write()
		h.until("2000-03-26 03:00:01")
		h.wantBegan("03-26 03:00:00")
		h.wantNext("03-27 02:30:00", schedule.TriggerSchedule)
	})
}

func TestQuietTime(t *testing.T) {
	live(t, quiet(30*time.Second, time.Hour), func(h *house) {
		h.wantNext("", "")
		h.until("2000-01-01 02:00:00")
		h.write()
		h.wantNext("01-01 02:00:30", schedule.TriggerChange)
		h.wait(20 * time.Second)
		h.write()
		h.wait(29 * time.Second)
		h.wantBegan()
		h.wait(2 * time.Second)
		h.wantBegan("01-01 02:00:50")
		h.wantNext("", "")
		// The next one comes an hour after that at the earliest.
		h.wait(time.Minute)
		h.write()
		h.wantNext("01-01 03:00:50", schedule.TriggerChange)
		h.wait(2 * time.Hour)
		h.wantBegan("01-01 03:00:50")
		// Nothing changes, so nothing is asked either.
		h.wait(24 * time.Hour)
		h.wantBegan()
		if h.asked != 0 {
			t.Errorf("the cloud was asked %d times", h.asked)
		}
	})
}

// TestChangesWithoutPause has a change each ten seconds, for an hour.
func TestChangesWithoutPause(t *testing.T) {
	for _, test := range []struct {
		atMostEvery time.Duration
		want        []string
	}{
		{20 * time.Minute, []string{"01-01 00:19:00", "01-01 00:39:00", "01-01 00:59:00"}},
		{0, []string{ // each begins ten quiet times after the one before it
			"01-01 00:05:00", "01-01 00:10:00", "01-01 00:15:00", "01-01 00:20:00", "01-01 00:25:00", "01-01 00:30:00",
			"01-01 00:35:00", "01-01 00:40:00", "01-01 00:45:00", "01-01 00:50:00", "01-01 00:55:00",
		}},
	} {
		live(t, quiet(30*time.Second, test.atMostEvery), func(h *house) {
			h.takes = 5 * time.Second
			for range 359 {
				h.write()
				h.wait(10 * time.Second)
			}
			h.wantBegan(test.want...)
		})
	}
}

// TestChangeWhileRunning holds that what comes while a backup is made is in the
// next one.
func TestChangeWhileRunning(t *testing.T) {
	live(t, quiet(30*time.Second, 0), func(h *house) {
		h.takes = 10 * time.Minute
		h.write()
		h.wait(5 * time.Minute)
		if st := h.s.Status(); !st.Running || !st.Next.IsZero() {
			t.Errorf("the status is %+v", st)
		}
		h.write()
		h.wait(5*time.Minute + 29*time.Second)
		h.wantBegan("01-01 00:00:30")
		h.wait(2 * time.Second)
		h.wantBegan("01-01 00:10:30")
		h.wait(time.Hour)
		h.wantBegan()
	})
}

// TestMissed starts with times that were missed: they are made up once, a minute
// after the start.
func TestMissed(t *testing.T) {
	for _, test := range []struct {
		name    string
		created time.Duration // of the newest backup, after the start
		want    []string
	}{
		{"two days", -50 * time.Hour, []string{"01-01 00:01:00", "01-01 03:00:00"}},
		{"none ever", 0, []string{"01-01 00:01:00", "01-01 03:00:00"}},
		{"none missed", -20 * time.Hour, []string{"01-01 03:00:00"}},
		{"the clock was wrong", 24 * 365 * time.Hour, []string{"01-01 03:00:00"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			live(t, func(h *house, cfg *schedule.Config) {
				cron("0 3 * * *")(h, cfg)
				h.base.Created = start().Add(test.created)
				if test.created == 0 {
					h.base = nil
				}
				h.stats.Revision = 2
			}, func(h *house) {
				h.wait(2 * time.Hour)
				h.write()
				h.wait(2 * time.Hour)
				h.wantBegan(test.want...)
			})
		})
	}
}

// TestPendingAtStart starts with changes that no backup has.
func TestPendingAtStart(t *testing.T) {
	live(t, func(h *house, cfg *schedule.Config) {
		quiet(30*time.Second, time.Hour)(h, cfg)
		h.stats.Revision = 2
	}, func(h *house) {
		h.wantNext("01-01 00:59:00", schedule.TriggerChange)
		h.wait(time.Hour)
		h.wantBegan("01-01 00:59:00")
	})
}

// TestEmpty has a database that has never had a document.
func TestEmpty(t *testing.T) {
	live(t, func(h *house, cfg *schedule.Config) {
		cron("@hourly")(h, cfg)
		cfg.Quiet = time.Minute
		h.base, h.stats = nil, cairn.Stats{Line: "line"}
	}, func(h *house) {
		h.wantNext("01-01 01:00:00", schedule.TriggerSchedule)
		h.wait(3 * time.Hour)
		h.wantBegan()
		h.write()
		h.wait(2 * time.Minute)
		h.wantBegan("01-01 03:01:00")
	})
}

// TestSleep has the computer sleep past times: timers stand still, the clock on
// the wall does not.
func TestSleep(t *testing.T) {
	live(t, cron("0 3 * * *"), func(h *house) {
		h.write()
		h.until("2000-01-01 01:00:30")
		h.sleep(50 * time.Hour) // until 03:00:30 two days later
		h.wait(time.Minute)
		h.wantBegan("01-03 03:01:00") // within a minute
		h.wantNext("01-04 03:00:00", schedule.TriggerSchedule)
	})
	live(t, quiet(30*time.Minute, 0), func(h *house) {
		h.write()
		h.wait(time.Minute)
		h.sleep(8 * time.Hour)
		h.wait(time.Minute)
		h.wantBegan("01-01 08:02:00")
	})
}

// TestClockSetBack holds that a clock that was a year ahead keeps nothing waiting,
// and that one that is set right by seconds does not repeat a time.
func TestClockSetBack(t *testing.T) {
	year := 365 * 24 * time.Hour
	live(t, func(h *house, cfg *schedule.Config) {
		cron("0 3 * * *")(h, cfg)
		cfg.Quiet, cfg.AtMostEvery = time.Minute, time.Hour
		h.sleep(year)
		h.stats.Revision = 2
	}, func(h *house) {
		h.wait(2 * time.Minute)
		h.wantBegan("12-31 00:01:00")
		h.sleep(-year)
		h.write()
		h.wait(2 * time.Hour)
		h.wantBegan("01-01 01:02:00")
		h.write()
		h.until("2000-01-01 02:30:00")
		h.write()
		h.until("2000-01-01 03:00:01")
		h.wantBegan("01-01 02:03:00", "01-01 03:00:00")
	})
	live(t, cron("0 3 * * *"), func(h *house) {
		h.write()
		h.until("2000-01-01 03:00:03")
		h.sleep(-time.Minute)
		h.write()
		h.wait(time.Hour)
		h.wantBegan("01-01 03:00:00")
	})
	live(t, func(h *house, cfg *schedule.Config) {
		cron("0 3 * * *")(h, cfg)
		cfg.Quiet = 10 * time.Second
	}, func(h *house) { // nor if another backup comes in between
		h.until("2000-01-01 03:00:03")
		h.sleep(-time.Minute)
		h.write()
		h.until("2000-01-01 02:59:30")
		h.wantBegan("01-01 02:59:13")
		h.wantNext("01-02 03:00:00", schedule.TriggerSchedule)
	})
}

// TestManual holds that what others do counts.
func TestManual(t *testing.T) {
	live(t, quiet(30*time.Second, time.Hour), func(h *house) {
		h.until("2000-01-01 02:00:00")
		h.write()
		h.wait(10 * time.Second)
		h.manual()
		h.wantNext("", "")
		h.write()
		h.wantNext("01-01 03:00:10", schedule.TriggerChange)
		h.s.Ended(cairn.Job{Kind: cairn.Creation, Status: cairn.JobCompleted, Backup: cairn.Backup{Scope: cairn.ScopeAssets, Line: "line", Revision: 99}})
		h.s.Ended(cairn.Job{Kind: cairn.Creation, Status: cairn.JobFailed, Backup: cairn.Backup{Scope: cairn.ScopeAll, Line: "line", Revision: 99}})
		h.s.Ended(cairn.Job{Kind: cairn.Restoration, Status: cairn.JobCompleted, Backup: cairn.Backup{Scope: cairn.ScopeAll, Line: "line", Revision: 99}})
		h.wantNext("01-01 03:00:10", schedule.TriggerChange)
		h.wantBegan()
	})
}

// TestRestored holds that a restored database, which its backup has, is not backed
// up, and that one which was brought back is.
func TestRestored(t *testing.T) {
	live(t, quiet(30*time.Second, 0), func(h *house) {
		h.mu.Lock()
		h.stats.Line = "restored"
		h.base = &cairn.Base{Backup: "restored", Created: start().Add(-time.Hour), Revision: 8}
		h.stats.Revision = 7
		h.mu.Unlock()
		h.write() // the swap tells of itself as a write does
		h.wantNext("", "")
		h.mu.Lock()
		h.stats.Line = "before"
		h.base.Revision = 3
		h.mu.Unlock()
		h.write()
		h.wantNext("01-01 00:00:30", schedule.TriggerChange)
	})
}

// TestStop holds that the scheduler ends at once, in a pause and amid a backup, and
// that it takes that for no failure.
func TestStop(t *testing.T) {
	live(t, quiet(30*time.Second, 0), func(h *house) {
		h.takes = time.Hour
		h.write()
		h.wait(time.Minute)
		before := time.Now()
		h.stop()
		if took := time.Since(before); took > 0 {
			t.Errorf("the end took %v", took)
		}
		if st := h.s.Status(); st.Failures != 0 || strings.Contains(h.log.String(), "failed") {
			t.Errorf("the status is %+v\n%s", st, h.log.String())
		}
		h.running = 0
	})
}

// TestOff holds that nothing happens that was not asked for.
func TestOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := schedule.New(schedule.Config{Log: discard()}) // without all that it would need
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		s.Run(ctx)
		s.Ended(cairn.Job{Kind: cairn.Creation, Status: cairn.JobCompleted, Backup: cairn.Backup{Scope: cairn.ScopeAll}})
		if st := s.Status(); st.On || !st.Next.IsZero() {
			t.Errorf("the status is %+v", st)
		}
	})
}

// TestTidying holds that what comes after a backup is told when it fails, and is no
// failure of the backup.
func TestTidying(t *testing.T) {
	live(t, cron("@hourly"), func(h *house) {
		h.untidy = errors.New("a secret")
		h.write()
		h.until("2000-01-01 01:00:01")
		st := h.s.Status()
		if st.Tidying == nil || st.Tidying.Code != cairn.CodeInternal || st.Failures != 0 || !strings.Contains(h.log.String(), "a secret") {
			t.Errorf("the status is %+v\n%s", st, h.log.String())
		}
		h.untidy = nil
		h.until("2000-01-01 02:00:01")
		if st := h.s.Status(); st.Tidying != nil || h.tidied != 2 {
			t.Errorf("tidied up %d times; the status is %+v", h.tidied, st)
		}
	})
}
