package rule

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

var ruleKeys = []string{
	"record", "alert", "metric", "where", "expr", "tiers", "for", "keep_firing_for", "no_data", "warm_up",
	"owner", "response", "labels", "annotations", "rollback", "manual_intervention", "explore",
}

// recordingKeys are those of a recording rule.
var recordingKeys = []string{"record", "expr", "labels"}

// rule reads one rule of a group; nil where too little of it could be read to go on.
func (d *decoder) rule(f field, g *Group) *Rule {
	if f.node.Kind != yaml.MappingNode {
		f.errorf("must be a rule: a mapping with alert (or record) and metric or expr (got %s)", f.got())
		return nil
	}
	before := len(d.errs)
	d.warnings, d.queried, d.parsed = nil, nil, nil
	m := f.mapping(ruleKeys, misplaced)
	r := &Rule{Group: g.Name, Position: f.position()}

	alertName, isAlert := m.lookup("alert")
	record, isRecord := m.get("record")
	switch {
	case isAlert && isRecord:
		m.key("record").errorf("a rule has either alert or record: remove one")
		return nil
	case !isAlert && !isRecord:
		f.errorf("must have alert (or record): the rule's name")
		return nil
	case isRecord:
		d.recording(m, record, g, r)
	default:
		r.Name, _ = alertName.name()
		d.alerting(m, g, r)
	}
	if len(d.errs) > before {
		return nil
	}
	d.review(m, g, r)
	r.warnings = d.warnings
	r.templates = newTemplates(r)
	r.templates.externalURL = d.defaults.ExternalURL
	r.hash = r.stateHash()
	return r
}

// misplaced explains keys that are right elsewhere.
func misplaced(e entry) bool {
	switch {
	case slices.Contains(opNames[:], e.name), e.name == "clear":
		e.key.errorf("thresholds stand only under tiers, rollback and manual_intervention: write tiers: {high: {%s: …}}", e.name)
	case e.name == "severity":
		e.key.errorf("a rule's severity comes from its tiers: write tiers: {%s: {above: …}}, or in a plain Prometheus rule labels: {severity: …}", tierMeant(e.value.node.Value))
	case e.name == "team":
		e.key.errorf("unknown key: write owner, or labels: {team: …}")
	case e.name == "hold_for", e.name == "after":
		e.key.errorf("stands under no_data: write no_data: {%s: …}", e.name)
	default:
		return false
	}
	return true
}

func (d *decoder) alerting(m mapping, g *Group, r *Rule) {
	own := map[string]string{}
	if labels, ok := m.get("labels"); ok {
		own = d.labels(labels, true)
	}
	r.Labels = merge(g.Labels, own)
	r.Annotations = map[string]string{}
	if annotations, ok := m.get("annotations"); ok {
		r.Annotations = d.annotations(annotations)
	}
	d.conditions(m, r)
	r.Owner = d.owner(m, r.Labels)
	if response, ok := m.get("response"); ok {
		r.Response = d.response(response)
	}
	if keep, ok := m.get("keep_firing_for"); ok {
		r.KeepFiringFor, _ = keep.duration()
	}
	if warmUp, ok := m.get("warm_up"); ok {
		r.WarmUp, _ = warmUp.duration()
	}
	r.NoData = d.noData(m)
	d.signal(m, r)
	if explore, ok := m.lookup("explore"); ok {
		d.explore(explore, r)
	}
}

// signal reads what the rule looks at.
func (d *decoder) signal(m mapping, r *Rule) {
	metric, isMetric := m.lookup("metric")
	expr, isExpr := m.lookup("expr")
	switch {
	case isMetric && isExpr:
		m.key("expr").errorf("a rule has either metric or expr: remove one")
	case isMetric:
		d.metricSignal(m, metric, r)
	case isExpr:
		d.exprSignal(m, expr, r)
	case !m.unknown:
		m.errorf("must have metric (an OTLP metric's name) or expr (PromQL)")
	}
}

func (d *decoder) metricSignal(m mapping, metric field, r *Rule) {
	if name, ok := metric.name(); ok {
		if strings.ContainsAny(name, "{}()[] \t\n") {
			metric.errorf("must be a metric's name alone: conditions on attributes stand in where, PromQL in expr (got %q)", shorten(name))
		}
		r.Metric = name
	}
	if where, ok := m.lookup("where"); ok {
		r.Where = d.where(where)
	}
	if _, ok := m.lookup("for"); ok {
		m.key("for").errorf("stands with each threshold: write tiers: {high: {above: …, for: …}}")
	}
	if _, ok := m.lookup("tiers"); !ok {
		m.errorf("a metric rule must have tiers, such as tiers: {high: {above: 0.9, for: 5m}}")
	}
}

// recording reads a recording rule, which Prometheus allows less than an alert.
func (d *decoder) recording(m mapping, record field, g *Group, r *Rule) {
	for _, e := range m.all {
		if slices.Contains(ruleKeys, e.name) && !slices.Contains(recordingKeys, e.name) && !isNull(e.value.node) {
			e.key.errorf("not allowed in a recording rule: it has record, expr and labels")
		}
	}
	name, ok := record.name()
	switch {
	case !ok:
	case !model.UTF8Validation.IsValidMetricName(name):
		record.errorf("must be a valid metric name (got %q)", shorten(name))
	case strings.ContainsAny(name, "{}"):
		record.errorf("must be a metric's name without braces: PromQL stands in expr (got %q)", shorten(name))
	default:
		r.Record = name
	}
	own := map[string]string{}
	if labels, ok := m.get("labels"); ok {
		own = d.labels(labels, false)
	}
	r.Labels = merge(g.Labels, own)
	expr, ok := m.lookup("expr")
	if !ok {
		m.errorf("a recording rule must have expr")
		return
	}
	d.parseExpr(expr, r)
}

// severity is the tier that a plain rule's `severity` label stands for.
func (d *decoder) severity(labels map[string]string) alert.Severity {
	if s, ok := d.defaults.SeverityLabels[strings.ToLower(labels[alert.LabelSeverity])]; ok {
		return s
	}
	return d.defaults.DefaultSeverity
}

// owner is who answers for the rule: its `owner`, its `owner` or `team` label, or the default. An owner is a key of the
// escalation's configuration, so a template cannot be one.
func (d *decoder) owner(m mapping, labels map[string]string) string {
	if f, ok := m.lookup("owner"); ok {
		name, ok := f.name()
		if ok && strings.Contains(name, "{{") {
			f.errorf("must be an owner's name: templates are not expanded here (got %q)", shorten(name))
		}
		return name
	}
	for _, label := range []string{alert.LabelOwner, "team"} {
		if name := labels[label]; name != "" && !strings.Contains(name, "{{") {
			return name
		}
	}
	return d.defaults.DefaultOwner
}

// maxResponse bounds the text of an owner's first action, which goes out with every page.
const maxResponse = 4 << 10

func (d *decoder) response(f field) string {
	text, ok := f.text()
	if ok && len(text) > maxResponse {
		f.errorf("must not be longer than %d bytes: link the rest with a runbook_url annotation (got %d)", maxResponse, len(text))
	}
	return strings.TrimSpace(text)
}

func (d *decoder) warnf(f field, format string, args ...any) {
	d.warnings = append(d.warnings, Warning{Position: f.position(), Msg: fmt.Sprintf(format, args...)})
}

// merge puts a rule's labels over its group's. An empty value takes a label away, as in Prometheus.
func merge(group, own map[string]string) map[string]string {
	all := make(map[string]string, len(group)+len(own))
	maps.Copy(all, group)
	maps.Copy(all, own)
	return all
}
