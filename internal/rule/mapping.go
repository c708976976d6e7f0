package rule

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// entry is one key of a mapping and its value. Both have the value's path.
type entry struct {
	name       string
	key, value field
}

// entries reads a mapping in the order written. Keys that stand twice are reported; merge keys (`<<`) are followed, what
// is written out wins over them. What is absent or null is an empty mapping.
func (f field) entries() []entry {
	if isNull(f.node) {
		return nil
	}
	if f.node.Kind != yaml.MappingNode {
		f.errorf("must be a mapping of keys to values (got %s)", f.got())
		return nil
	}
	var all []entry
	at := map[string]int{}
	var merged []field
	for i := 0; i+1 < len(f.node.Content); i += 2 {
		keyNode, valueNode := f.node.Content[i], f.node.Content[i+1]
		key := f.child(keyNode, f.path)
		if key.node.Kind == yaml.ScalarNode && key.node.ShortTag() == "!!merge" {
			merged = append(merged, f.child(valueNode, f.path))
			continue
		}
		if key.node.Kind != yaml.ScalarNode || isNull(key.node) {
			key.errorf("keys must be strings (got %s)", key.got())
			continue
		}
		name := key.node.Value
		key.path = join(f.path, name)
		if first, twice := at[name]; twice {
			if line := all[first].key.node.Line; line > 0 {
				key.errorf("stands twice: write it once (first in line %d)", line)
			} else {
				key.errorf("stands twice: write it once")
			}
			continue
		}
		at[name] = len(all)
		all = append(all, entry{name: name, key: key, value: f.child(valueNode, key.path)})
	}
	for _, m := range merged {
		all = m.mergeInto(all, at)
	}
	return all
}

func (f field) mergeInto(all []entry, at map[string]int) []entry {
	sources := []field{f}
	if f.node.Kind == yaml.SequenceNode {
		sources = f.items()
	}
	for _, source := range sources {
		if source.node.Kind != yaml.MappingNode {
			source.errorf("<< must name a mapping, or a list of them (got %s)", source.got())
			continue
		}
		source.path = f.path
		for _, e := range source.entries() {
			if _, there := at[e.name]; !there {
				at[e.name] = len(all)
				all = append(all, e)
			}
		}
	}
	return all
}

// mapping is a mapping whose keys are fixed.
type mapping struct {
	field
	all []entry
	// unknown says that it has keys that are not known, which may be misspelt ones.
	unknown bool
}

// mapping reads a mapping and reports the keys that are not known; explain may say something better about one of them
// and then returns true.
func (f field) mapping(known []string, explain func(e entry) bool) mapping {
	m := mapping{field: f, all: f.entries()}
	for _, e := range m.all {
		if slices.Contains(known, e.name) || (explain != nil && explain(e)) {
			continue
		}
		if f.d.defaults.IgnoreUnknownKeys {
			continue
		}
		m.unknown = true
		if like := nearest(e.name, known); like != "" {
			e.key.errorf("unknown key: did you mean %s?", like)
		} else {
			e.key.errorf("unknown key: must be one of %s", strings.Join(known, ", "))
		}
	}
	return m
}

// get returns the value of a key. A null counts as absent, as in Prometheus.
func (m mapping) get(name string) (field, bool) {
	f, ok := m.lookup(name)
	return f, ok && !isNull(f.node)
}

// lookup is get where a null is to be complained about.
func (m mapping) lookup(name string) (field, bool) {
	for _, e := range m.all {
		if e.name == name {
			return e.value, true
		}
	}
	return field{}, false
}

// key returns the field of a key itself, for errors about its being there.
func (m mapping) key(name string) field {
	for _, e := range m.all {
		if e.name == name {
			return e.key
		}
	}
	return m.field
}

// join appends a key to a path. Keys that are not plain words are quoted, so that paths stay readable.
func join(path, key string) string {
	plain := key != ""
	for _, r := range key {
		if r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			plain = false
			break
		}
	}
	switch {
	case !plain:
		return path + "[" + strconv.Quote(shorten(key)) + "]"
	case path == "":
		return key
	default:
		return path + "." + shorten(key)
	}
}

// nearest returns the known key that was probably meant, "" where none is near.
func nearest(name string, known []string) string {
	best, bestDistance := "", 3
	for _, k := range known {
		if d := editDistance(name, k); d < bestDistance && d < len(k)/2+1 {
			best, bestDistance = k, d
		}
	}
	return best
}

// editDistance is Levenshtein's, for short strings; long ones are far from everything.
func editDistance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
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
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
