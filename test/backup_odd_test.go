package test

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"cairn"
	"cairn/api"
)

// oddDocuments returns documents that are out of the ordinary, in the one form
// that is stored: without white space.
func oddDocuments() []api.DocumentLine {
	const line = `func main() { fmt.Println(\"é\", 日本, '😀') } \/\/ \\ \t\n\u0000\ud800`
	lines := []api.DocumentLine{
		oddAsset("nothing", `""`, ""),
		oddAsset("ten-mebibytes", `"`+strings.Repeat(line, (10<<20)/len(line))+`"`, ""),
		oddAsset("escapes", `"\"\\\/\b\f\n\r\t\u001f\u007f\u0000\u0041\u00e9 \u2028\u2029"`, ""),
		oddAsset("lone-surrogates", `"\ud800 \udc00\ud83d \udfff\ud800"`, ""),
		oddAsset("NUL", `"before\u0000after"`, ""),
		oddAsset("names", `"日本語 עברית \u202e é e\u0301"`, ""),
		oddAsset("like-a-line", `"\"},\n{\"collection\":\"assets\",\"id\":\"x\",\"revision\":1,\"document\":{}}"`, ""),
		oddAsset("unknown-fields", `"text"`, `"":{"a b":[null,true,{}]},"document":{"revision":7},"__proto__":{"id":"other"},"x":1,"x":2,`),
		oddAsset("numbers", `"text"`, `"n":[1e400,-1E+999,123456789012345678901234567890.12,0.1000000000000000055511,-0,1E+2,1.0,5e-999],`),
		oddAsset("deep", `"text"`, `"deep":`+strings.Repeat(`{"a":[`, 2500)+strings.Repeat(`]}`, 2500)+`,`),
		manyFormats(10_000),
	}
	for id, text := range map[string]string{
		"object":                  `{}`,
		"-rf":                     `{"id":"-rf"}`,
		".hidden":                 `{}`,
		"...":                     `{}`,
		"_":                       `{"lone":"\ud800","nul":"\u0000"}`,
		"UPPER":                   `{"case":"upper"}`,
		"upper":                   `{"case":"lower"}`,
		"x.json":                  `{"a":"}"}`,
		strings.Repeat("a1.", 42): `{}`,
		"deep":                    strings.Repeat(`{"a":[`, 4499) + `{}` + strings.Repeat(`]}`, 4499),
		"largest":                 `{"a":"` + strings.Repeat("}", cairn.MaxDocumentBytes-len(`{"a":""}`)) + `"}`,
	} {
		lines = append(lines, api.DocumentLine{Collection: "odd", ID: id, Document: json.RawMessage(text)})
	}
	for _, collection := range []string{"z", "tags", "a_1", strings.Repeat("c", 64)} {
		lines = append(lines, api.DocumentLine{Collection: collection, ID: "same", Document: json.RawMessage(`{"in":"` + collection + `"}`)})
	}
	return lines
}

const oddTime = `{"value":"2026-01-02T03:04:05.678901Z"}`

// oddAsset returns an asset with a name, a text that is a JSON string, and
// members of its own, each of which ends in a comma.
func oddAsset(name, text, members string) api.DocumentLine {
	format := uuid.NewSHA1(uuid.NameSpaceURL, []byte("format "+name)).String()
	return assetLine(name, members, oddFormat(format, text))
}

// manyFormats returns an asset of so many formats.
func manyFormats(n int) api.DocumentLine {
	formats := make([]string, n)
	for i := range formats {
		id := uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, "format ", i)).String()
		formats[i] = oddFormat(id, fmt.Sprintf(`"text %d"`, i))
	}
	return assetLine("formats", "", formats...)
}

// oddFormat returns a format with a text that is a JSON string.
func oddFormat(id, text string) string {
	return `{"id":"` + id + `","creator":"d1111111-1111-4111-8111-111111111111","classification":{"generic":"CODE","specific":"py"},"role":"BOTH",` +
		`"application":{"id":"c1111111-1111-4111-8111-111111111111","name":"OPEN_SOURCE","version":"0","platform":"LINUX","onboarded":true,"privacy":"OPEN"},` +
		`"bytes":{"value":1},"created":` + oddTime + `,"updated":` + oddTime + `,"fragment":{"string":{"raw":` + text + `}}}`
}

// assetLine returns an asset whose original is the first of its formats.
func assetLine(name, members string, formats ...string) api.DocumentLine {
	id := uuid.NewSHA1(uuid.NameSpaceURL, []byte("asset "+name)).String()
	original := formats[0][len(`{"id":`):][:len(`""`)+len(id)]
	return api.DocumentLine{Collection: cairn.CollectionAssets, ID: id, Document: json.RawMessage(
		`{` + members + `"id":"` + id + `","name":"` + name + `","creator":"d1111111-1111-4111-8111-111111111111","created":` + oddTime + `,"updated":` + oddTime +
			`,"formats":{"iterable":[` + strings.Join(formats, ",") + `]},"preview":{"base":{"id":` + original + `}},"original":{"id":` + original + `},"mechanism":"MANUAL"}`)}
}
