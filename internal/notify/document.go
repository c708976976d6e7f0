package notify

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"go.opentelemetry.io/collector/confmap"
	"go.yaml.in/yaml/v3"
)

// Document is the part of Alertmanager's configuration that says where messages go, and when they do not: `receivers`,
// `global`, `templates`, `time_intervals` and `inhibit_rules`, in Alertmanager's own words. It hides its content whenever it is shown: most of it is secrets.
type Document struct {
	root *yaml.Node
	// textual is root with every structure that came from an environment variable or a file left as the text that it
	// was: a secret such as "a: b" reads as a mapping. It is tried where root makes no sense.
	textual *yaml.Node
}

// Keys are the top-level keys that a Document takes.
var Keys = []string{"receivers", "global", "templates", "time_intervals", "inhibit_rules"}

// ReadDocument takes the document's keys out of a component's configuration. Scalars that came from an environment
// variable or a file keep their original text: a secret 0012345 stays that.
func ReadDocument(conf *confmap.Conf) (Document, error) {
	root, err := reader{}.document(conf)
	if err != nil {
		return Document{}, err
	}
	textual, err := reader{textual: true}.document(conf)
	return Document{root: root, textual: textual}, err
}

// reader turns configuration into YAML.
type reader struct{ textual bool }

func (r reader) document(conf *confmap.Conf) (*yaml.Node, error) {
	all := conf.ToStringMap()
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, key := range Keys {
		v, ok := all[key]
		if !ok {
			continue
		}
		n, err := r.nodeOf(conf, key, v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		root.Content = append(root.Content, text(key), n)
	}
	return root, nil
}

// ParseDocument reads a document from YAML text.
func ParseDocument(content []byte) (Document, error) {
	var n yaml.Node
	if err := yaml.Unmarshal(content, &n); err != nil {
		return Document{}, err
	}
	if len(n.Content) != 1 || n.Content[0].Kind != yaml.MappingNode {
		return Document{}, errors.New("must be a mapping with receivers")
	}
	return Document{root: n.Content[0], textual: n.Content[0]}, nil
}

// nodeOf returns the value v that conf has under key as YAML. confmap gives a value's original text only to fields of
// the type string, so every scalar is read through a struct made for it.
func (r reader) nodeOf(conf *confmap.Conf, key string, v any) (*yaml.Node, error) {
	if r.textual && isStructure(v) {
		var original *string
		if read(conf, key, &original) && original != nil {
			return text(*original), nil
		}
	}
	switch v := v.(type) {
	case map[string]any:
		sub, err := conf.Sub(key)
		if err != nil {
			return nil, err
		}
		return r.mappingOf(sub)
	case []any:
		return r.sequenceOf(conf, key, v)
	case string:
		return text(v), nil
	default:
		var original *string
		if read(conf, key, &original) && original != nil {
			return scalar(v, *original), nil
		}
		return plain(v)
	}
}

func (r reader) mappingOf(conf *confmap.Conf) (*yaml.Node, error) {
	all := conf.ToStringMap()
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		child, err := r.nodeOf(conf, key, all[key])
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, text(key), child)
	}
	return n, nil
}

func (r reader) sequenceOf(conf *confmap.Conf, key string, v []any) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	var elements []element
	if read(conf, key, &elements) && len(elements) == len(v) {
		for i := range elements {
			child, err := r.mappingOf(elements[i].conf)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		return n, nil
	}
	var originals []*string
	exact := read(conf, key, &originals) && len(originals) == len(v)
	for i := range v {
		if _, isText := v[i].(string); !isText && exact && originals[i] != nil {
			n.Content = append(n.Content, scalar(v[i], *originals[i]))
			continue
		}
		child, err := plain(v[i])
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, child)
	}
	return n, nil
}

// element is a mapping in a sequence.
type element struct{ conf *confmap.Conf }

// Unmarshal implements confmap.Unmarshaler.
func (e *element) Unmarshal(conf *confmap.Conf) error {
	e.conf = conf
	return nil
}

// read decodes what conf has under key into a pointer, and reports whether it fitted.
func read[T any](conf *confmap.Conf, key string, into *T) bool {
	holder := reflect.New(reflect.StructOf([]reflect.StructField{{
		Name: "Field", Type: reflect.TypeFor[T](), Tag: reflect.StructTag(fmt.Sprintf("mapstructure:%q", key)),
	}}))
	if err := conf.Unmarshal(holder.Interface(), confmap.WithIgnoreUnused()); err != nil {
		return false
	}
	*into = holder.Elem().Field(0).Interface().(T)
	return true
}

func isStructure(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

// scalar is a value of which the original text is known. Where the text says exactly what the value is (true, 25) it is
// left to Alertmanager to read as what it wants; otherwise (0012345, 1e5) it was never meant as a number.
func scalar(v any, original string) *yaml.Node {
	if fmt.Sprint(v) == original {
		return &yaml.Node{Kind: yaml.ScalarNode, Value: original}
	}
	return text(original)
}

func text(v string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}
}

func plain(v any) (*yaml.Node, error) {
	n := new(yaml.Node)
	if err := n.Encode(v); err != nil {
		return nil, err
	}
	return n, nil
}

// Fingerprint changes with what the document says of times and inhibition, and tells nothing of the rest.
func (d Document) Fingerprint() string {
	if d.root == nil {
		return ""
	}
	h := fnv.New64a()
	for _, key := range []string{"time_intervals", "inhibit_rules"} {
		if part := find(d.root, key); part != nil {
			content, err := yaml.Marshal(part)
			_, _ = fmt.Fprint(h, key, string(content), err)
		}
	}
	return strconv.FormatUint(h.Sum64(), 16)
}

const hidden = "[REDACTED]"

// String implements fmt.Stringer. Like every other way to show a document it hides the content.
func (Document) String() string { return hidden }

// GoString implements fmt.GoStringer.
func (Document) GoString() string { return hidden }

// Format implements fmt.Formatter: no verb shows the content.
func (Document) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(hidden)) }

// MarshalYAML implements yaml.Marshaler.
func (Document) MarshalYAML() (any, error) { return hidden, nil }

// MarshalText implements encoding.TextMarshaler, for JSON and logs.
func (Document) MarshalText() ([]byte, error) { return []byte(hidden), nil }
