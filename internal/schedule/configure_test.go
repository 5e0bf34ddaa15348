package schedule_test

import (
	"testing"
	"testing/synctest"
	"time"

	"cairn/internal/schedule"
)

// configure gives the scheduler other times; "" is no cron expression.
func (h *house) configure(cron string, quiet, atMostEvery time.Duration) {
	h.t.Helper()
	var times *schedule.Cron
	if cron != "" {
		var err error
		if times, err = schedule.ParseCron(cron); err != nil {
			h.t.Fatal(err)
		}
	}
	h.s.Configure(times, quiet, atMostEvery)
	synctest.Wait()
}

// TestConfigureTimes changes the times: those of the new expression that are over by
// then were not missed.
func TestConfigureTimes(t *testing.T) {
	live(t, cron("0 3 * * *"), func(h *house) {
		h.write()
		h.until("2000-01-01 12:00:00")
		h.wantBegan("01-01 03:00:00")
		h.write()
		h.configure("0 11 * * *", 0, 0)
		h.wantNext("01-02 11:00:00", schedule.TriggerSchedule)
		h.configure("30 12 * * *", 0, 0)
		h.wantNext("01-01 12:30:00", schedule.TriggerSchedule)
		h.configure("30 12 * * *", 0, 0)
		h.until("2000-01-02 00:00:00")
		h.wantBegan("01-01 12:30:00")
		h.configure("", 0, 0)
		h.wantNext("", "")
		h.write()
		h.wait(48 * time.Hour)
		h.wantBegan()
	})
}

// TestConfigureOn starts without times and gets some, and changes that came before
// are not forgotten.
func TestConfigureOn(t *testing.T) {
	live(t, quiet(0, 0), func(h *house) {
		h.until("2000-01-01 02:00:00")
		h.write()
		h.wait(time.Hour)
		if h.s.Status().On {
			t.Error("it is on")
		}
		h.configure("", 30*time.Second, time.Hour)
		h.wantNext("01-01 03:00:30", schedule.TriggerChange)
		h.wait(time.Minute)
		h.wantBegan("01-01 03:00:30")
		h.write()
		h.wantNext("01-01 04:00:30", schedule.TriggerChange) // it knows when the last one was
		h.configure("", 30*time.Second, 10*time.Minute)
		h.wantNext("01-01 03:10:30", schedule.TriggerChange)
		h.configure("", 0, 0)
		h.wait(time.Hour)
		h.write()
		h.configure("", time.Minute, 0)
		h.wait(time.Hour)
		h.wantBegan("01-01 04:01:00") // it had waited for long enough
	})
}

// TestConfigureFailing changes times while backups fail: that is not forgotten, nor
// when the next try is.
func TestConfigureFailing(t *testing.T) {
	live(t, quiet(30*time.Second, time.Hour), func(h *house) {
		h.takes, h.fails = 0, lost()
		h.until("2000-01-01 02:00:00")
		h.write()
		h.wait(2 * time.Minute)
		h.wantBegan("01-01 02:00:30", "01-01 02:01:30")
		h.configure("0 5 * * *", time.Minute, 0)
		h.wantNext("01-01 02:03:30", schedule.TriggerRetry)
		if st := h.s.Status(); st.Failures != 2 || st.Problem == nil || !st.FailingSince.Equal(start().Add(2*time.Hour+30*time.Second)) {
			t.Errorf("the status is %+v", st)
		}
		h.configure("", 0, 0)
		h.wantNext("", "")
		h.wait(6 * time.Hour)
		h.wantBegan()
		if st := h.s.Status(); st.Failures != 2 || st.Problem == nil || !st.OverdueSince.IsZero() {
			t.Errorf("when it is off, the status is %+v", st)
		}
		h.fails = nil
		h.configure("", time.Minute, 0)
		h.wait(time.Minute)
		if st := h.s.Status(); st.Failures != 0 || st.Problem != nil {
			t.Errorf("in the end the status is %+v", st)
		}
	})
}

// TestConfigureDue changes times while one is due and waits for the start to settle.
func TestConfigureDue(t *testing.T) {
	live(t, func(h *house, cfg *schedule.Config) {
		cron("0 3 * * *")(h, cfg)
		h.base.Created = start().Add(-50 * time.Hour)
		h.stats.Revision = 2
	}, func(h *house) {
		h.wait(30 * time.Second)
		h.configure("0 4 * * *", 0, 0)
		h.wait(time.Hour)
		h.write()
		h.wait(4 * time.Hour)
		h.wantBegan("01-01 00:01:00", "01-01 04:00:00")
	})
}

// TestConfigureRunning changes times while a backup is made, which goes on.
func TestConfigureRunning(t *testing.T) {
	live(t, quiet(30*time.Second, 0), func(h *house) {
		h.takes = 10 * time.Minute
		h.write()
		h.wait(time.Minute)
		h.configure("", 0, 0)
		if st := h.s.Status(); !st.Running || st.On {
			t.Errorf("the status is %+v", st)
		}
		h.wait(time.Hour)
		if st := h.s.Status(); st.Running || st.LastSuccess.IsZero() || h.tidied != 1 {
			t.Errorf("in the end the status is %+v", st)
		}
		h.wantBegan("01-01 00:00:30")
	})
}
