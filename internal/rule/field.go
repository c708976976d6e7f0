package rule

import (
	"fmt"
	"math"
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
	case f.node.ShortTag() == "!!str" || f.node.Value == "":
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
	if isNull(f.node) && f.node.Value != "" {
		f.errorf("must not be empty: put it in quotes, for in YAML this word means nothing (got %s)", f.node.Value)
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

// positive reads a duration that must not be zero; 0 is one that is wrong.
func (f field) positive() time.Duration {
	d, ok := f.duration()
	if ok && d == 0 {
		f.errorf("must be longer than 0s (got %s)", f.node.Value)
	}
	return d
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

// share reads a percentage above 0 % and up to 100 %, as a fraction.
func (f field) share() float64 {
	text, isPercent := strings.CutSuffix(strings.TrimSpace(f.node.Value), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if f.node.Kind != yaml.ScalarNode || !isPercent || err != nil || !(v > 0 && v <= 100) {
		f.errorf("must be a percentage above 0%% and up to 100%%, such as 20%% (got %s)", f.got())
		return 0
	}
	return v / 100
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

// list reads a list; what is absent, null or wrong is an empty one.
func (f field) list() []field {
	if isNull(f.node) {
		return nil
	}
	if f.node.Kind != yaml.SequenceNode {
		f.errorf("must be a list (got %s)", f.got())
		return nil
	}
	return f.items()
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
