// Package asset knows the shape of one kind of document: the asset, a snippet
// with its formats, as the wire contract describes it (section 2).
//
// The form in which clients read an asset holds the same text three times. The
// stored form holds each text once, in formats.iterable[].fragment or .file.
// [FromSeed] and [New] make stored forms, [Render] writes the wire form of any
// stored or imported one, [Update] and [UpdateFormat] change one by the merge
// rules of the contract:
//
//	doc, err := asset.FromSeed(seed, asset.Stamp{...})
//	asset.Render(w, doc, true)
//
// All functions take compacted, valid JSON and keep what they do not know.
package asset

import (
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"cairn"
	"cairn/internal/rawjson"
)

// timeFormat is RFC 3339 in UTC with three fraction digits, as all timestamps
// go out (wire contract, section 2).
const timeFormat = "2006-01-02T15:04:05.000Z"

// timestamp returns a GroupedTimestamp.
func timestamp(t time.Time) []byte {
	var o rawjson.Object
	return o.SetText("value", t.UTC().Format(timeFormat)).JSON()
}

// byteDescriptor returns a ByteDescriptor of n bytes, in decimal units.
func byteDescriptor(n int) []byte {
	readable := fmt.Sprintf("%d B", n)
	units := [...]string{"kB", "MB", "GB"}
	for i, size := 0, float64(n)/1000; size >= 1 && i < len(units); i, size = i+1, size/1000 {
		readable = fmt.Sprintf("%.1f %s", size, units[i])
	}
	var o rawjson.Object
	return o.Set("value", strconv.AppendInt(nil, int64(n), 10)).SetText("readable", readable).JSON()
}

// FormatIDs returns the ids of the asset's formats, in order.
func FormatIDs(doc []byte) []string {
	var ids []string
	for f := range formats(doc) {
		if id, ok := rawjson.Text(rawjson.Get(f, "id")); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// OriginalText returns the text of the asset's original format, or of its
// first one, byte for byte; ok is false when it has none as a plain string.
func OriginalText(doc []byte) (text, formatID string, ok bool) {
	original, _ := rawjson.Text(rawjson.Path(doc, "original", "id"))
	for f := range formats(doc) {
		id, _ := rawjson.Text(rawjson.Get(f, "id"))
		if original == "" || id == original {
			text, ok = rawjson.Text(rawjson.Path(f, "fragment", "string", "raw"))
			return text, id, ok
		}
	}
	return "", "", false
}

// contentBytes returns the size of a fragment or file in bytes, as far as its
// own fields tell.
func contentBytes(content []byte) int {
	str := rawjson.Get(content, "string")
	if raw, ok := rawjson.Text(rawjson.Get(str, "raw")); ok {
		return len(raw)
	}
	for _, name := range []string{"base64", "base64_url", "data_url"} {
		if text, ok := rawjson.Text(rawjson.Get(str, name)); ok {
			return utf8.RuneCountInString(text) * 3 / 4
		}
	}
	n := 0
	for range rawjson.Elements(rawjson.Path(content, "bytes", "raw")) {
		n++
	}
	return n
}

// content returns a format's fragment, or else its file.
func content(format []byte) []byte {
	if f := rawjson.Get(format, "fragment"); rawjson.IsObject(f) {
		return f
	}
	return rawjson.Get(format, "file")
}

func invalid(message, hint string) error {
	return &cairn.Error{Code: cairn.CodeInvalid, Message: message, Hint: hint}
}
