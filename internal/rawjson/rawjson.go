// Package rawjson reads and edits JSON text without ever decoding what it does
// not have to: key order, number forms, escapes, lone surrogates and unknown
// fields come out as they went in.
//
// Start with [Compact], which checks text from outside and strips its white
// space. All other functions take compacted, valid text and look at spans of
// it, which share its memory:
//
//	doc, err := rawjson.Compact(nil, body)
//	name, ok := rawjson.Text(rawjson.Get(doc, "name"))
//	doc = rawjson.Merge(doc, patch)
package rawjson

import (
	"fmt"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may be nested: the bound that
// encoding/json has, so that every Go program can read what cairn keeps.
const MaxDepth = 10_000

// A SyntaxError tells why text is not JSON, and where.
type SyntaxError struct {
	Offset int    // bytes before the fault
	Reason string // what is wrong there, as the end of a sentence
	UTF8   bool   // the fault is a byte sequence that is not UTF-8
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset)
}

// Compact appends to dst the one JSON value that src holds, without the white
// space between its tokens, and returns the extended slice. It refuses, with a
// [*SyntaxError], whatever RFC 8259 does, text that is not UTF-8, and nesting
// deeper than [MaxDepth]. Strings and numbers are copied as they are. dst may
// be src[:0]; then src holds nothing of use afterwards, after an error neither.
func Compact(dst, src []byte) ([]byte, error) {
	c := compactor{src: src, dst: dst}
	if err := c.value(); err != nil {
		return nil, err
	}
	c.space()
	if c.at < len(src) {
		return nil, c.fail("something follows the value")
	}
	return c.dst, nil
}

// compactor is the state of one Compact call. Nesting is kept in open, not on
// the goroutine's stack.
type compactor struct {
	src  []byte
	at   int
	dst  []byte
	open []byte // '{' or '[' for each container around the current value
}

func (c *compactor) fail(reason string) error {
	if c.at >= len(c.src) {
		reason = "the text ends too early"
	}
	return &SyntaxError{Offset: c.at, Reason: reason}
}

func (c *compactor) space() {
	for c.at < len(c.src) {
		switch c.src[c.at] {
		case ' ', '\t', '\n', '\r':
			c.at++
		default:
			return
		}
	}
}

// next skips white space and returns the byte there, 0 at the end.
func (c *compactor) next() byte {
	c.space()
	if c.at < len(c.src) {
		return c.src[c.at]
	}
	return 0
}

// put copies the byte at the position.
func (c *compactor) put() {
	c.dst = append(c.dst, c.src[c.at])
	c.at++
}

// value copies one value with all that it holds.
func (c *compactor) value() error {
	for {
		opened, err := c.token()
		if err != nil {
			return err
		}
		if opened {
			continue // the first value inside
		}
		again, err := c.after()
		if err != nil || !again {
			return err
		}
	}
}

// token copies a scalar, an empty container, or the opening of a container up
// to its first value; opened tells that a value must follow.
func (c *compactor) token() (opened bool, err error) {
	switch b := c.next(); b {
	case '{', '[':
		if len(c.open) == MaxDepth {
			return false, c.fail(fmt.Sprintf("arrays and objects are nested deeper than %d", MaxDepth))
		}
		c.put()
		if c.next() == b+2 { // '}' and ']' stand two places after their openings
			c.put()
			return false, nil
		}
		c.open = append(c.open, b)
		if b == '{' {
			return true, c.key()
		}
		return true, nil
	case '"':
		return false, c.str()
	case 't':
		return false, c.literal("true")
	case 'f':
		return false, c.literal("false")
	case 'n':
		return false, c.literal("null")
	default:
		return false, c.number()
	}
}

