package segment_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"cairn"
	"cairn/internal/segment"
)

func TestSum(t *testing.T) {
	digits := "00ff" + strings.Repeat("1a", 30)
	var sum segment.Sum
	if err := json.Unmarshal([]byte(`"`+digits+`"`), &sum); err != nil || sum[0] != 0 || sum[1] != 0xff || sum[31] != 0x1a {
		t.Errorf("%s was read as %v, %v", digits, sum[:], err)
	}
	if got, err := json.Marshal(sum); err != nil || string(got) != `"`+digits+`"` || sum.String() != digits {
		t.Errorf("Marshal gave %s, %v, and String %s, want %s", got, err, sum, digits)
	}
	for _, text := range []string{"", digits[:62], digits[:63], digits + "00", strings.ToUpper(digits), strings.Replace(digits, "1", "g", 1)} {
		if err := new(segment.Sum).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

// part is one that can be.
func part() segment.Part {
	return segment.Part{Object: segment.Object{Name: "a", Size: 100}, From: 3, To: 7, Documents: 2, Deletions: 1, Plain: 200}
}

func TestPartValidate(t *testing.T) {
	if err := part().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*segment.Part){
		"negative from":       func(p *segment.Part) { p.From = -1 },
		"no range":            func(p *segment.Part) { p.To = p.From },
		"range backwards":     func(p *segment.Part) { p.To = 2 },
		"too many rows":       func(p *segment.Part) { p.Documents = 4 },
		"overflow":            func(p *segment.Part) { p.Documents, p.Deletions = 1<<62, 1<<62 },
		"negative documents":  func(p *segment.Part) { p.Documents = -1 },
		"negative deletions":  func(p *segment.Part) { p.Deletions = -1 },
		"no rows":             func(p *segment.Part) { p.Documents, p.Deletions = 0, 0 },
		"no lines":            func(p *segment.Part) { p.Plain = 0 },
		"countless documents": func(p *segment.Part) { p.To, p.Documents = 1<<62, 1<<61 },
		"countless deletions": func(p *segment.Part) { p.To, p.Deletions = 1<<62, 1<<61 },
		"too many lines":      func(p *segment.Part) { p.Plain = 64 << 20 },
		"no bytes":            func(p *segment.Part) { p.Size = 0 },
		"too many bytes":      func(p *segment.Part) { p.Size = 1 << 40 },
	} {
		p := part()
		change(&p)
		if err := p.Validate(); err == nil {
			t.Errorf("%s: %+v is valid", name, p)
		}
	}
}

// TestShortestPart has a part of lines that none can be shorter than; with a byte
// less, so many rows cannot be.
func TestShortestPart(t *testing.T) {
	documents := []cairn.Document{{Revision: 1, Collection: "a", ID: "a", JSON: []byte("{}")}, {Revision: 2, Collection: "a", ID: "b", JSON: []byte("{}")}}
	deletions := []cairn.Document{{Revision: 3, Collection: "a", ID: "c"}, {Revision: 4, Collection: "a", ID: "d"}}
	for _, docs := range [][]cairn.Document{documents, deletions, slices.Concat(documents, deletions)} {
		_, p := encode(t, keys(t).Recipient(), docs)
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
		if want := 55*p.Documents + 41*p.Deletions; p.Plain != want {
			t.Errorf("the lines have %d bytes, and docs/format.md says %d", p.Plain, want)
		}
		p.Plain--
		if err := p.Validate(); err == nil {
			t.Errorf("%d documents and %d deletions in %d bytes are valid", p.Documents, p.Deletions, p.Plain)
		}
	}
}

func TestSegmentValidate(t *testing.T) {
	single, err := segment.Join([]segment.Part{part()})
	if err != nil {
		t.Fatal(err)
	}
	parts, several := twoParts(t, 5)
	if err := several.Validate(); err == nil {
		t.Error("a segment of two parts without an index is valid")
	}
	several.Index, several.Stored = &segment.Object{Size: 10}, several.Stored+10
	for name, s := range map[string]segment.Segment{"single": single, "several": several, "empty": {From: 5, To: 7}, "nothing": {}} {
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, test := range map[string]struct {
		segment segment.Segment
		change  func(*segment.Segment)
	}{
		"part of another range":     {single, func(s *segment.Segment) { s.From-- }},
		"part of other documents":   {single, func(s *segment.Segment) { s.Documents-- }},
		"part of other deletions":   {single, func(s *segment.Segment) { s.Deletions-- }},
		"part of other lines":       {single, func(s *segment.Segment) { s.Plain-- }},
		"part of other size":        {single, func(s *segment.Segment) { s.Stored-- }},
		"two parts":                 {single, func(s *segment.Segment) { s.Parts = 2 }},
		"part lost":                 {single, func(s *segment.Segment) { s.Part = nil }},
		"part and index":            {single, func(s *segment.Segment) { s.Index = several.Index }},
		"index of a part":           {several, func(s *segment.Segment) { s.Parts = 1 }},
		"index of too many parts":   {several, func(s *segment.Segment) { s.Parts = 1 << 30 }},
		"negative parts":            {several, func(s *segment.Segment) { s.Parts = -1 }},
		"index larger than all":     {several, func(s *segment.Segment) { s.Stored = 10 }},
		"index of no bytes":         {several, func(s *segment.Segment) { s.Index = &segment.Object{} }},
		"range backwards":           {several, func(s *segment.Segment) { s.To = -1 }},
		"more rows than revisions":  {several, func(s *segment.Segment) { s.Deletions = 2 }},
		"rows too many for lines":   {several, func(s *segment.Segment) { s.Plain = 5*55 + 41 - 1 }},
		"countless documents":       {several, func(s *segment.Segment) { s.To, s.Documents = 1<<62, 1<<61 }},
		"countless deletions":       {several, func(s *segment.Segment) { s.To, s.Deletions = 1<<62, 1<<61 }},
		"negative documents":        {several, func(s *segment.Segment) { s.Documents = -1 }},
		"rows of nothing":           {segment.Segment{}, func(s *segment.Segment) { s.To, s.Documents = 1, 1 }},
		"lines of nothing":          {segment.Segment{}, func(s *segment.Segment) { s.Plain = 1 }},
		"range of nothing reversed": {segment.Segment{}, func(s *segment.Segment) { s.From = 1 }},
	} {
		s := test.segment
		test.change(&s)
		if err := s.Validate(); err == nil {
			t.Errorf("%s: %+v is valid", name, s)
		}
	}

	want := segment.Segment{From: 0, To: 6, Documents: 5, Deletions: 1, Plain: 7000, Stored: 4000, Parts: 2}
	if got, err := segment.Join(parts); err != nil || !gocmp.Equal(want, got) {
		t.Errorf("Join: %+v, %v, want %+v", got, err, want)
	}
	for name, from := range map[string]int64{"a gap": 8, "an overlap": 6} {
		next := part()
		next.From, next.To = from, 20
		if _, err := segment.Join([]segment.Part{part(), next}); err == nil {
			t.Errorf("Join of parts with %s returned nil", name)
		}
	}
	if _, err := segment.Join(nil); err == nil {
		t.Error("Join of nothing returned nil")
	}
}
