package buckettest

import "testing"

// A location is what a driver reads from a URL.
type location[L any] interface {
	comparable
	String() string
	Place() string
	Below() string
	Outer() []L
}

// URLs tests how a driver reads URLs: the good ones, which are the only ones of their
// locations, others of the same locations, and bad ones.
func URLs[L location[L]](t *testing.T, parse func(string) (L, error), good map[string]L, others map[string]string, bad []string) {
	for text, want := range good {
		got, err := parse(text)
		if err != nil || got != want || got.String() != text || got.Place() != text {
			t.Errorf("%s is %+v, %v, as a URL %s, its place %s, want %+v", text, got, err, got, got.Place(), want)
		}
	}
	for text, want := range others {
		got, err := parse(text)
		if err != nil || got.String() != want {
			t.Errorf("%s is %s, %v, want %s", text, got, err, want)
			continue
		}
		if outer := got.Outer(); got.Below() != "" && (len(outer) != 1 || outer[0].Below() != "") {
			t.Errorf("%s is below %v, want one place", text, outer)
		}
	}
	for _, text := range bad {
		if got, err := parse(text); err == nil {
			t.Errorf("%s is %+v, want an error", text, got)
		}
	}
}
