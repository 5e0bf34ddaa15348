package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cairn"
	"cairn/api"
	"cairn/internal/bucket"
	"cairn/internal/metrics"
	"cairn/internal/schedule"
)

// watch makes what hears of jobs: the metrics, and the scheduler of backups. It
// starts nothing.
func (d *daemonProcess) watch() error {
	d.metrics = metrics.New(metrics.Config{
		Version:   version,
		Stats:     d.database.Stats,
		Automatic: d.automaticMetrics,
		Absent:    func(err error) bool { return errors.Is(err, bucket.ErrNotFound) || errors.Is(err, bucket.ErrExists) },
		Log:       d.log,
	})
	cfg := schedule.Config{
		Quiet:       d.config.Backup.Quiet,
		AtMostEvery: d.config.Backup.AtMostEvery,
		Database:    d.database,
		Last:        d.lastBase,
		Confirm:     d.confirmBackup,
		Begin:       d.beginBackup,
		After:       d.tidyUp,
		Log:         d.log,
	}
	var err error
	if cfg.Cron, err = cronOf(d.config.Backup); err != nil {
		return err
	}
	d.scheduler = schedule.New(cfg)
	return nil
}

// ended tells those of watch of a job.
func (d *daemonProcess) ended(job cairn.Job) {
	d.metrics.Ended(job)
	d.scheduler.Ended(job)
}

// startSchedule has backups made by themselves until the function that it returns
// is called, which waits for that.
func (d *daemonProcess) startSchedule(ctx context.Context) (stop func()) {
	if base, ok, err := d.lastBase(ctx); err == nil && ok {
		d.metrics.Last(base.Created)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.scheduler.Run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// lastBase returns the newest backup of the database, as far as is known.
func (d *daemonProcess) lastBase(ctx context.Context) (cairn.Base, bool, error) {
	base, _, ok, err := d.engine.Last(ctx)
	return base, ok, err
}

// confirmBackup asks the cloud for a backup, and once a day whether all that it
// consists of is there.
func (d *daemonProcess) confirmBackup(ctx context.Context, id string) error {
	if err := d.signedIn(); err != nil {
		return err
	}
	if _, err := d.engine.Backup(ctx, id); err != nil {
		return err
	}
	bad, err := d.engine.CheckBase(ctx)
	if err == nil && len(bad) > 0 {
		err = &cairn.Error{
			Code:    cairn.CodeBackupNotFound,
			Message: fmt.Sprintf("Not all of the backup %s is there: %s is damaged or missing.", id, bad[0]),
			Hint:    "The next backup writes it anew; cairn cloud check says which backups need it.",
		}
	}
	return err
}

// signedIn returns an error of cairn.CodeSignedOut unless the user is signed in.
func (d *daemonProcess) signedIn() error {
	if d.device.SignedIn() {
		return nil
	}
	return &cairn.Error{
		Code:    cairn.CodeSignedOut,
		Message: "The user is signed out, and backups are the user's.",
		Hint:    "Sign in with POST /os/sign_in. It takes no password; documents stay as they are.",
	}
}

// beginBackup begins an automatic backup.
func (d *daemonProcess) beginBackup(ctx context.Context) (cairn.Watch, error) {
	if err := d.signedIn(); err != nil {
		return nil, err
	}
	if _, err := d.engine.CheckBase(ctx); err != nil {
		d.log.Warn("what the last backup consists of could not be looked for", "err", err)
	}
	return d.jobs.Create(ctx)
}

// automaticMetrics returns how automatic backups stand, for the metrics.
func (d *daemonProcess) automaticMetrics() metrics.Automatic {
	st := d.scheduler.Status()
	return metrics.Automatic{On: st.On, Failures: st.Failures, Next: st.Next, Overdue: !st.OverdueSince.IsZero()}
}

// automaticOf returns what the wire shows of the scheduler.
func automaticOf(st schedule.Status) api.Automatic {
	moment := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return api.Timestamp(t)
	}
	a := api.Automatic{
		On: st.On, Schedule: st.Cron, Quiet: st.Quiet.Seconds(), Running: st.Running,
		Next: moment(st.Next), LastSuccess: moment(st.LastSuccess),
		Failures: st.Failures, FailingSince: moment(st.FailingSince), LastFailure: moment(st.LastFailure),
		Problem: api.CauseOf(st.Problem), OverdueSince: moment(st.OverdueSince), TidyingProblem: api.CauseOf(st.Tidying),
	}
	if st.Quiet > 0 {
		a.AtMostEvery = st.AtMostEvery.Seconds()
	}
	if a.Next != "" {
		a.Why = string(st.Why)
	}
	return a
}

// automaticText says how automatic backups stand, on as many lines as that takes.
func automaticText(a api.Automatic) string {
	if !a.On {
		return "automatic  off; cairn serve --schedule '0 3 * * *' or --quiet 30s has backups made by themselves\n"
	}
	var rules []string
	if a.Schedule != "" {
		rules = append(rules, "at "+printable(a.Schedule))
	}
	if a.Quiet > 0 {
		rule := secondsText(a.Quiet) + " after changes"
		if a.AtMostEvery > 0 {
			rule += ", at most every " + secondsText(a.AtMostEvery)
		}
		rules = append(rules, rule)
	}
	var text strings.Builder
	text.WriteString("automatic  " + strings.Join(rules, "; "))
	switch {
	case a.Running:
		text.WriteString("; one is made now")
	case a.Why == string(schedule.TriggerRetry):
		text.WriteString("; next try " + localTime(a.Next))
	case a.Next != "":
		text.WriteString("; next " + localTime(a.Next))
	}
	text.WriteString("\n")
	if a.Problem != nil {
		times := ""
		if a.Failures > 1 {
			times = fmt.Sprintf(", %d times", a.Failures)
		}
		fmt.Fprintf(&text, "failing    since %s%s: %s\n", localTime(a.FailingSince), times, causeText(*a.Problem))
	}
	if a.OverdueSince != "" {
		fmt.Fprintf(&text, "overdue    since %s: the newest backup is older than it should be\n", localTime(a.OverdueSince))
	}
	if a.TidyingProblem != nil {
		fmt.Fprintf(&text, "tidying    failed after the newest automatic backup: %s\n", causeText(*a.TidyingProblem))
	}
	return text.String()
}

// causeText returns why something failed and what helps, in one line or two.
func causeText(c api.Cause) string {
	text := phrase(c.Detail)
	if c.Hint != "" {
		text += "\n           hint: " + phrase(c.Hint)
	}
	return text
}

// secondsText returns a duration for a person, without what is zero in it.
func secondsText(seconds float64) string {
	text := time.Duration(seconds * float64(time.Second)).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
