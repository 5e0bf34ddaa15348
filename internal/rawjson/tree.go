package rawjson

import "iter"

// A tree knows where each value of a text ends, so that [Merge] and [Same]
// read the text once, however deep it is nested.
type tree struct {
	text  []byte
	nodes []node
}

// A node is a value, or the name of a member, in the order of the text: behind
// an array stand its elements, behind an object its names and values by turns,
// each with all that it holds.
type node struct {
	start, end uint32 // in the text, which is less than 4 GiB
	next       uint32 // the node behind this one and all that it holds
}

// A value is a node with its tree. The zero value is an absent one.
type value struct {
	*tree
	at uint32
}

// parse returns the value that a text holds.
func parse(text []byte) value {
	if len(text) == 0 {
		return value{}
	}
	t := &tree{text: text, nodes: make([]node, 0, min(len(text), 64))}
	var open []uint32
	for i := 0; i < len(text); {
		switch text[i] {
		case ',', ':':
			i++
			continue
		case '}', ']':
			i++
			last := len(open) - 1
			n := &t.nodes[open[last]]
			n.end, n.next = uint32(i), uint32(len(t.nodes))
			open = open[:last]
			continue
		}
		n := node{start: uint32(i), next: uint32(len(t.nodes) + 1)}
		if IsObject(text[i:]) || IsArray(text[i:]) {
			open = append(open, uint32(len(t.nodes)))
			i++
		} else {
			i = end(text, i)
			n.end = uint32(i)
		}
		t.nodes = append(t.nodes, n)
	}
	return value{t, 0}
}

// raw returns the text of the value, nil for an absent one.
func (v value) raw() []byte {
	if v.tree == nil {
		return nil
	}
	n := v.nodes[v.at]
	return v.text[n.start:n.end:n.end]
}

// name returns the decoded text of a name, or of a value that is a string. It
// may share the tree's memory.
func (v value) name() string { return sharedText(v.raw()) }

// inside yields the nodes directly below the value.
func (v value) inside() iter.Seq[value] {
	return func(yield func(value) bool) {
		if v.tree == nil {
			return
		}
		for at := v.at + 1; at < v.nodes[v.at].next; at = v.nodes[at].next {
			if !yield(value{v.tree, at}) {
				return
			}
		}
	}
}

// members yields the names and values of an object, nothing for other values.
func (v value) members() iter.Seq2[value, value] {
	return func(yield func(name, member value) bool) {
		if !IsObject(v.raw()) {
			return
		}
		var name value
		for n := range v.inside() {
			if name.tree == nil {
				name = n
				continue
			}
			if !yield(name, n) {
				return
			}
			name = value{}
		}
	}
}

// byName returns the members of an object; of those with one name, the last.
func (v value) byName() map[string]value {
	members := map[string]value{}
	for name, member := range v.members() {
		members[name.name()] = member
	}
	return members
}

// id returns the id of an object that has one as a string.
func (v value) id() (id string, ok bool) {
	for name, member := range v.members() {
		if nameIs(name.raw(), "id") {
			id, ok = Text(member.raw())
		}
	}
	return id, ok
}
