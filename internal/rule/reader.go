package rule

import (
	"math"
	"time"

	"go.yaml.in/yaml/v3"
)

// ReadDocument reads a YAML file of another kind the way rule files are read: within the same limits, with keys that
// stand twice and merge keys treated alike, and with file, line, column and path in every error. read gets the document's
// root and reports what is wrong through the values; it is not called for a file without content. The error is of type
// Errors, in the order of the lines.
func ReadDocument(path string, content []byte, read func(root Value)) error {
	root, failed := parseDocument(path, content)
	if failed != nil {
		return Errors{failed}
	}
	if root == nil {
		return nil
	}
	d := newDecoder(path, Defaults{})
	read(Value{d.root(root, "")})
	_, err := d.result(nil)
	return err
}

// Value is one value of a document. The methods that read it report what is wrong and then return false, or nothing.
type Value struct{ f field }

// Position is where the value stands.
func (v Value) Position() Position { return v.f.position() }

// Errorf reports that the value is wrong.
func (v Value) Errorf(format string, args ...any) { v.f.errorf(format, args...) }

// Got shows the value as it was written, short enough for a line.
func (v Value) Got() string { return v.f.got() }

// Text reads a string; numbers and booleans count as what was written.
func (v Value) Text() (string, bool) { return v.f.text() }

// Duration reads Prometheus' syntax for durations.
func (v Value) Duration() (time.Duration, bool) { return v.f.duration() }

// Float reads a number, finite or not.
func (v Value) Float() (float64, bool) {
	n := math.NaN()
	tag := v.f.node.ShortTag()
	if v.f.node.Kind != yaml.ScalarNode || (tag != "!!int" && tag != "!!float") || v.f.node.Decode(&n) != nil {
		v.f.errorf("must be a number (got %s)", v.f.got())
		return 0, false
	}
	return n, true
}

// Bool reads true or false.
func (v Value) Bool() (b, ok bool) {
	if v.f.node.Kind != yaml.ScalarNode || v.f.node.Decode(&b) != nil {
		v.f.errorf("must be true or false (got %s)", v.f.got())
		return false, false
	}
	return b, true
}

// List reads a list; what is null is an empty one.
func (v Value) List() []Value {
	items := v.f.list()
	values := make([]Value, len(items))
	for i, item := range items {
		values[i] = Value{item}
	}
	return values
}

// Strings reads a mapping of names to strings.
func (v Value) Strings() map[string]string { return v.f.strings(func(_, _ field) {}) }

// Mapping reads a mapping with these keys and reports every other one.
func (v Value) Mapping(known []string) Fields { return Fields{v.f.mapping(known, nil)} }

// Fields is a mapping whose keys are fixed.
type Fields struct{ m mapping }

// Get returns the value of a key. A null counts as absent.
func (f Fields) Get(key string) (Value, bool) {
	v, ok := f.m.get(key)
	return Value{v}, ok
}
