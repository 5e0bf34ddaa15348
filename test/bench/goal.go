package main

import (
	"errors"
	"fmt"
)

// A goal is a bound for a figure.
type goal struct {
	step  string // that it is for
	what  string // the figure is
	got   float64
	least bool // the bound is the least it may be, else the most
	bound float64
	exact bool // the figure does not depend on how busy the machine is
}

// met says whether the figure is within the bound.
func (g goal) met() bool {
	if g.least {
		return g.got >= g.bound
	}
	return g.got <= g.bound
}

// limit returns the bound in words.
func (g goal) limit() string {
	if g.least {
		return fmt.Sprintf("min %.2f", g.bound)
	}
	return fmt.Sprintf("max %.2f", g.bound)
}

// hold prints a goal, and remembers it if it is missed.
func (b *bench) hold(g goal) {
	outcome := "met"
	if !g.met() {
		outcome = "missed"
		b.missed = append(b.missed, g)
	}
	fmt.Printf("%-46s %12.2f %12s %8s\n", "  goal: "+g.what, g.got, g.limit(), outcome)
}

// verdict names the goals that were missed. Those that a busy machine does not
// excuse are an error.
func (b *bench) verdict() (err error) {
	for i, g := range b.missed {
		if i == 0 {
			fmt.Println("\nmissed:")
		}
		missed := fmt.Sprintf("%s, %s: %.2f, %s", g.step, g.what, g.got, g.limit())
		fmt.Println("  " + missed)
		if g.exact {
			err = errors.Join(err, errors.New("missed: "+missed))
		}
	}
	return err
}
