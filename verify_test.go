package cairn_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"cairn"
)

// TestParseSubset reads the forms of a subset, and nothing else.
func TestParseSubset(t *testing.T) {
	for text, want := range map[string]cairn.Subset{
		"5%": {Percent: 5}, "2.5%": {Percent: 2.5}, "0.001%": {Percent: 0.001}, "100%": {Percent: 100},
		"1/1": {Turn: 1, Turns: 1}, "1/5": {Turn: 1, Turns: 5}, "5/5": {Turn: 5, Turns: 5}, "10000/10000": {Turn: 10000, Turns: 10000},
	} {
		if got, err := cairn.ParseSubset(text); err != nil || got != want {
			t.Errorf("%q is %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "5", "%", "0%", "-1%", "100.1%", "NaN%", "inf%", "1e9%", " 5%", "5 %", "five%", "5%%",
		"/", "0/5", "6/5", "-1/5", "1/-5", "1/0", "1/10001", "1/5/5", "1 / 5", "a/b",
	} {
		if got, err := cairn.ParseSubset(text); cairn.CodeOf(err) != cairn.CodeInvalid || got != (cairn.Subset{}) {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
}

// TestSubset draws shares that are rounded up, and has each name fall to one turn.
func TestSubset(t *testing.T) {
	for _, test := range []struct {
		percent     float64
		parts, want int
	}{{0, 10, 0}, {5, 0, 0}, {5, 1, 1}, {5, 20, 1}, {5, 21, 2}, {100, 7, 7}, {0.001, 1000, 1}, {99.999, 10, 10}} {
		if got := (cairn.Subset{Percent: test.percent}).Draw(test.parts); got != test.want {
			t.Errorf("%v %% of %d parts are %d, want %d", test.percent, test.parts, got, test.want)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	counts := [7]int{}
	for range 7000 {
		name, turns := fmt.Sprintf("parts/%x", random.Uint64()), 0
		for turn := range counts {
			if (cairn.Subset{Turn: turn + 1, Turns: len(counts)}).Falls(name) {
				counts[turn]++
				turns++
			}
		}
		if turns != 1 || (cairn.Subset{Percent: 100}).Falls(name) {
			t.Fatalf("%s falls to %d turns", name, turns)
		}
	}
	for turn, n := range counts {
		if n < 850 || n > 1150 {
			t.Errorf("%d of 7,000 names fall to turn %d of 7", n, turn+1)
		}
	}
}
