package schedule_test

import (
	"strings"
	"testing"
	"time"

	"cairn"
	"cairn/internal/schedule"
)

// TestRetry has a cloud that cannot be reached for hours.
func TestRetry(t *testing.T) {
	live(t, quiet(30*time.Second, time.Hour), func(h *house) {
		h.takes, h.fails = 0, lost()
		h.until("2000-01-01 02:00:00")
		h.write()
		h.wait(30 * time.Second)
		h.wantBegan("01-01 02:00:30")
		st := h.s.Status()
		if st.Failures != 1 || st.Problem.Code != cairn.CodeCloudLost || !st.FailingSince.Equal(start().Add(2*time.Hour+30*time.Second)) {
			t.Errorf("the status is %+v", st)
		}
		h.wantNext("01-01 02:01:30", schedule.TriggerRetry)
		for range 150 { // changes bring no further tries
			h.write()
			h.wait(2 * time.Minute)
		}
		h.wantBegan("01-01 02:01:30", "01-01 02:03:30", "01-01 02:07:30", "01-01 02:15:30", "01-01 02:31:30", "01-01 03:03:30",
			"01-01 04:03:30", "01-01 05:03:30", "01-01 06:03:30")
		if st := h.s.Status(); st.Failures != 10 || !st.FailingSince.Equal(start().Add(2*time.Hour+30*time.Second)) {
			t.Errorf("the status is %+v", st)
		}
		h.wait(3 * time.Minute) // 07:03:30 was one more
		h.began, h.fails = nil, nil
		h.wait(time.Hour)
		h.wantBegan("01-01 08:03:30")
		if st := h.s.Status(); st.Failures != 0 || st.Problem != nil || !st.LastFailure.IsZero() || !st.FailingSince.IsZero() {
			t.Errorf("the status is %+v", st)
		}
	})
}

// TestPauses draws the least and the most.
func TestPauses(t *testing.T) {
	for random, want := range map[float64][]string{
		0: {"01-01 01:00:00", "01-01 01:00:45", "01-01 01:02:15"},
		1: {"01-01 01:00:00", "01-01 01:01:15", "01-01 01:03:45"},
	} {
		live(t, func(h *house, cfg *schedule.Config) {
			cron("0 1 * * *")(h, cfg)
			cfg.Random = func() float64 { return random }
		}, func(h *house) {
			h.takes, h.fails = 0, lost()
			h.base = nil
			h.until("2000-01-01 01:05:00")
			h.wantBegan(want...)
		})
	}
}

// TestRetryAndTime holds that a scheduled time comes when it comes, also amid
// failures, and that each is tried once.
func TestRetryAndTime(t *testing.T) {
	live(t, cron("*/5 * * * *"), func(h *house) {
		h.takes, h.fails = 0, lost()
		h.base = nil
		h.until("2000-01-01 00:16:00")
		h.wantBegan("01-01 00:05:00", "01-01 00:06:00", "01-01 00:08:00", "01-01 00:10:00", "01-01 00:15:00")
	})
}

// TestConfirmFails holds that a cloud that cannot be asked for the newest backup is
// a failure, though nothing has changed.
func TestConfirmFails(t *testing.T) {
	live(t, cron("0 1 * * *"), func(h *house) {
		h.fails = lost()
		h.until("2000-01-01 01:00:01")
		h.wantNext("01-01 01:01:00", schedule.TriggerRetry)
		h.fails = nil
		h.wait(2 * time.Minute)
		h.wantNext("01-02 01:00:00", schedule.TriggerSchedule)
		h.wantBegan()
	})
}

// TestRetryCannotMend has failures that somebody has to do something about.
func TestRetryCannotMend(t *testing.T) {
	for _, code := range []cairn.Code{cairn.CodeCloudLocked, cairn.CodeKeyWrong, cairn.CodePassphraseWrong, cairn.CodeFormatTooNew, cairn.CodeSignedOut} {
		live(t, cron("0 1 * * *"), func(h *house) {
			h.takes, h.fails = 0, &cairn.Error{Code: code}
			h.write()
			h.until("2000-01-01 02:00:00")
			h.wantBegan("01-01 01:00:00")
			h.wantNext("01-02 01:00:00", schedule.TriggerSchedule)
		})
		live(t, quiet(time.Minute, 0), func(h *house) {
			h.takes, h.fails = 0, &cairn.Error{Code: code}
			h.write()
			h.until("2000-01-01 00:10:00")
			h.wantBegan("01-01 00:01:00")
			h.wantNext("01-01 01:01:00", schedule.TriggerRetry)
		})
	}
}

// TestConnected holds that what failed is tried again when a cloud is connected, and
// that nothing else is.
func TestConnected(t *testing.T) {
	for _, times := range []func(*house, *schedule.Config){cron("0 1 * * *"), quiet(time.Minute, 0)} {
		live(t, times, func(h *house) {
			h.takes, h.fails = 0, &cairn.Error{Code: cairn.CodeCloudLocked}
			h.s.Connected()
			h.write()
			h.until("2000-01-01 01:00:10")
			before := len(h.began)
			h.fails = nil
			h.s.Connected()
			h.wait(time.Second)
			if len(h.began) != before+1 || h.s.Status().Failures != 0 {
				t.Errorf("it began %q", h.began)
			}
			h.s.Connected()
			h.wait(time.Second)
			if len(h.began) != before+1 {
				t.Errorf("without a failure, it began %q", h.began)
			}
		})
	}
}

