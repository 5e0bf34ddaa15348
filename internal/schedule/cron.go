package schedule

import (
	"strings"
	"time"

	cron "github.com/netresearch/go-cron"

	"cairn"
)

// searchYears is how far ahead times are looked for: February 29 comes after 8
// years at the latest.
const searchYears = 10

// A Cron is a set of times on the clock on the wall, in whole minutes.
type Cron struct {
	text  string
	times cron.Schedule // of a clock that is never put forward or back
}

// ParseCron reads a cron expression: minute, hour, day of the month, month and day
// of the week (0 and 7 are Sunday; names are three letters), or one of @yearly,
// @monthly, @weekly, @daily and @hourly. As in crontab(5), a day is met when either
// of the two fields of days is, if both of them say something. The error is of
// cairn.CodeInvalid.
func ParseCron(text string) (*Cron, error) {
	text = strings.Join(strings.Fields(text), " ")
	lower := strings.ToLower(text)
	switch {
	case strings.HasPrefix(lower, "@every"):
		return nil, badCron(text, "an interval has no times")
	case strings.Contains(text, "="):
		return nil, badCron(text, "times are those of this computer's zone")
	}
	parser, err := cron.TryNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor | cron.DowOrDom)
	if err != nil {
		return nil, err
	}
	times, err := parser.WithMaxSearchYears(searchYears).Parse(lower)
	switch {
	case err != nil && strings.Contains(err.Error(), " option"): // of the parser, which nobody can set
		return nil, badCron(text, "L, W and # are not understood")
	case err != nil:
		why, _, _ := strings.Cut(err.Error(), ": [") // which repeats the text
		return nil, badCron(text, why)
	}
	c := &Cron{text: text, times: times}
	if c.times.Next(time.Unix(0, 0).UTC()).IsZero() {
		return nil, badCron(text, "there is no such day")
	}
	return c, nil
}

func badCron(text, why string) error {
	return &cairn.Error{
		Code:    cairn.CodeInvalid,
		Message: "The schedule " + cairn.Quote(text) + " is no cron expression: " + why + ".",
		Hint:    `Write minute, hour, day of the month, month and day of the week, as "0 3 * * *" for each night at three, or @daily.`,
	}
}

// String returns the expression.
func (c *Cron) String() string { return c.text }

// Next returns the first time after t, in the zone of t. Where clocks are put
// forward, times that are left out come together at the moment that follows; where
// they are put back, a time that comes twice counts when it comes first.
func (c *Cron) Next(t time.Time) time.Time {
	zone := t.Location()
	wall := onWall(t)
	for {
		wall = c.times.Next(wall)
		if wall.IsZero() {
			return time.Time{} // ParseCron has found one, so no calendar has it
		}
		if next := moment(wall, zone); next.After(t) {
			return next
		}
	}
}

// onWall returns what the clock shows at t, as a time in UTC, where no clock is
// ever put forward or back.
func onWall(t time.Time) time.Time {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	return time.Date(year, month, day, hour, minute, second, t.Nanosecond(), time.UTC)
}

// moment returns when clocks in a zone show wall, for the first time; or where
// they never do, when they are put forward past it.
func moment(wall time.Time, zone *time.Location) time.Time {
	year, month, day := wall.Date()
	hour, minute, second := wall.Clock()
	t := time.Date(year, month, day, hour, minute, second, wall.Nanosecond(), zone)
	from, until := t.ZoneBounds()
	switch shown := onWall(t); {
	case shown.After(wall): // as if the clocks had been put forward before
		return from
	case shown.Before(wall):
		return until
	}
	if from.IsZero() {
		return t
	}
	// The clocks before that may have shown it already.
	_, offset := from.Add(-1).Zone()
	earlier := wall.Add(-time.Duration(offset) * time.Second).In(zone)
	if earlier.Before(from) && onWall(earlier).Equal(wall) {
		return earlier
	}
	return t
}
