package rule

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// field is one value of a rule file: what it is, where it stands and what it is called.
type field struct {
	d    *decoder
	node *yaml.Node
	path string
}

func (f field) position() Position {
	return Position{File: f.d.source, Line: f.node.Line, Column: f.node.Column, Path: f.path}
}

func (f field) errorf(format string, args ...any) {
	f.d.report(&Error{Position: f.position(), Msg: fmt.Sprintf(format, args...)})
}

// notYet reports what is right but not built yet.
func (f field) notYet(format string, args ...any) {
	f.d.report(&Error{Position: f.position(), Msg: fmt.Sprintf(format, args...), Err: ErrNotSupportedYet})
}

// child is a value within f.
func (f field) child(node *yaml.Node, path string) field {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return field{d: f.d, node: node, path: path}
}

// got shows the value as it was written, short enough for a line.
func (f field) got() string {
	switch f.node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch {
	case isNull(f.node):
		return "nothing"
	case f.node.ShortTag() == "!!str":
		return strconv.Quote(shorten(f.node.Value))
	default:
		return shorten(f.node.Value)
	}
}

func shorten(s string) string {
	const longest = 80
	if len(s) <= longest {
		return s
	}
	cut := longest
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// text reads a string as Prometheus does: numbers and booleans count as what was written.
func (f field) text() (string, bool) {
	if f.node.Kind != yaml.ScalarNode || f.node.ShortTag() == "!!binary" {
		f.errorf("must be a string (got %s)", f.got())
		return "", false
	}
	if isNull(f.node) {
		return "", true
	}
	if !utf8.ValidString(f.node.Value) {
		f.errorf("must be valid UTF-8 (got %q)", shorten(f.node.Value))
		return "", false
	}
	return f.node.Value, true
}

// name reads a name, which becomes an attribute or a label.
func (f field) name() (string, bool) { return f.nonEmpty(maxName) }

// nonEmpty reads a string that must say something, in at most limit bytes.
func (f field) nonEmpty(limit int) (string, bool) {
	s, ok := f.text()
	if !ok {
		return "", false
	}
	if strings.TrimSpace(s) == "" {
		f.errorf("must not be empty")
		return "", false
	}
	if len(s) > limit {
		f.errorf("must not be longer than %d bytes (got %d)", limit, len(s))
		return "", false
	}
	return s, true
}

// maxName bounds a name.
const maxName = 1024

// duration reads Prometheus' syntax for durations.
func (f field) duration() (time.Duration, bool) {
	if f.node.Kind != yaml.ScalarNode || isNull(f.node) {
		f.errorf("must be a duration such as 30s, 5m or 1h30m (got %s)", f.got())
		return 0, false
	}
	d, err := model.ParseDuration(f.node.Value)
	if err == nil {
		return time.Duration(d), true
	}
	if positive, ok := strings.CutPrefix(f.node.Value, "-"); ok {
		if _, err := model.ParseDuration(positive); err == nil {
			f.errorf("must not be negative (got %s)", shorten(f.node.Value))
			return 0, false
		}
	}
	f.errorf("must be a duration such as 30s, 5m or 1h30m (got %s)", f.got())
	return 0, false
}

// positive reads a duration that must not be zero.
func (f field) positive() (time.Duration, bool) {
	d, ok := f.duration()
	if ok && d == 0 {
		f.errorf("must be longer than 0s (got %s)", f.node.Value)
		return 0, false
	}
	return d, ok
}

// number reads a finite number.
func (f field) number() (float64, bool) {
	var v float64
	tag := f.node.ShortTag()
	if f.node.Kind != yaml.ScalarNode || (tag != "!!int" && tag != "!!float") || f.node.Decode(&v) != nil {
		f.errorf("must be a number (got %s)", f.got())
		return 0, false
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		f.errorf("must be a finite number (got %s)", f.node.Value)
		return 0, false
	}
	return v, true
}

// pair reads [low, high].
func (f field) pair() (low, high float64, ok bool) {
	if f.node.Kind != yaml.SequenceNode || len(f.node.Content) != 2 {
		f.errorf("must be a pair [low, high] (got %s)", f.got())
		return 0, 0, false
	}
	items := f.items()
	low, okLow := items[0].number()
	high, okHigh := items[1].number()
	return low, high, okLow && okHigh
}

// count reads a whole number that is not negative.
func (f field) count() (int, bool) {
	var n int
	if f.node.Kind != yaml.ScalarNode || f.node.ShortTag() != "!!int" || f.node.Decode(&n) != nil || n < 0 {
		f.errorf("must be a whole number, 0 or more (got %s)", f.got())
		return 0, false
	}
	return n, true
}

// items are the values of a list; callers have checked that f is one, or use list.
func (f field) items() []field {
	all := make([]field, len(f.node.Content))
	for i, node := range f.node.Content {
		all[i] = f.child(node, f.path+"["+strconv.Itoa(i)+"]")
	}
	return all
}

// list reads a list; what is absent or null is an empty one.
func (f field) list() ([]field, bool) {
	if isNull(f.node) {
		return nil, true
	}
	if f.node.Kind != yaml.SequenceNode {
		f.errorf("must be a list (got %s)", f.got())
		return nil, false
	}
	return f.items(), true
}

// strings reads a mapping of names to strings, as `labels` and `annotations` are.
func (f field) strings(check func(key, value field)) map[string]string {
	all := map[string]string{}
	for _, e := range f.entries() {
		value, ok := e.value.text()
		if !ok {
			continue
		}
		check(e.key, e.value)
		all[e.name] = value
	}
	return all
}

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
}

// mapping reads a mapping and reports the keys that are not known; explain may say something better about one of them
// and then returns true.
func (f field) mapping(known []string, explain func(e entry) bool) mapping {
	m := mapping{field: f, all: f.entries()}
	for _, e := range m.all {
		if slices.Contains(known, e.name) || (explain != nil && explain(e)) {
			continue
		}
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
