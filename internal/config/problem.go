package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cairn"
)

// A Problem is what is wrong with one setting.
type Problem struct {
	Origin Origin
	Key    string // "" for the form of the file
	What   string // is wrong, and what is right; a phrase
	Hint   string // may be ""
}

// String returns the problem as a phrase: where, which key, what.
func (p Problem) String() string {
	if p.Key == "" || p.Origin.Kind == Flag || p.Origin.Kind == Environment {
		return fmt.Sprintf("%s: %s", p.Origin, p.What)
	}
	return fmt.Sprintf("%s: %s: %s", p.Origin, p.Key, p.What)
}

// Problems are all that is wrong with a configuration, at least one, in the order
// of the file. It is an error.
type Problems []Problem

// Error returns the problems as lines.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// of reports whether one of them is of a key.
func (p Problems) of(key string) bool {
	return slices.ContainsFunc(p, func(one Problem) bool { return one.Key == key })
}

// asError returns the problems as one error for a person, which holds them; nil
// for none.
func (p Problems) asError() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, func(a, b Problem) int { return cmp.Compare(a.Origin.Line, b.Origin.Line) })
	e := &cairn.Error{Code: cairn.CodeInvalid, Message: p[0].String() + ".", Hint: p[0].Hint, Err: p}
	if len(p) > 1 {
		e.Hint = strings.TrimSpace(fmt.Sprintf("%s The configuration has %d errors: cairn config check shows all.", e.Hint, len(p)))
	}
	return e
}

// A Kind is where a value comes from.
type Kind string

// The kinds, the strongest first.
const (
	Flag        Kind = "flag"
	Environment Kind = "environment"
	File        Kind = "file"
	Default     Kind = "default"
)

// An Origin is where a value comes from.
type Origin struct {
	Kind Kind
	Name string // --listen, CAIRN_LISTEN, or the path of the file; "" for a default
	Line int    // in the file, from 1; else 0
}

// String returns the origin as a person reads it.
func (o Origin) String() string {
	switch {
	case o.Kind == Default:
		return "default"
	case o.Line > 0:
		return fmt.Sprintf("%s:%d", o.Name, o.Line)
	}
	return o.Name
}
