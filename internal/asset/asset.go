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
	"net/url"
	"strconv"
	"strings"
	"time"

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

// FormatIDs returns the ids of the asset's formats, in order. It passes over the
// text once: a restoration asks this of every asset.
func FormatIDs(doc []byte) []string {
	var ids []string
	for _, f := range headsOf(doc).formats {
		if id, ok := rawjson.Text(f.id); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// OriginalText returns the text of the asset's original format, byte for byte,
// or of its first one when it names no original; ok is false when that has none
// as a plain string. Where only the reference to the format has a text, that is
// the one.
func OriginalText(doc []byte) (text, formatID string, ok bool) {
	holder := rawjson.Get(doc, "original")
	original, named := rawjson.Text(rawjson.Get(holder, "id"))
	for f := range formats(doc) {
		id, _ := rawjson.Text(rawjson.Get(f, "id"))
		if named && id != original {
			continue
		}
		if text, ok := rawText(f); ok || !named {
			return text, id, ok
		}
	}
	text, ok = rawText(rawjson.Get(holder, "reference"))
	return text, original, ok
}

func rawText(format []byte) (text string, ok bool) {
	return rawjson.Text(rawjson.Path(content(format), "string", "raw"))
}

// contentBytes returns the size of a fragment or file in bytes, as far as its
// own fields tell.
func contentBytes(content []byte) int {
	str := rawjson.Get(content, "string")
	if raw, ok := rawjson.Text(rawjson.Get(str, "raw")); ok {
		return len(raw)
	}
	for _, name := range encodings {
		if text, ok := rawjson.Text(rawjson.Get(str, name)); ok {
			return encodedBytes(text)
		}
	}
	n := 0
	for range rawjson.Elements(rawjson.Path(content, "bytes", "raw")) {
		n++
	}
	return n
}

// encodedBytes returns how many bytes a text in base64, or a data URL, stands
// for.
func encodedBytes(text string) int {
	if head, data, ok := strings.Cut(text, ","); ok {
		if plain, err := url.PathUnescape(data); err == nil && !strings.HasSuffix(head, ";base64") {
			return len(plain)
		}
		text = data
	}
	return len(strings.TrimRight(text, "=")) * 3 / 4
}

// encodings are the other forms in which a TransferableString can hold the
// bytes of its raw text.
var encodings = []string{"base64", "base64_url", "data_url"}

// content returns a format's fragment or its file: the first that holds a text
// or bytes, else the first that is there, else nil.
func content(format []byte) (c []byte) {
	for _, kind := range contentKinds {
		v := rawjson.Get(format, kind)
		if hasContent(v) {
			return v
		}
		if c == nil && rawjson.IsObject(v) {
			c = v
		}
	}
	return c
}

// hasContent reports whether a fragment or file holds a text or bytes;
// a text of no characters is one.
func hasContent(body []byte) bool {
	for _, kind := range []string{"string", "bytes"} {
		for _, v := range rawjson.Members(rawjson.Get(body, kind)) {
			if rawjson.IsString(v) || rawjson.IsArray(v) {
				return true
			}
		}
	}
	return false
}

// contentKinds are the members of a format that hold its content.
var contentKinds = []string{"fragment", "file"}

func invalid(message, hint string) error {
	return &cairn.Error{Code: cairn.CodeInvalid, Message: message, Hint: hint}
}
