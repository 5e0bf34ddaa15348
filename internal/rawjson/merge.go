package rawjson

import "bytes"

// Merge returns base changed by patch, by the rules of the wire contract:
//
//   - an object is merged member by member; a member that is absent or null in
//     patch is left alone;
//   - a list whose items have ids is merged item by item, in the order of
//     patch; an item left out is removed; one without an id is replaced;
//   - any other list, and any scalar, is replaced, unless it is the [Same] but
//     for members that are null: then base's form of it stays, so that a client
//     which rounds numbers or cuts timestamps to milliseconds changes nothing by
//     sending them back.
//
// Of members with the same name the last one counts; base's others stay. What
// is new comes without the members that are null. Neither argument is changed;
// the result may share memory with both. The cost grows with the length of the
// texts alone.
func Merge(base, patch []byte) []byte {
	if IsNull(patch) {
		return base
	}
	dst := make([]byte, 0, len(base)+len(patch))
	return merge(dst, parse(base), parse(patch))
}

// merge appends the merged value. Neither value is absent, but base may be.
func merge(dst []byte, base, patch value) []byte {
	old, change := base.raw(), patch.raw()
	switch {
	case IsNull(change):
		return append(dst, old...)
	case IsNull(old):
		return withoutNulls(dst, patch)
	case IsObject(old) && IsObject(change):
		return mergeObjects(dst, base, patch)
	case IsArray(old) && IsArray(change):
		if old, ok := itemsByID(base); ok {
			return mergeItems(dst, old, patch)
		}
	}
	if lenient.same(base, patch) {
		return append(dst, old...)
	}
	return withoutNulls(dst, patch)
}

func mergeObjects(dst []byte, base, patch value) []byte {
	changes, olds := patch.byName(), base.byName()
	m := object{dst: append(dst, '{')}
	for n, old := range base.members() {
		m.name(n.raw())
		name := n.name()
		change, ok := changes[name]
		if !ok || old.at != olds[name].at || sameTime(name, old.raw(), change.raw()) {
			m.dst = append(m.dst, old.raw()...)
		} else {
			m.dst = merge(m.dst, old, change)
		}
	}
	for n := range patch.members() {
		name := n.name()
		if _, known := olds[name]; known || IsNull(changes[name].raw()) {
			continue
		}
		m.name(n.raw())
		m.dst = withoutNulls(m.dst, changes[name])
		olds[name] = changes[name]
	}
	return append(m.dst, '}')
}

// object appends an object to dst, behind its opening brace.
type object struct {
	dst  []byte
	some bool
}

// name appends a name, for which a value must follow.
func (o *object) name(raw []byte) {
	if o.some {
		o.dst = append(o.dst, ',')
	}
	o.some = true
	o.dst = append(o.dst, raw...)
	o.dst = append(o.dst, ':')
}

// items are those of a list by their ids, in order for ids that occur more than
// once; those without one stand under no id.
type items struct {
	byID    map[string][]value
	without []value
}

// itemsByID is not ok for a list whose items have no ids.
func itemsByID(list value) (old items, ok bool) {
	old.byID = map[string][]value{}
	for v := range list.inside() {
		if id, ok := v.id(); ok {
			old.byID[id] = append(old.byID[id], v)
		} else {
			old.without = append(old.without, v)
		}
	}
	return old, len(old.byID) > 0
}

// appendItem appends the item of a patch, merged with the one it changes.
func (old *items) appendItem(dst []byte, v value) []byte {
	id, ok := v.id()
	if same := old.byID[id]; ok && len(same) > 0 {
		old.byID[id] = same[1:]
		return merge(dst, same[0], v)
	}
	if !ok && len(old.without) > 0 {
		was := old.without[0]
		old.without = old.without[1:]
		if lenient.same(was, v) {
			return append(dst, was.raw()...)
		}
	}
	return withoutNulls(dst, v)
}

func mergeItems(dst []byte, old items, patch value) []byte {
	return appendList(dst, patch, old.appendItem)
}

// appendList appends a list of what each appends for the elements of v.
func appendList(dst []byte, v value, each func(dst []byte, element value) []byte) []byte {
	dst = append(dst, '[')
	some := false
	for e := range v.inside() {
		if some {
			dst = append(dst, ',')
		}
		some = true
		dst = each(dst, e)
	}
	return append(dst, ']')
}

// withoutNulls appends v without the members that are null, at any depth: a
// field that was never there and one that is left alone look the same.
func withoutNulls(dst []byte, v value) []byte {
	raw := v.raw()
	switch {
	case IsObject(raw):
		gone := nulls(v)
		o := object{dst: append(dst, '{')}
		for n, member := range v.members() {
			if gone == nil || !gone[n.name()] && !IsNull(member.raw()) {
				o.name(n.raw())
				o.dst = withoutNulls(o.dst, member)
			}
		}
		return append(o.dst, '}')
	case IsArray(raw):
		return appendList(dst, v, withoutNulls)
	}
	return append(dst, raw...)
}

// nulls returns the names of members that are null, of several with one name
// the last, and maybe false for others; nil when no member is null.
func nulls(object value) map[string]bool {
	var names map[string]bool
	for n, member := range object.members() {
		null := IsNull(member.raw())
		if names == nil && null {
			names = map[string]bool{}
		}
		if names != nil {
			names[n.name()] = null
		}
	}
	return names
}

// Same reports whether two values are the same to a client that keeps numbers
// as doubles and times as milliseconds, as those in JavaScript do: objects with
// the same members in any order, lists with the same items, strings with the
// same characters however escaped, timestamps (members called "value") of the
// same millisecond, and numbers of which one is what the other becomes when it
// is read as a double and written in the shortest form.
func Same(a, b []byte) bool {
	return bytes.Equal(a, b) || len(a) > 0 && len(b) > 0 && rounded.same(parse(a), parse(b))
}

// Equal reports whether two values say the same: as [Same], but times and
// numbers must be equal to the last digit.
func Equal(a, b []byte) bool {
	return bytes.Equal(a, b) || len(a) > 0 && len(b) > 0 && exact.same(parse(a), parse(b))
}
