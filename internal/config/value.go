package config

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"cairn"
)

// off turns off, as text, what the file or the environment turns on.
const off = "off"

// A value is where a setting is kept. The errors of set are for a person: they
// say what is wrong, and what is right.
type value interface {
	set(text string) error
	String() string
}

// keyStart is how the keys of age begin.
const keyStart = "AGE-SECRET-KEY-"

// text is a value that anything can be but control characters, and a key, which would
// be shown as settings are.
type text string

func (t *text) String() string { return string(*t) }

func (t *text) set(s string) error {
	if strings.Contains(strings.ToUpper(s), keyStart) {
		return errors.New("it is a key itself: put that into a file that only you can read, and name the file here")
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Errorf("%s has a control character, such as the end of a line", cairn.Quote(s))
	}
	*t = text(s)
	return nil
}

// schedule is text that can be off.
type schedule string

func (s *schedule) String() string { return string(*s) }

func (s *schedule) set(given string) error {
	if given == off {
		given = ""
	}
	return (*text)(s).set(given)
}

type level slog.Level

func (l *level) String() string { return strings.ToLower(slog.Level(*l).String()) }

func (l *level) set(s string) error {
	switch s {
	case "debug", "info", "warn", "error":
		return (*slog.Level)(l).UnmarshalText([]byte(s))
	}
	return fmt.Errorf("%s is no level: it is debug, info, warn or error", cairn.Quote(s))
}

// duration is a value of up to most.
type duration struct {
	at   *time.Duration
	most time.Duration
}

func (d *duration) String() string { return durationText(*d.at) }

// durationText returns a duration without what is zero in it; "" for none.
func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (d *duration) set(s string) error {
	if s == off {
		s = "0s"
	}
	n, err := time.ParseDuration(s)
	if err != nil || n < 0 {
		return fmt.Errorf("%s is no duration: it looks like 30s, 5m or 1h30m, or is off", cairn.Quote(s))
	}
	if n > d.most {
		return fmt.Errorf("%s is longer than %s, which is the most", cairn.Quote(s), durationText(d.most))
	}
	*d.at = n
	return nil
}

type count int

func (c *count) String() string {
	if *c == 0 {
		return ""
	}
	return cairn.CountText(int(*c))
}

func (c *count) set(s string) error {
	n, err := cairn.ParseCount(s)
	if err == nil {
		*c = count(n)
	}
	return err
}

type span cairn.Span

func (s *span) String() string {
	if *s == (span{}) {
		return ""
	}
	return cairn.Span(*s).String()
}

func (s *span) set(given string) error {
	read, err := cairn.ParseSpan(given)
	if err == nil {
		*s = span(read)
	}
	return err
}

// prune is Prune and PruneEvery of Retention.
type prune Retention

func (p *prune) String() string {
	switch {
	case !p.Prune:
		return ""
	case p.PruneEvery > 0:
		return durationText(p.PruneEvery)
	}
	return "true"
}

func (p *prune) set(s string) error {
	every := time.Duration(0)
	switch s {
	case "false", off:
		p.Prune, p.PruneEvery = false, 0
		return nil
	case "true":
	default:
		if (&duration{&every, longestPause}).set(s) != nil || every <= 0 {
			return errors.New(cairn.Quote(s) + " is neither true, nor false, nor a duration of up to a year, such as 24h")
		}
	}
	p.Prune, p.PruneEvery = true, every
	return nil
}
