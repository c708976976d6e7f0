package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// decoder makes groups of the nodes of one file, or of the inline groups, and collects all that is wrong with them.
type decoder struct {
	// source is the path of the file, "" for inline groups.
	source   string
	defaults Defaults
	errs     Errors
	// warnings are those of the group or rule at hand.
	warnings []Warning
	// queried are the templates of the rule at hand that use `query`.
	queried []field
	wheres  *whereParser // made when the first rule needs it
	promql  parser.Parser
	// parsed is the PromQL of the rule at hand, parsedSignal what is left of it without its threshold.
	parsed, parsedSignal parser.Expr
	// exprSize and exprTokens are what has been read so far.
	exprSize, exprTokens int
	// regexSize is what the regular expressions read so far will take, see regexSize.
	regexSize int
}

func newDecoder(path string, d Defaults) *decoder {
	return &decoder{source: path, defaults: d.filled(), promql: newParser()}
}

func (d *decoder) root(node *yaml.Node, path string) field {
	return field{d: d}.child(node, path)
}

// maxErrors is more than a person reads, and bounds what a broken file can cost.
const maxErrors = 100

func (d *decoder) report(e *Error) {
	if len(d.errs) < maxErrors {
		d.errs = append(d.errs, e)
	}
}

func (d *decoder) result(groups []*Group) ([]*Group, error) {
	if len(d.errs) == 0 {
		return groups, nil
	}
	sortByPosition(d.errs)
	if len(d.errs) == maxErrors {
		d.errs[maxErrors-1].Msg += fmt.Sprintf(" (only the first %d errors are listed)", maxErrors)
	}
	return nil, d.errs
}

// file reads a whole rule file.
func (d *decoder) file(root field) []*Group {
	m := root.mapping([]string{"groups"}, func(e entry) bool {
		if e.name != "apiVersion" && e.name != "kind" && e.name != "metadata" && e.name != "spec" && e.name != "data" {
			return false
		}
		if e.name == "kind" {
			e.value.errorf("a rule file holds the rules alone: write what stands under `spec` (PrometheusRule) or within `data` (ConfigMap) into a file (got %s)", e.value.got())
		}
		return slices.ContainsFunc(root.entries(), func(e entry) bool { return e.name == "kind" })
	})
	groups, ok := m.get("groups")
	if !ok {
		return nil
	}
	return d.groups(groups)
}

func (d *decoder) groups(f field) []*Group {
	items := f.list()
	var groups []*Group
	names := map[string]field{}
	for _, item := range items {
		g, name := d.group(item)
		if g == nil {
			continue
		}
		if first, twice := names[g.Name]; twice {
			name.errorf("must be unique in its file: another group at %s has it (got %q)", first.position().short(), g.Name)
			continue
		}
		names[g.Name] = name
		groups = append(groups, g)
	}
	d.checkDistinct(groups)
	return groups
}

// short is place for a position in the same file.
func (p Position) short() string {
	if p.Line == 0 {
		return p.Path
	}
	return fmt.Sprintf("line %d", p.Line)
}

// checkDistinct finds rules of this file whose alerts could not be told apart.
func (d *decoder) checkDistinct(groups []*Group) {
	for _, g := range groups {
		seen := map[string]*Rule{}
		twins := twins{}
		for _, r := range g.Rules {
			key := r.identity()
			if first, taken := seen[key]; taken && r.Metric != "" {
				d.report(r.indistinct(first))
				continue
			}
			seen[key] = r
			if twin := twins.of(r); twin != "" {
				r.Twin = twin
				r.hash = r.stateHash()
			}
		}
	}
}

var groupKeys = []string{"name", "interval", "query_offset", "limit", "labels", "rules"}

// group reads one group; nil where not even its name can be read. The field is that of its name.
func (d *decoder) group(f field) (*Group, field) {
	if f.node.Kind != yaml.MappingNode {
		f.errorf("must be a group: a mapping with name and rules (got %s)", f.got())
		return nil, f
	}
	m := f.mapping(groupKeys, nil)
	nameField, ok := m.lookup("name")
	if !ok {
		f.errorf("must have a name")
		return nil, f
	}
	name, ok := nameField.name()
	if !ok {
		return nil, f
	}
	g := &Group{Name: name, File: d.source, Interval: d.defaults.EvaluationInterval}
	if interval, ok := m.get("interval"); ok {
		if v, ok := interval.duration(); ok && v > 0 { // 0 is Prometheus' way to say "the default"
			g.Interval = v
		}
	}
	if offset, ok := m.get("query_offset"); ok {
		g.QueryOffset, _ = offset.duration()
	}
	if limit, ok := m.get("limit"); ok {
		g.Limit, _ = limit.count()
	}
	if labels, ok := m.get("labels"); ok {
		g.Labels = d.labels(labels, true)
	}
	if rules, ok := m.get("rules"); ok {
		items := rules.list()
		for _, item := range items {
			if r := d.rule(item, g); r != nil {
				g.Rules = append(g.Rules, r)
			}
		}
	}
	d.warnings = nil
	d.reviewGroup(m, g)
	g.warnings = d.warnings
	return g, nameField
}

// labels reads labels and checks their names as Prometheus does, and that none is one of ours. templated says that the
// values are templates, as those of alerts are.
func (d *decoder) labels(f field, templated bool) map[string]string {
	return f.strings(func(key, value field) {
		name := key.node.Value
		switch {
		case reservedLabel(name):
			key.errorf("is set for every alert and cannot be chosen: give the label another name (got %q)", name)
		case !model.UTF8Validation.IsValidLabelName(name):
			key.errorf("must be a valid label name (got %q)", shorten(name))
		}
		if templated {
			d.checkTemplate(value)
		}
	})
}

func (d *decoder) annotations(f field) map[string]string {
	return f.strings(func(key, value field) {
		if name := key.node.Value; !model.UTF8Validation.IsValidLabelName(name) {
			key.errorf("must be a valid annotation name (got %q)", shorten(name))
		}
		d.checkTemplate(value)
	})
}

// reservedLabel reports whether a label's value comes from elsewhere, so that a rule's own would be lost or would forge
// an alert's identity.
func reservedLabel(name string) bool {
	switch name {
	case model.MetricNameLabel, alert.LabelName, alert.LabelAlertID, alert.LabelEpisodeID:
		return true
	}
	return strings.HasPrefix(name, "alert.")
}
