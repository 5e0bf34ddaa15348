package rawjson

import (
	"bytes"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"
)

// A comparer compares values. The three differ in what they forgive.
type comparer struct {
	rounds bool // numbers as doubles and times as milliseconds
	nulls  bool // a member that is null where the other object has none
}

var (
	exact   = comparer{}
	rounded = comparer{rounds: true}
	lenient = comparer{rounds: true, nulls: true}
)

func (c comparer) same(a, b value) bool {
	x, y := a.raw(), b.raw()
	switch {
	case IsObject(x) && IsObject(y):
		return c.sameObjects(a, b)
	case IsArray(x) && IsArray(y):
		return c.sameLists(a, b)
	case bytes.Equal(x, y):
		return true
	case IsString(x) && IsString(y):
		return a.name() == b.name()
	case isNumber(x) && isNumber(y):
		return sameDecimal(x, y) || c.rounds && sameDouble(x, y)
	}
	return false
}

func (c comparer) sameObjects(a, b value) bool {
	members, others := a.byName(), b.byName()
	if c.nulls {
		isNull := func(_ string, v value) bool { return IsNull(v.raw()) }
		maps.DeleteFunc(members, isNull)
		maps.DeleteFunc(others, isNull)
	}
	if len(members) != len(others) {
		return false
	}
	for name, v := range members {
		other, ok := others[name]
		if !ok || !(c.rounds && sameTime(name, v.raw(), other.raw())) && !c.same(v, other) {
			return false
		}
	}
	return true
}

func (c comparer) sameLists(a, b value) bool {
	var others []value
	for v := range b.inside() {
		others = append(others, v)
	}
	i := 0
	for v := range a.inside() {
		if i == len(others) || !c.same(v, others[i]) {
			return false
		}
		i++
	}
	return i == len(others)
}

func isNumber(v []byte) bool {
	return len(v) > 0 && (v[0] == '-' || '0' <= v[0] && v[0] <= '9')
}

// sameDouble reports whether a client that has doubles only, and writes them in
// the fewest digits that tell them apart, makes one of two numbers the other.
// Numbers beyond the doubles are none that it could send back.
func sameDouble(a, b []byte) bool {
	x, _ := strconv.ParseFloat(string(a), 64)
	y, _ := strconv.ParseFloat(string(b), 64)
	if x != y || math.IsInf(x, 0) {
		return false
	}
	shortest := strconv.AppendFloat(nil, x, 'e', -1, 64)
	return sameDecimal(a, shortest) || sameDecimal(b, shortest)
}

// sameDecimal reports whether two numbers are the same to the last digit,
// whatever their forms.
func sameDecimal(a, b []byte) bool {
	x, ok := decimalOf(a)
	if !ok {
		return false
	}
	y, ok := decimalOf(b)
	return ok && x == y
}

// decimal is digits * 10^exponent, without zeros on either side of digits.
type decimal struct {
	negative bool
	digits   string
	exponent int64
}

// decimalOf is not ok for an exponent of more than 18 digits.
func decimalOf(number []byte) (d decimal, ok bool) {
	text, negative := strings.CutPrefix(string(number), "-")
	d.negative = negative
	if e := strings.IndexAny(text, "eE"); e >= 0 {
		n, err := strconv.ParseInt(text[e+1:], 10, 64)
		if err != nil || n > 1e18 || n < -1e18 {
			return d, false
		}
		d.exponent, text = n, text[:e]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	d.exponent -= int64(len(fraction))
	digits := strings.TrimLeft(whole+fraction, "0")
	d.digits = strings.TrimRight(digits, "0")
	d.exponent += int64(len(digits) - len(d.digits))
	if d.digits == "" {
		d = decimal{}
	}
	return d, true
}

// sameTime reports whether a member is the value of a timestamp (by the wire
// contract its name is "value") and both texts are the same millisecond, the
// precision of a JavaScript Date.
func sameTime(name string, a, b []byte) bool {
	if name != "value" || !IsString(a) || !IsString(b) {
		return false
	}
	s, _ := Text(a)
	t, _ := Text(b)
	x, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return false
	}
	y, err := time.Parse(time.RFC3339Nano, t)
	return err == nil && x.UnixMilli() == y.UnixMilli()
}