// after copies what follows a value inside its containers, closing those that
// end; again tells that another value must follow.
func (c *compactor) after() (again bool, err error) {
	for len(c.open) > 0 {
		kind := c.open[len(c.open)-1]
		switch c.next() {
		case ',':
			c.put()
			if kind == '{' {
				return true, c.key()
			}
			return true, nil
		case kind + 2:
			c.put()
			c.open = c.open[:len(c.open)-1]
		default:
			if kind == '{' {
				return false, c.fail("a comma or } is missing")
			}
			return false, c.fail("a comma or ] is missing")
		}
	}
	return false, nil
}

// key copies a member's name and colon.
func (c *compactor) key() error {
	if c.next() != '"' {
		return c.fail("a member's name in quotes is missing")
	}
	if err := c.str(); err != nil {
		return err
	}
	if c.next() != ':' {
		return c.fail("a colon is missing")
	}
	c.put()
	return nil
}

func (c *compactor) literal(word string) error {
	if len(c.src)-c.at < len(word) || string(c.src[c.at:c.at+len(word)]) != word {
		return c.fail("this is not a JSON value")
	}
	c.dst = append(c.dst, word...)
	c.at += len(word)
	return nil
}

// plain marks the bytes that a string can hold as they are: ASCII that is no
// control character, quote or backslash.
var plain = func() (t [256]bool) {
	for b := 0x20; b < 0x80; b++ {
		t[b] = b != '"' && b != '\\'
	}
	return t
}()

// str copies a string; the position is at its opening quote.
func (c *compactor) str() error {
	src, start := c.src, c.at
	i := start + 1
	for {
		for i < len(src) && plain[src[i]] {
			i++
		}
		c.at = i
		if i >= len(src) {
			return c.fail("")
		}
		switch b := src[i]; {
		case b == '"':
			c.at = i + 1
			c.dst = append(c.dst, src[start:c.at]...)
			return nil
		case b == '\\':
			n, err := c.escape()
			if err != nil {
				return err
			}
			i += n
		case b < 0x20:
			return c.fail(fmt.Sprintf("a string holds the control character %#02x, which must be escaped", b))
		default:
			r, n := utf8.DecodeRune(src[i:])
			if r == utf8.RuneError && n == 1 {
				return &SyntaxError{Offset: i, Reason: "the text is not UTF-8", UTF8: true}
			}
			i += n
		}
	}
}

// escape checks the escape at the position and returns its length.
func (c *compactor) escape() (int, error) {
	rest := c.src[c.at:]
	if len(rest) < 2 {
		c.at = len(c.src)
		return 0, c.fail("")
	}
	switch rest[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, nil
	case 'u':
		if len(rest) >= 6 && hex4(rest[2:]) >= 0 {
			return 6, nil
		}
		return 0, c.fail("four hexadecimal digits must follow \\u")
	}
	return 0, c.fail("there is no such escape")
}

// hex4 returns the number in the first four bytes of b, -1 when they are not
// hexadecimal digits.
func hex4(b []byte) rune {
	var r rune
	for _, d := range b[:4] {
		switch {
		case '0' <= d && d <= '9':
			d -= '0'
		case 'a' <= d && d <= 'f':
			d -= 'a' - 10
		case 'A' <= d && d <= 'F':
			d -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(d)
	}
	return r
}

// number copies a number of RFC 8259's grammar.
func (c *compactor) number() error {
	src, start := c.src, c.at
	i := start
	digits := func() bool {
		from := i
		for i < len(src) && '0' <= src[i] && src[i] <= '9' {
			i++
		}
		return i > from
	}
	is := func(set string) bool {
		for j := range len(set) {
			if i < len(src) && src[i] == set[j] {
				i++
				return true
			}
		}
		return false
	}
	is("-")
	ok := is("0") || digits()
	if ok && is(".") {
		ok = digits()
	}
	if ok && is("eE") {
		is("+-")
		ok = digits()
	}
	if !ok {
		if i > start {
			c.at = i
			return c.fail("a digit is missing")
		}
		return c.fail("this is not a JSON value")
	}
	c.dst = append(c.dst, src[start:i]...)
	c.at = i
	return nil
}