// TestManualClears holds that a backup of somebody's ends the failure.
func TestManualClears(t *testing.T) {
	live(t, cron("0 1 * * *"), func(h *house) {
		h.takes, h.fails = 0, lost()
		h.write()
		h.until("2000-01-01 01:00:30")
		h.fails = nil
		h.manual()
		if st := h.s.Status(); st.Failures != 0 || st.Problem != nil {
			t.Errorf("the status is %+v", st)
		}
		h.wantNext("01-02 01:00:00", schedule.TriggerSchedule)
		h.wait(time.Hour)
		h.wantBegan("01-01 01:00:00")
	})
}

// TestCanceled holds that a backup that somebody has cancelled is not tried again.
func TestCanceled(t *testing.T) {
	live(t, quiet(time.Minute, 0), func(h *house) {
		h.takes, h.fails = 0, &cairn.Error{Code: cairn.CodeCanceled}
		h.write()
		h.wait(time.Hour)
		h.wantBegan("01-01 00:01:00")
		if st := h.s.Status(); st.Failures != 0 || !st.Next.IsZero() {
			t.Errorf("the status is %+v", st)
		}
		h.fails = nil
		h.write()
		h.wait(2 * time.Minute)
		h.wantBegan("01-01 01:01:00")
	})
}

// TestCanceledBeforeAChange holds that what changed while the backup was made, which
// somebody then cancelled, leads to one.
func TestCanceledBeforeAChange(t *testing.T) {
	live(t, quiet(time.Minute, 0), func(h *house) {
		h.takes, h.fails = 10*time.Minute, &cairn.Error{Code: cairn.CodeCanceled}
		h.write()
		h.wait(10*time.Minute + 30*time.Second)
		h.write()
		h.wait(45 * time.Second)
		h.fails = nil
		h.wantNext("01-01 00:11:30", schedule.TriggerChange)
		h.wait(time.Hour)
		h.wantBegan("01-01 00:01:00", "01-01 00:11:30")
	})
}

// TestOverdue holds that a backup that is an hour late is told, once in the log.
func TestOverdue(t *testing.T) {
	live(t, cron("0 1 * * *"), func(h *house) {
		h.takes, h.fails = 0, &cairn.Error{Code: cairn.CodeCloudLocked}
		h.write()
		h.until("2000-01-01 02:00:00")
		if st := h.s.Status(); !st.OverdueSince.IsZero() {
			t.Errorf("overdue since %v", st.OverdueSince)
		}
		h.until("2000-01-02 12:00:00")
		if st := h.s.Status(); !st.OverdueSince.Equal(start().Add(time.Hour)) {
			t.Errorf("overdue since %v", st.OverdueSince)
		}
		if n := strings.Count(h.log.String(), "overdue"); n != 1 {
			t.Errorf("the log tells of it %d times:\n%s", n, h.log.String())
		}
		h.fails = nil
		h.until("2000-01-03 01:00:01")
		if st := h.s.Status(); !st.OverdueSince.IsZero() {
			t.Errorf("overdue since %v", st.OverdueSince)
		}
	})
	live(t, func(h *house, cfg *schedule.Config) { // one that was missed
		cron("0 1 * * *")(h, cfg)
		h.base.Created, h.fails, h.stats.Revision = start().Add(-50*time.Hour), lost(), 2
	}, func(h *house) {
		h.wait(2 * time.Minute)
		if st := h.s.Status(); !st.OverdueSince.Equal(start().Add(-47 * time.Hour)) {
			t.Errorf("overdue since %v", st.OverdueSince)
		}
		h.wait(time.Minute)
	})
	live(t, cron("0 1 * * *"), func(h *house) { // one that takes for ever
		h.takes = 9 * time.Hour
		h.write()
		h.until("2000-01-01 02:01:00")
		if st := h.s.Status(); !st.OverdueSince.Equal(start().Add(time.Hour)) {
			t.Errorf("overdue since %v", st.OverdueSince)
		}
		h.wait(9 * time.Hour)
	})
}

// TestCanceledAfterAFailure holds that changes lead to backups again when somebody has
// cancelled one that was tried once more.
func TestCanceledAfterAFailure(t *testing.T) {
	live(t, quiet(time.Minute, 0), func(h *house) {
		h.takes, h.fails = 0, lost()
		h.write()
		h.wait(90 * time.Second)
		h.fails = &cairn.Error{Code: cairn.CodeCanceled}
		h.wait(time.Hour)
		h.wantBegan("01-01 00:01:00", "01-01 00:02:00")
		h.fails = nil
		h.write()
		h.wantNext("01-01 01:02:30", schedule.TriggerChange)
		h.wait(2 * time.Minute)
		h.wantBegan("01-01 01:02:30")
	})
}
