package api

import (
	"fmt"

	"cairn"
)

// A Retention is a [cairn.Retention] on the wire. Counts are numbers, -1 for all;
// spans are text such as 2y5m7d3h. What is left out is no rule.
type Retention struct {
	KeepLast          int    `json:"keep_last,omitempty"`
	KeepHourly        int    `json:"keep_hourly,omitempty"`
	KeepDaily         int    `json:"keep_daily,omitempty"`
	KeepWeekly        int    `json:"keep_weekly,omitempty"`
	KeepMonthly       int    `json:"keep_monthly,omitempty"`
	KeepYearly        int    `json:"keep_yearly,omitempty"`
	KeepWithin        string `json:"keep_within,omitempty"`
	KeepWithinHourly  string `json:"keep_within_hourly,omitempty"`
	KeepWithinDaily   string `json:"keep_within_daily,omitempty"`
	KeepWithinWeekly  string `json:"keep_within_weekly,omitempty"`
	KeepWithinMonthly string `json:"keep_within_monthly,omitempty"`
	KeepWithinYearly  string `json:"keep_within_yearly,omitempty"`
}

// counts and spans have an order in common with those of cairn.Retention.
func (r *Retention) counts() []*int {
	return []*int{&r.KeepLast, &r.KeepHourly, &r.KeepDaily, &r.KeepWeekly, &r.KeepMonthly, &r.KeepYearly}
}

func (r *Retention) spans() []*string {
	return []*string{&r.KeepWithin, &r.KeepWithinHourly, &r.KeepWithinDaily, &r.KeepWithinWeekly, &r.KeepWithinMonthly, &r.KeepWithinYearly}
}

// RetentionOf returns what the wire shows of rules.
func RetentionOf(policy cairn.Retention) (r Retention) {
	i := 0
	for _, n := range policy.Counts() {
		*r.counts()[i] = *n
		i++
	}
	i = 0
	for _, span := range policy.Spans() {
		if *span != (cairn.Span{}) {
			*r.spans()[i] = span.String()
		}
		i++
	}
	return r
}

// Policy returns the rules, or an error, for a person, that says which is none.
func (r Retention) Policy() (policy cairn.Retention, err error) {
	i := 0
	for _, n := range policy.Counts() {
		*n = *r.counts()[i]
		i++
	}
	i = 0
	for name, span := range policy.Spans() {
		if text := *r.spans()[i]; text != "" {
			if *span, err = cairn.ParseSpan(text); err != nil {
				return policy, fmt.Errorf("keep-%s: %w", name, err)
			}
		}
		i++
	}
	return policy, policy.Validate()
}

// A ForgetRequest is the body of POST /v1/backups/forget.
type ForgetRequest struct {
	// Policy are the rules; those of the daemon's configuration when it is left
	// out.
	Policy *Retention `json:"policy,omitempty"`
	// Device is the name of a device or the id of an installation; that of the
	// daemon when neither this nor AllDevices is given.
	Device     string `json:"device,omitempty"`
	AllDevices bool   `json:"all_devices,omitempty"`
	DryRun     bool   `json:"dry_run,omitempty"`
}

// Forgotten is the answer of POST /v1/backups/forget.
type Forgotten struct {
	Policy    Retention  `json:"policy"`
	DryRun    bool       `json:"dry_run"`
	Decisions []Decision `json:"decisions"` // newest first
	// Removed counts the backups that were removed, and Left those that should
	// have been and were not, or would be.
	Removed int `json:"removed"`
	Left    int `json:"left"`
	// Problem says why backups are left, unless that was a dry run.
	Problem *Cause `json:"problem,omitempty"`
}

// A Decision says whether one backup stays.
type Decision struct {
	ID           string   `json:"id"`
	Created      string   `json:"created"`  // by the clock of its device
	Modified     string   `json:"modified"` // by the clock of the bucket
	DeviceName   string   `json:"device_name"`
	Installation string   `json:"installation"`
	Keep         bool     `json:"keep"`
	Reasons      []string `json:"reasons"` // to keep it
	Removed      bool     `json:"removed"`
}

// ForgottenOf returns what the wire shows of an application of rules that ended
// with err, which may be nil.
func ForgottenOf(f cairn.Forgotten, err error) Forgotten {
	all := Forgotten{Policy: RetentionOf(f.Policy), DryRun: f.DryRun, Decisions: make([]Decision, len(f.Decisions))}
	all.Removed, all.Left = f.Removed()
	for i, d := range f.Decisions {
		all.Decisions[i] = Decision{
			ID:           d.ID,
			Created:      Timestamp(d.Created),
			Modified:     Timestamp(d.Modified),
			DeviceName:   d.DeviceName,
			Installation: d.Installation,
			Keep:         d.Keep,
			Reasons:      append([]string{}, d.Reasons...),
			Removed:      d.Removed,
		}
	}
	if err != nil {
		p := ProblemOf(err)
		all.Problem = &Cause{Code: p.Code, Detail: p.Detail, Hint: p.Hint}
	}
	return all
}
