package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// maxFile is the longest file that is read, in bytes.
const maxFile = 1 << 20

// sections are the tables of the file.
type sections struct {
	Backup    struct{}
	Retention struct{}
}

// An entry is one key of a file and what it is set to.
type entry struct {
	name  string
	value any
	line  int
}

// parseFile reads the text of a file.
func parseFile(path string, data []byte) ([]entry, Problems) {
	at := func(line int) Origin { return Origin{File, path, line} }
	if len(data) > maxFile {
		return nil, Problems{{Origin: at(0), What: fmt.Sprintf("the file is longer than %d bytes, which no configuration is", maxFile)}}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // as editors on Windows put it there
	tree := map[string]any{}
	if err := toml.Unmarshal(data, &tree); err != nil {
		p := Problem{Origin: at(0), What: strings.TrimPrefix(err.Error(), "toml: "), Hint: "The file is in TOML: lines such as quiet = \"30s\", below tables such as [backup]."}
		if e, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ := e.Position()
			p.Origin = at(line)
		}
		return nil, Problems{p}
	}
	lines := linesOf(data, tree)
	keys := Keys()
	var entries []entry
	for name, value := range leaves(keys, "", tree) {
		entries = append(entries, entry{name, value, lineOf(lines, name)})
	}
	return entries, nil
}

// linesOf returns the line of each key, or at least of its table. TOML's decoder
// tells of the line of a key only where it does not know it: so it is asked to
// decode into what has no keys.
func linesOf(data []byte, tree map[string]any) map[string]int {
	var nothing struct{}
	lines := map[string]int{}
	for _, into := range []any{&nothing, &sections{}} {
		d := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields()
		missing, ok := errors.AsType[*toml.StrictMissingError](d.Decode(into))
		if !ok {
			continue
		}
		for i := range missing.Errors {
			e := &missing.Errors[i]
			name := strings.Join(e.Key(), ".")
			if line, _ := e.Position(); lines[name] == 0 {
				lines[name] = line
			}
		}
	}
	return lines
}

// lineOf returns the line of a key, or of the first below it, or of what it is in.
func lineOf(lines map[string]int, name string) int {
	first := 0
	for below, line := range lines {
		if strings.HasPrefix(below, name+".") && (first == 0 || line < first) {
			first = line
		}
	}
	if lines[name] == 0 && first > 0 {
		return first
	}
	for {
		if line := lines[name]; line > 0 {
			return line
		}
		i := strings.LastIndexByte(name, '.')
		if i < 0 {
			return 0
		}
		name = name[:i]
	}
}

// leaves returns what is set below a table, by its whole name, in no table that is
// none of ours.
func leaves(keys []Key, above string, table map[string]any) func(func(string, any) bool) {
	return func(yield func(string, any) bool) {
		for _, key := range slices.Sorted(maps.Keys(table)) {
			name, value := above+key, table[key]
			below, isTable := value.(map[string]any)
			if _, known := lookUp(keys, name); isTable && !known && isSection(keys, name) {
				for n, v := range leaves(keys, name+".", below) {
					if !yield(n, v) {
						return
					}
				}
				continue
			}
			if !yield(name, value) {
				return
			}
		}
	}
}

// isSection reports whether a name is that of a table of keys.
func isSection(keys []Key, name string) bool {
	return slices.ContainsFunc(keys, func(k Key) bool { return strings.HasPrefix(k.Name, name+".") })
}

// apply sets what an entry of a file says.
func (e entry) apply(c *Config, keys []Key, dir, home string) *Problem {
	key, ok := lookUp(keys, e.name)
	switch {
	case !ok && isSection(keys, e.name):
		return &Problem{Key: e.name, What: "it is a table, [" + e.name + "], and not a value"}
	case !ok:
		return unknown(keys, e.name)
	}
	given, ok := key.kind.read(e.value)
	if !ok {
		return &Problem{Key: e.name, What: key.kind.wants(key)}
	}
	if key.kind == filePath || key.kind == place && !isURL(given) {
		given = resolve(given, dir, home)
	}
	if path, ok := strings.CutPrefix(given, "unix:"); ok && key.kind == address {
		given = "unix:" + resolve(path, dir, home)
	}
	if err := key.set(c, given); err != nil {
		return &Problem{Key: e.name, What: err.Error()}
	}
	return nil
}

// read returns a value of TOML as text, if the kind takes one of its type.
func (k kind) read(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), k == number
	case bool:
		return strconv.FormatBool(v), k == choice
	case []any:
		items := make([]string, len(v))
		for i := range v {
			text, ok := v[i].(string)
			if !ok {
				return "", false
			}
			items[i] = text
		}
		return strings.Join(items, ","), k == list
	}
	return "", false
}

// wants says what the kind takes.
func (k kind) wants(key Key) string {
	switch k {
	case number:
		return "it must be a whole number, or \"unlimited\""
	case list:
		return "it must be a list of texts in quotes, such as [\"" + key.Example + "\"]"
	case choice:
		return "it must be true, false, or text in quotes, such as \"" + key.Example + "\""
	}
	return "it must be text in quotes, such as \"" + key.Example + "\""
}

// isURL reports whether a place is more than a path.
func isURL(place string) bool {
	return strings.Contains(place, "://") || strings.HasPrefix(place, "file:") || strings.HasPrefix(place, "s3:")
}

// resolve returns a path of the file as one that is the same from everywhere.
func resolve(path, dir, home string) string {
	rest, ofHome := strings.CutPrefix(filepath.ToSlash(path), "~/")
	switch {
	case path == "" || filepath.IsAbs(path):
		return path
	case ofHome && home != "":
		return filepath.Join(home, filepath.FromSlash(rest))
	}
	return filepath.Join(dir, path)
}

// unknown returns the problem of a key that is none, with the nearest one that is.
func unknown(keys []Key, name string) *Problem {
	p := &Problem{Key: name, What: "there is no such key"}
	if near := nearest(keys, name); near != "" {
		p.What += "; is " + near + " meant?"
	}
	return p
}

// nearest returns the key or table whose name is like that of one that is none; ""
// when there is none.
func nearest(keys []Key, name string) (best string) {
	own := name[strings.LastIndexByte(name, '.')+1:]
	least := 1 + len(own)/2
	for _, k := range keys {
		table, of, ok := strings.Cut(k.Name, ".")
		if !ok {
			of = table
		}
		d := distance(name, k.Name)
		switch {
		case of == own:
			d = 0 // in another table
		case own != "" && strings.Contains(of, own):
			d = 1
		}
		if d < least {
			best, least = k.Name, d
		}
		if d := distance(name, table); d < least {
			best, least = table, d
		}
	}
	return best
}

// distance counts the letters to put in, to take out or to change for a to become
// b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
