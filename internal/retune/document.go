package retune

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// document is a file as text and as a tree whose nodes know where they stand in it.
type document struct {
	path  string
	text  []byte
	lines []int // where each line begins
	root  *yaml.Node
}

// edit replaces some bytes.
type edit struct {
	start, end int
	text       string
}

func open(path string, content []byte) (*document, error) {
	d := &document{path: path, text: content, lines: []int{0}}
	for i, b := range content {
		if b == '\n' {
			d.lines = append(d.lines, i+1)
		}
	}
	var root yaml.Node
	if err := yaml.Unmarshal(content, &root); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(root.Content) == 0 {
		return nil, fmt.Errorf("%s: the file is empty", path)
	}
	d.root = root.Content[0]
	return d, nil
}

// node is a part of the tree. Below an alias it is none: what stands there is shared.
type node struct{ *yaml.Node }

func (n node) key(name string) *node {
	if n.Node == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return &node{n.Content[i+1]}
		}
	}
	return nil
}

func (d *document) rule(group, index int) (node, error) {
	groups := node{d.root}.key("groups")
	if groups == nil || group >= len(groups.Content) {
		return node{}, d.shared(d.root)
	}
	rules := node{groups.Content[group]}.key("rules")
	if rules == nil || index >= len(rules.Content) {
		return node{}, d.shared(groups.Content[group])
	}
	if at := rules.Content[index]; at.Kind != yaml.MappingNode {
		return node{}, d.shared(at)
	}
	return node{rules.Content[index]}, nil
}

func (d *document) shared(n *yaml.Node) error {
	return fmt.Errorf("%s:%d: what stands here comes from an anchor, and others may share it: move the threshold by hand", d.path, n.Line)
}

// tierEdits are the numbers of a threshold under `tiers`.
func tierEdits(d *document, tiers *node, at place, c Change) ([]edit, error) {
	t := at.threshold()
	tier := tiers.key(at.of.Tiers[at.tier].Severity.String())
	if tier == nil {
		return nil, d.shared(tiers.Node)
	}
	number := func(key string) (*yaml.Node, error) {
		n := tier.key(key)
		if n == nil {
			return nil, d.shared(tier.Node)
		}
		if t.Op == rule.Outside && n.Kind == yaml.SequenceNode && len(n.Content) == 2 {
			if c.Bound == Low {
				return n.Content[0], nil
			}
			return n.Content[1], nil
		}
		return n.Node, nil
	}
	to := moved(*t, c.Bound, c.To)
	n, err := number(t.Op.String())
	if err != nil {
		return nil, err
	}
	e, err := d.scalar(n, Number(c.To))
	if err != nil {
		return nil, err
	}
	edits := []edit{e}
	if tier.key("clear") == nil {
		return edits, nil
	}
	clearTo := to.ClearHigh
	if t.Op == rule.Below || t.Op == rule.AtMost || c.Bound == Low {
		clearTo = to.ClearLow
	}
	if n, err = number("clear"); err != nil {
		return nil, err
	}
	if e, err = d.scalar(n, Number(clearTo)); err != nil {
		return nil, err
	}
	return append(edits, e), nil
}

// scalar replaces a plain scalar.
func (d *document) scalar(n *yaml.Node, text string) (edit, error) {
	if n.Kind != yaml.ScalarNode || n.Anchor != "" {
		return edit{}, d.shared(n)
	}
	start := d.offset(n)
	if start+len(n.Value) > len(d.text) || string(d.text[start:start+len(n.Value)]) != n.Value {
		return edit{}, fmt.Errorf("%s:%d: %q is not written as a plain number: move it by hand", d.path, n.Line, n.Value)
	}
	return edit{start, start + len(n.Value), text}, nil
}

// offset is where a node begins. YAML counts columns in characters.
func (d *document) offset(n *yaml.Node) int {
	at := d.lines[n.Line-1]
	if n.Line == 1 && strings.HasPrefix(string(d.text), "\ufeff") {
		at += len("\ufeff")
	}
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(d.text[at:])
		at += size
	}
	return at
}

// exprEdits are the numbers of an expression any of which may be the threshold that was split off it: reading the
// result says which is.
func exprEdits(d *document, expr *node, at place, c Change) ([][]edit, error) {
	if expr == nil || expr.Kind != yaml.ScalarNode {
		return nil, d.shared(d.root)
	}
	if at.of.Query == nil || !at.of.Query.Split {
		return nil, fmt.Errorf("%s:%d: %s: the expression decides itself: there is no threshold to move", d.path, at.of.Position.Line, c)
	}
	places, ok := d.places(expr.Node)
	if !ok {
		return nil, fmt.Errorf("%s:%d: %s: the expression is written with escapes: move the number by hand", d.path, expr.Line, c)
	}
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr.Value)
	if err != nil {
		return nil, fmt.Errorf("%s:%d: %w", d.path, expr.Line, err)
	}
	var all [][]edit
	parser.Inspect(parsed, func(n parser.Node, path []parser.Node) error {
		number, ok := n.(*parser.NumberLiteral)
		if !ok {
			return nil
		}
		r := number.PositionRange()
		if int(r.Start) >= len(places) || r.End <= r.Start || int(r.End) > len(places) {
			return nil
		}
		start, last := places[r.Start], places[r.End-1]
		for last > start && unicode.IsSpace(rune(expr.Value[r.End-1])) { // the parser counts blanks behind in
			r.End--
			last = places[r.End-1]
		}
		to := c.To
		if len(path) > 0 {
			if sign, ok := path[len(path)-1].(*parser.UnaryExpr); ok && sign.Op == parser.SUB {
				to = -to // the sign stays where it is
			}
		}
		all = append(all, []edit{{start, last + 1, Number(to)}})
		return nil
	})
	slices.Reverse(all) // the threshold mostly stands at the end
	return all, nil
}

// places says for each byte of a scalar's value where it stands in the file. Blanks are passed over on both sides: folding
// and indentation change nothing else. ok is false where the text has escapes.
func (d *document) places(n *yaml.Node) (places []int, ok bool) {
	at := d.offset(n)
	switch n.Style {
	case yaml.LiteralStyle, yaml.FoldedStyle:
		for at < len(d.text) && d.text[at] != '\n' {
			at++
		}
	case yaml.DoubleQuotedStyle, yaml.SingleQuotedStyle:
		at++
	}
	places = make([]int, len(n.Value))
	for i := range len(n.Value) {
		b := n.Value[i]
		if unicode.IsSpace(rune(b)) {
			places[i] = at
			continue
		}
		for at < len(d.text) && unicode.IsSpace(rune(d.text[at])) {
			at++
		}
		if at >= len(d.text) || d.text[at] != b {
			return nil, false
		}
		places[i] = at
		at++
	}
	return places, true
}

// apply makes the edits, which do not overlap.
func (d *document) apply(edits []edit) []byte {
	edits = slices.Clone(edits)
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	var out []byte
	at := 0
	for _, e := range edits {
		out = append(append(out, d.text[at:e.start]...), e.text...)
		at = e.end
	}
	return append(out, d.text[at:]...)
}
