package asset

import (
	"fmt"
	"time"

	"cairn/internal/rawjson"
)

// A Stamp is what an asset gets from those who make it: ids, owner and time.
// Output must depend on the stored document alone, so all of it is stored.
type Stamp struct {
	ID      string        // of the asset
	Format  string        // id of its format
	Creator string        // id of the user
	Now     time.Time     // created and updated
	NewID   func() string // draws ids for what the asset holds besides
}

// FromSeed returns the stored form of the asset that a Seed describes. An
// error is of cairn.CodeInvalid and says what the seed lacks.
func FromSeed(seed []byte, s Stamp) ([]byte, error) {
	seeded := rawjson.Get(seed, "asset")
	if !rawjson.IsObject(seeded) {
		return nil, invalid("The seed has no asset.", `Send {"type":"SEEDED_ASSET","asset":{"application":{...},"format":{"fragment":{"string":{"raw":"text"}}}}}.`)
	}
	if !rawjson.IsObject(rawjson.Get(seeded, "application")) {
		return nil, invalid("The seed's asset has no application.", "Send the application that POST /connect answered as asset.application.")
	}
	format := rawjson.Get(seeded, "format")
	contents := only(format, contentKinds...)
	body := content(contents)
	if !hasContent(body) {
		return nil, invalid("The seed's asset has no text and no file.", "Send the text as asset.format.fragment.string.raw.")
	}
	metadata := rawjson.Get(seeded, "metadata")
	name := stringOr(rawjson.Get(metadata, "name"), rawjson.Path(body, "metadata", "name"))
	p := parts{
		stamp:       s,
		name:        name,
		application: rawjson.Get(seeded, "application"),
		contents:    contents,
		mechanism:   stringOr(rawjson.Get(metadata, "mechanism"), []byte(`"MANUAL"`)),
		schema:      objectOrNil(rawjson.Get(format, "schema")),
		class:       classification(rawjson.Get(format, "classification"), rawjson.Path(body, "metadata", "ext")),
	}
	o := p.object()
	o.Set("schema", objectOrNil(rawjson.Get(seeded, "schema")))
	for _, flag := range []string{"discovered", "pseudo", "demo"} {
		if v := rawjson.Get(seeded, flag); !rawjson.IsNull(v) {
			o.Set(flag, v)
		}
	}
	if list := tooManySeeded(metadata); list != "" {
		return nil, invalid(fmt.Sprintf("The seed has more than %d %s.", maxSeeded, list), "Leave out those that do not matter; nobody could look at so many.")
	}
	items := seeder{parts: p, flat: flatten(o.JSON())}
	for _, list := range seededLists {
		o.Set(list, items.collection(list, rawjson.Get(metadata, list)))
	}
	return o.JSON(), nil
}

// New returns the stored form of an asset of one text, as a Seed with the same
// content would give.
func New(name, text, language string, application []byte, s Stamp) []byte {
	var str, metadata, fragment, contents rawjson.Object
	str.SetText("raw", text)
	metadata.SetText("ext", language)
	fragment.Set("string", str.JSON()).Set("metadata", metadata.JSON())
	p := parts{
		stamp:       s,
		name:        rawjson.AppendString(nil, name),
		application: application,
		contents:    contents.Set("fragment", fragment.JSON()).JSON(),
		mechanism:   []byte(`"MANUAL"`),
		class:       classification(nil, rawjson.AppendString(nil, language)),
	}
	return p.object().JSON()
}

// parts are the pieces of a new asset, as raw JSON.
type parts struct {
	stamp                                                 Stamp
	name, application, contents, mechanism, schema, class []byte
}

func (p parts) object() *rawjson.Object {
	now := timestamp(p.stamp.Now)
	text := func(s string) []byte { return rawjson.AppendString(nil, s) }

	var format rawjson.Object
	format.SetText("id", p.stamp.Format).SetText("creator", p.stamp.Creator).
		Set("classification", p.class).SetText("role", "BOTH").
		Set("application", p.application).Set("bytes", byteDescriptor(contentBytes(content(p.contents)))).
		Set("created", now).Set("updated", now)
	format.Set("schema", p.schema)
	for _, kind := range contentKinds {
		format.Set(kind, rawjson.Get(p.contents, kind))
	}
	var list, reference, preview rawjson.Object
	list.Set("iterable", rawjson.Array(format.JSON()))
	reference.Set("id", text(p.stamp.Format))
	preview.Set("base", reference.JSON())

	var o rawjson.Object
	return o.SetText("id", p.stamp.ID).Set("name", p.name).SetText("creator", p.stamp.Creator).
		Set("created", now).Set("updated", now).Set("formats", list.JSON()).
		Set("preview", preview.JSON()).Set("original", reference.JSON()).Set("mechanism", p.mechanism)
}

// classification returns the Classification of a seeded format: the language
// is that of the content's metadata where the enum has it, else that of the
// seeded classification, else UNKNOWN.
func classification(seeded, ext []byte) []byte {
	language := unknown
	for _, v := range [][]byte{ext, rawjson.Get(seeded, "specific")} {
		if name, ok := rawjson.Text(v); ok && known(name) {
			language = name
			break
		}
	}
	var o rawjson.Object
	if g := rawjson.Get(seeded, "generic"); rawjson.IsString(g) {
		o.Set("generic", g)
	} else {
		o.SetText("generic", generic(language))
	}
	o.SetText("specific", language)
	if r := rawjson.Get(seeded, "rendering"); rawjson.IsString(r) {
		o.Set("rendering", r)
	}
	return o.Set("schema", objectOrNil(rawjson.Get(seeded, "schema"))).JSON()
}

// objectOrNil returns a value that is an object, or nil.
func objectOrNil(v []byte) []byte {
	if rawjson.IsObject(v) {
		return v
	}
	return nil
}

// stringOr returns the first of the values that is a string, or nil.
func stringOr(values ...[]byte) []byte {
	for _, v := range values {
		if rawjson.IsString(v) {
			return v
		}
	}
	return nil
}
