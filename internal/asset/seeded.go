package asset

import (
	"time"

	"cairn/internal/rawjson"
)

// seededLists are the lists of a seed's metadata that become collections of the
// asset.
var seededLists = []string{"tags", "websites", "sensitives", "persons", "annotations", "hints", "anchors"}

// maxSeeded bounds each of these lists, and the annotations of all persons and
// anchors: an item of two bytes becomes one of some hundred.
const maxSeeded = 10_000

// tooManySeeded returns which of the lists has more than maxSeeded items, or "".
func tooManySeeded(metadata []byte) string {
	within := 0
	for _, list := range seededLists {
		n := 0
		for item := range rawjson.Elements(rawjson.Get(metadata, list)) {
			n++
			if list == "persons" || list == "anchors" {
				for range rawjson.Elements(rawjson.Get(item, "annotations")) {
					within++
				}
			}
		}
		if n > maxSeeded {
			return list
		}
	}
	if within > maxSeeded {
		return "annotations of persons and anchors"
	}
	return ""
}

// A seeder makes what an asset lists from what its seed lists. The models of
// both differ: where a seed has an id or a list, the asset has a reference or a
// collection, and where it has a value that belongs to one asset, a map by the
// ids of assets. What fits neither is dropped, since clients would throw at it
// or lose it on its way back; what no model has stays.
type seeder struct {
	parts
	flat flattened
}

// collection returns the asset's collection for a list of the seed, nil for none.
func (s *seeder) collection(kind string, list []byte) []byte {
	var items [][]byte
	for seeded := range rawjson.Elements(list) {
		if rawjson.IsObject(seeded) {
			items = append(items, s.item(kind, seeded))
		}
	}
	if items == nil {
		return nil
	}
	return iterable(items...)
}

// item returns an item of a collection for one of the seed: with an id,
// timestamps, and what its model requires besides.
func (s *seeder) item(kind string, seeded []byte) []byte {
	item := rawjson.Merge(s.head(s.stamp.NewID()).JSON(), withoutHead(seeded))
	// move makes of a member of the seed's model one of the asset's. One that is
	// there already counts more, as that of an item which comes from an asset.
	move := func(from, to string, as func([]byte) []byte) {
		v := rawjson.Get(item, from)
		if v == nil {
			return
		}
		v, item = as(v), rawjson.Replace(item, from, nil)
		if was := rawjson.Get(item, to); rawjson.IsObject(was) {
			v = rawjson.Overlay(orObject(v), was)
		}
		item = rawjson.Replace(item, to, v)
	}
	if kind != "anchors" {
		item = rawjson.Replace(item, "mechanism", stringOr(rawjson.Get(item, "mechanism"), s.mechanism))
	}
	switch kind {
	case "tags":
		item = withDefault(item, "category", []byte(`"UNKNOWN"`))
		move("mechanism", "mechanisms", s.ofAsset)
	case "websites":
		move("mechanism", "mechanisms", s.ofAsset)
	case "sensitives":
		item = rawjson.Replace(item, "asset", s.flat.of(rawjson.AppendString(nil, s.stamp.Format)))
	case "persons":
		move("mechanism", "mechanisms", s.ofAsset)
		move("access", "access", s.objectOfAsset)
		move("model", "models", s.objectOfAsset)
		move("asset", "assets", referencesTo)
		move("annotations", "annotations", s.annotations)
	case "annotations":
		for _, name := range []string{"asset", "person", "model", "anchor", "conversation"} {
			move(name, name, referenceTo)
		}
		move("workstream_summary", "summary", referenceTo)
	case "hints":
		move("mechanism", "mechanisms", s.ofAsset)
		move("asset", "assets", referencesTo)
		move("model", "model", referenceTo)
	case "anchors":
		move("asset", "assets", referencesTo)
		move("conversation", "conversations", referencesTo)
		move("annotations", "annotations", s.annotations)
		item = s.withPoint(item)
	}
	return item
}

// head returns the members that each item begins with.
func (s *seeder) head(id string) *rawjson.Object {
	var o rawjson.Object
	now := timestamp(s.stamp.Now)
	return o.SetText("id", id).Set("created", now).Set("updated", now)
}

// withoutHead returns a seeded item without an id, which none has yet, and
// without times that are none.
func withoutHead(seeded []byte) []byte {
	return rawjson.Rewrite(seeded, func(name string, v []byte) []byte {
		switch name {
		case "id":
			return nil
		case "created", "updated":
			text, _ := rawjson.Text(rawjson.Get(v, "value"))
			if _, err := time.Parse(time.RFC3339, text); err != nil {
				return nil
			}
		}
		return v
	})
}

// ofAsset returns a map with a value for the asset.
func (s *seeder) ofAsset(v []byte) []byte {
	var o rawjson.Object
	return o.Set(s.stamp.ID, v).JSON()
}

// objectOfAsset is ofAsset for an object, and nil for any other value.
func (s *seeder) objectOfAsset(v []byte) []byte {
	if !rawjson.IsObject(v) {
		return nil
	}
	return s.ofAsset(v)
}

// annotations returns the collection of the annotations that a person or an
// anchor of the seed lists, with each in its reference: it is nowhere else.
func (s *seeder) annotations(list []byte) []byte {
	if rawjson.IsArray(rawjson.Get(list, "iterable")) {
		return list // it is one already
	}
	var references [][]byte
	for seeded := range rawjson.Elements(list) {
		if rawjson.IsObject(seeded) {
			item := s.item("annotations", seeded)
			references = append(references, rawjson.Replace(reference(rawjson.Get(item, "id")), "reference", item))
		}
	}
	if references == nil {
		return nil
	}
	return iterable(references...)
}

// withPoint returns an anchor with the path that its seed has of its own as its
// point.
func (s *seeder) withPoint(anchor []byte) []byte {
	path, platform := rawjson.Get(anchor, "fullpath"), stringOr(rawjson.Get(anchor, "platform"))
	anchor = rawjson.Replace(rawjson.Replace(anchor, "fullpath", nil), "platform", nil)
	if !rawjson.IsString(path) || rawjson.IsObject(rawjson.Get(anchor, "points")) {
		return withDefault(anchor, "points", iterable())
	}
	point := s.head(s.stamp.NewID()).Set("fullpath", path).Set("platform", platform).
		Set("anchor", reference(rawjson.Get(anchor, "id"))).JSON()
	return rawjson.Replace(anchor, "points", iterable(rawjson.Replace(reference(rawjson.Get(point, "id")), "reference", point)))
}

// referenceTo returns the reference to what an id names; an object with an id is
// one, and any other value nil.
func referenceTo(v []byte) []byte {
	switch {
	case rawjson.IsString(v):
		return reference(v)
	case rawjson.IsString(rawjson.Get(v, "id")):
		return v
	}
	return nil
}

// referencesTo returns a collection of one reference.
func referencesTo(v []byte) []byte {
	if r := referenceTo(v); r != nil {
		return iterable(r)
	}
	return nil
}

// orObject returns v, or an empty object for nil.
func orObject(v []byte) []byte {
	if v == nil {
		return []byte("{}")
	}
	return v
}

func withDefault(object []byte, name string, value []byte) []byte {
	if rawjson.IsNull(rawjson.Get(object, name)) {
		return rawjson.Replace(object, name, value)
	}
	return object
}
