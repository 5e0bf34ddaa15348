package cairn

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
)

// Unlimited, as a count of a [Retention], keeps all that it counts.
const Unlimited = -1

// A Retention says which backups of a device are kept, in the terms of restic
// forget: a backup stays when one of the rules is for it. The zero Retention has
// no rule, and keeps everything.
type Retention struct {
	// Last is how many of the newest backups stay. The others are how many
	// hours, days, weeks, months and years keep the newest backup in them,
	// counted back from the newest that has one. Each is 0, or [Unlimited], or
	// at most [MaxCount].
	Last, Hourly, Daily, Weekly, Monthly, Yearly int
	// Within is how long before the newest backup all stay. The others are how
	// long before it each hour, day, week, month and year keeps its newest one.
	Within, WithinHourly, WithinDaily, WithinWeekly, WithinMonthly, WithinYearly Span
}

// MaxCount is the largest count of a [Retention], and the largest number in a
// [Span].
const MaxCount = 100_000

// IsEmpty reports whether there is no rule.
func (r Retention) IsEmpty() bool { return r == Retention{} }

// Counts returns the rules that count, by the name of their unit: last, hourly,
// daily, weekly, monthly and yearly.
func (r *Retention) Counts() iter.Seq2[string, *int] {
	return func(yield func(string, *int) bool) {
		_ = yield("last", &r.Last) && yield("hourly", &r.Hourly) && yield("daily", &r.Daily) &&
			yield("weekly", &r.Weekly) && yield("monthly", &r.Monthly) && yield("yearly", &r.Yearly)
	}
}

// Spans returns the rules of time: within, within-hourly, within-daily,
// within-weekly, within-monthly and within-yearly.
func (r *Retention) Spans() iter.Seq2[string, *Span] {
	return func(yield func(string, *Span) bool) {
		_ = yield("within", &r.Within) && yield("within-hourly", &r.WithinHourly) && yield("within-daily", &r.WithinDaily) &&
			yield("within-weekly", &r.WithinWeekly) && yield("within-monthly", &r.WithinMonthly) && yield("within-yearly", &r.WithinYearly)
	}
}

// String returns the rules as flags of a command line; "" without any.
func (r Retention) String() string {
	var flags []string
	for name, n := range r.Counts() {
		if *n != 0 {
			flags = append(flags, "--keep-"+name+" "+CountText(*n))
		}
	}
	for name, s := range r.Spans() {
		if *s != (Span{}) {
			flags = append(flags, "--keep-"+name+" "+s.String())
		}
	}
	return strings.Join(flags, " ")
}

// Validate returns an error, for a person, that names a rule out of bounds.
func (r Retention) Validate() error {
	for name, n := range r.Counts() {
		if *n < Unlimited || *n > MaxCount {
			return fmt.Errorf("keep-%s is %d: it is at least 0 and at most %d, or -1 for all", name, *n, MaxCount)
		}
	}
	for name, s := range r.Spans() {
		for _, n := range []int{s.Years, s.Months, s.Days, s.Hours} {
			if n < 0 || n > MaxCount {
				return fmt.Errorf("keep-%s has the number %d: each is at least 0 and at most %d", name, n, MaxCount)
			}
		}
	}
	return nil
}

// unlimited is [Unlimited] as text.
const unlimited = "unlimited"

// ParseCount reads a count of a [Retention]: a number, or "unlimited". Its
// errors are for a person.
func ParseCount(text string) (int, error) {
	if text == unlimited {
		return Unlimited, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < Unlimited || n > MaxCount {
		return 0, fmt.Errorf("%s is no count: it is a whole number up to %d, or unlimited", Quote(text), MaxCount)
	}
	return n, nil
}

// CountText is the opposite of [ParseCount].
func CountText(n int) string {
	if n == Unlimited {
		return unlimited
	}
	return strconv.Itoa(n)
}

// A Span is a length of time as the calendar has it: a month is as long as that
// before which it is. None of its numbers is negative, or over [MaxCount].
type Span struct{ Years, Months, Days, Hours int }

// ParseSpan reads a span as restic writes them, such as 2y5m7d3h: numbers, each
// with its unit, y for years, m for months, d for days, h for hours. Its errors
// are for a person.
func ParseSpan(text string) (Span, error) {
	var s Span
	rest := text
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.Atoi(rest[:digits])
		if err != nil || n > MaxCount || digits == len(rest) {
			return Span{}, badSpan(text)
		}
		unit := s.unit(rest[digits])
		if unit == nil || *unit != 0 {
			return Span{}, badSpan(text)
		}
		*unit, rest = n, rest[digits+1:]
	}
	if s == (Span{}) && text != "0h" {
		return Span{}, badSpan(text)
	}
	return s, nil
}

func badSpan(text string) error {
	return errors.New(Quote(text) + " is no span of time: it looks like 2y5m7d3h, of years, months, days and hours")
}

// unit returns the number for a letter, or nil.
func (s *Span) unit(letter byte) *int {
	switch letter {
	case 'y':
		return &s.Years
	case 'm':
		return &s.Months
	case 'd':
		return &s.Days
	case 'h':
		return &s.Hours
	}
	return nil
}

// String is the opposite of [ParseSpan]. An empty span is "0h".
func (s Span) String() string {
	var text strings.Builder
	for _, letter := range []byte("ymdh") {
		if n := *s.unit(letter); n != 0 {
			fmt.Fprintf(&text, "%d%c", n, letter)
		}
	}
	if text.Len() == 0 {
		return "0h"
	}
	return text.String()
}

// Before returns the moment that is the span before t, in the time zone of t.
func (s Span) Before(t time.Time) time.Time {
	return t.AddDate(-s.Years, -s.Months, -s.Days).Add(-time.Duration(s.Hours) * time.Hour)
}

// A DatedBackup is a backup, and when its manifest was written.
type DatedBackup struct {
	Backup
	// Modified is by the clock of the bucket. It is later than Created by as
	// long as the backup took, or was brought back or copied later.
	Modified time.Time
}

// A Decision says what a [Retention] means for one backup.
type Decision struct {
	DatedBackup
	Keep    bool
	Reasons []string // to keep it, such as "daily 3 of 7"; at least one when Keep is set
	Removed bool     // from the list of backups, by the work that decided
}

// ForgetOptions say which backups a [Retention] is applied to.
type ForgetOptions struct {
	// Device is the name of a device or the id of an installation; "" means
	// this one. All means each device, each by itself.
	Device     string
	AllDevices bool
	// DryRun removes nothing.
	DryRun bool
}

// Forgotten is what became of applying a [Retention].
type Forgotten struct {
	Policy    Retention
	Decisions []Decision // newest first
	DryRun    bool
}

// Removed returns how many backups were removed, and how many should have been or
// would be.
func (f Forgotten) Removed() (removed, left int) {
	for _, d := range f.Decisions {
		switch {
		case d.Removed:
			removed++
		case !d.Keep:
			left++
		}
	}
	return removed, left
}
