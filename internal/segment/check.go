package segment

import (
	"errors"
	"fmt"
)

// maxPlainBytes bounds the lines of a part: a document of 32 MiB may come when
// there is almost enough for a part, and each comes with its names.
const maxPlainBytes = PartBytes + maxLineBytes

// maxObjectBytes bounds a part as it is stored: what cannot be compressed grows
// by less than a hundredth.
const maxObjectBytes = maxPlainBytes + maxPlainBytes/64

// maxParts bounds the parts of a segment: 8 TiB of documents.
const maxParts = 1 << 20

// Validate returns an error unless what the part says of itself can be true.
// It does not look at the name of the object.
func (p Part) Validate() error {
	switch {
	case p.From < 0 || p.To <= p.From:
		return fmt.Errorf("a part of the revisions (%d, %d]", p.From, p.To)
	case !fits(p.Documents, p.Deletions, p.From, p.To) || p.Documents+p.Deletions == 0:
		return fmt.Errorf("a part of %d documents and %d deletions in the revisions (%d, %d]", p.Documents, p.Deletions, p.From, p.To)
	case p.Plain <= 0 || p.Plain > maxPlainBytes:
		return fmt.Errorf("a part of %d bytes of lines; at most %d are possible", p.Plain, maxPlainBytes)
	case !fill(p.Documents, p.Deletions, p.Plain):
		return fmt.Errorf("a part of %d documents and %d deletions in %d bytes of lines", p.Documents, p.Deletions, p.Plain)
	case p.Size <= 0 || p.Size > maxObjectBytes:
		return fmt.Errorf("a part of %d bytes; at most %d are possible", p.Size, maxObjectBytes)
	}
	return nil
}

// fits reports whether so many rows can have distinct revisions in (from, to].
func fits(documents, deletions, from, to int64) bool {
	return 0 <= documents && 0 <= deletions && documents <= to-from && deletions <= to-from-documents
}

// fill reports whether so many rows can have so few bytes of lines. Whoever reads
// them can so have room for the rows before he has seen them.
func fill(documents, deletions, plain int64) bool {
	return documents <= plain/minDocumentBytes && deletions <= (plain-documents*minDocumentBytes)/MinLineBytes
}

// Validate returns an error unless what the segment says of itself can be true.
// It does not look at the names of objects.
func (s Segment) Validate() error {
	switch {
	case s.From < 0 || s.To < s.From:
		return fmt.Errorf("a segment of the revisions (%d, %d]", s.From, s.To)
	case !fits(s.Documents, s.Deletions, s.From, s.To):
		return fmt.Errorf("a segment of %d documents and %d deletions in the revisions (%d, %d]", s.Documents, s.Deletions, s.From, s.To)
	case !fill(s.Documents, s.Deletions, s.Plain):
		return fmt.Errorf("a segment of %d documents and %d deletions in %d bytes of lines", s.Documents, s.Deletions, s.Plain)
	case s.Parts < 0 || s.Parts > maxParts:
		return fmt.Errorf("a segment of %d parts; at most %d are possible", s.Parts, maxParts)
	}
	switch {
	case s.Part == nil && s.Index == nil:
		if s.Parts != 0 || s.Documents != 0 || s.Deletions != 0 || s.Plain != 0 || s.Stored != 0 {
			return errors.New("a segment that says where none of its rows are")
		}
		return nil
	case s.Part != nil && s.Index != nil:
		return errors.New("a segment with both a part and an index")
	case s.Part != nil:
		return s.checkParts([]Part{*s.Part}, s.Part.Size)
	case s.Parts < 2:
		return fmt.Errorf("a segment with an index of %d parts", s.Parts)
	case s.Index.Size <= 0 || s.Stored <= s.Index.Size:
		return fmt.Errorf("a segment of %d bytes with an index of %d", s.Stored, s.Index.Size)
	}
	return nil
}

// checkParts returns an error unless the segment consists of these parts: their
// ranges follow each other from one end to the other, and what they hold adds
// up. stored is the size of all objects.
func (s Segment) checkParts(parts []Part, stored int64) error {
	sum, err := Join(parts)
	switch {
	case err != nil:
		return err
	case sum.From != s.From || sum.To != s.To:
		return fmt.Errorf("parts of the revisions (%d, %d] in a segment of (%d, %d]", sum.From, sum.To, s.From, s.To)
	case sum.Parts != s.Parts:
		return fmt.Errorf("%d parts in a segment of %d", sum.Parts, s.Parts)
	case sum.Documents != s.Documents || sum.Deletions != s.Deletions:
		return fmt.Errorf("parts of %d documents and %d deletions in a segment of %d and %d", sum.Documents, sum.Deletions, s.Documents, s.Deletions)
	case sum.Plain != s.Plain:
		return fmt.Errorf("parts of %d bytes of lines in a segment of %d", sum.Plain, s.Plain)
	case stored != s.Stored:
		return fmt.Errorf("objects of %d bytes in a segment of %d", stored, s.Stored)
	}
	return nil
}

// Join returns the segment that consists of parts, in their order. It is whole
// when there is one part; to one of several, add the index, and its size to
// Stored. The error says which part does not follow the one before it.
func Join(parts []Part) (Segment, error) {
	if len(parts) == 0 || len(parts) > maxParts {
		return Segment{}, fmt.Errorf("%d parts do not make a segment", len(parts))
	}
	s := Segment{From: parts[0].From, To: parts[0].From, Parts: len(parts)}
	for i, p := range parts {
		if err := p.Validate(); err != nil {
			return Segment{}, fmt.Errorf("part %d: %w", i+1, err)
		}
		if p.From != s.To {
			return Segment{}, fmt.Errorf("part %d begins at revision %d, not at %d", i+1, p.From, s.To)
		}
		s.To = p.To
		s.Documents += p.Documents
		s.Deletions += p.Deletions
		s.Plain += p.Plain
		s.Stored += p.Size
	}
	if len(parts) == 1 {
		s.Part = &parts[0]
	}
	return s, nil
}
