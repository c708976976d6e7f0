package rule

import (
	"slices"
	"strings"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// The warnings are few on purpose: each is something that has cost somebody a night, and each can be answered by a
// change to the rule.

func (d *decoder) review(m mapping, g *Group, r *Rule) {
	if d.parsed != nil {
		d.reviewExpr(m, g, r, d.parsed)
	}
	if r.Record != "" {
		return
	}
	d.reviewOwner(m, r)
	d.reviewResponse(m, r)
	d.reviewLabels(m, r)
	d.reviewExplore(m, r)
	d.reviewRollback(m, r)
	if r.Metric == "" {
		return
	}
	d.reviewMetric(m, r)
	d.reviewFlapping(m, r)
	for _, f := range d.queried {
		d.warnf(f, "query is not available in a metric rule: the text will say so")
	}
}

// reviewRollback warns of a rollback that comes before the alert is critical.
func (d *decoder) reviewRollback(m mapping, r *Rule) {
	if r.Rollback == nil {
		return
	}
	for i := range r.Tiers {
		if r.Tiers[i].Severity == alert.Critical && r.Tiers[i].covers(r.Rollback) {
			return
		}
	}
	d.warnf(m.at("rollback"), "is asked for while the alert is not critical yet: give it a critical tier that is reached before")
}

func (d *decoder) reviewExplore(m mapping, r *Rule) {
	for i := range r.Tiers {
		if t := &r.Tiers[i].Threshold; r.Explore > 0 && t.Op != Outside && t.Bound(0) == 0 {
			d.warnf(m.at("explore"), "is a share of the threshold, which is 0: the silent track of %s has the same", r.Tiers[i].Severity)
		}
	}
}

func (d *decoder) reviewLabels(m mapping, r *Rule) {
	if _, ok := r.Labels[alert.LabelSeverity]; ok && (r.Query == nil || !r.Query.Plain) {
		d.warnf(m.at("labels", alert.LabelSeverity), "has no effect: the tiers say how severe the alert is")
	}
	for _, name := range sortedKeys(r.Labels) {
		text := r.Labels[name]
		if !strings.Contains(text, "{{") || !(strings.Contains(text, "$value") || strings.Contains(text, ".Value")) {
			continue
		}
		if r.Query != nil && r.Query.Plain {
			d.warnf(m.at("labels", name), "changes with every value: in Prometheus that makes another alert each time, whose for begins anew; put the value into an annotation")
			continue
		}
		d.warnf(m.at("labels", name), "changes with every value, and each makes a new series of the alert's state: put the value into an annotation")
	}
}

// at is the value under a path of keys, as far as it stands there.
func (m mapping) at(keys ...string) field {
	f := m.field
	for _, key := range keys {
		next, ok := mapping{all: f.entries()}.get(key)
		if !ok {
			break
		}
		f = next
	}
	return f
}

func (d *decoder) reviewOwner(m mapping, r *Rule) {
	if _, ok := m.get("owner"); ok || r.Owner != d.defaults.DefaultOwner {
		return
	}
	for _, label := range []string{alert.LabelOwner, "team"} {
		if strings.Contains(r.Labels[label], "{{") {
			d.warnf(m.at("labels", label), "a template cannot name the owner: the alerts go to %q; add owner", r.Owner)
			return
		}
	}
	if r.Labels[alert.LabelOwner] == "" && r.Labels["team"] == "" {
		d.warnf(m.field, "nobody owns this rule: its alerts go to %q; add owner", r.Owner)
	}
}

func (d *decoder) reviewResponse(m mapping, r *Rule) {
	if strings.Contains(r.Response, "{{") {
		d.warnf(m.at("response"), "is sent as it stands: templates are expanded in labels and annotations only")
	}
	critical := r.Severity == alert.Critical || (len(r.Tiers) > 0 && r.Tiers[0].Severity == alert.Critical)
	if !critical {
		return
	}
	if r.Response == "" {
		d.warnf(m.field, "pages at once and does not say what to do first: add response")
	}
	if r.Annotations["runbook_url"] == "" && r.Annotations["runbook"] == "" {
		d.warnf(m.field, "pages at once and has no runbook: add a runbook_url annotation")
	}
}

func (d *decoder) reviewMetric(m mapping, r *Rule) {
	metric := m.at("metric")
	switch {
	case strings.HasSuffix(r.Metric, "_bucket"):
		d.warnf(metric, "is the name of a Prometheus series, not of an OTLP metric: the histogram's own name has no _bucket, and histograms are not judged")
	case strings.HasSuffix(r.Metric, "_total"):
		d.warnf(metric, "looks like a counter: it is judged only where it arrives as a delta or non-monotonic sum")
	}
	f := factOf(r.Metric)
	if f.now != "" {
		d.warnf(metric, "current versions do not expose it: what there is now is %s", f.now)
	}
	for i := range r.Tiers {
		t := &r.Tiers[i].Threshold
		for _, bound := range []float64{t.Low, t.High} {
			if f.percentage(bound, 1) {
				d.warnf(m.at("tiers", r.Tiers[i].Severity.String(), t.Op.String()),
					"looks like a percentage, and the metric is a fraction between 0 and 1: write %s", formatFloat(bound/100))
			}
		}
	}
}

func (d *decoder) reviewFlapping(m mapping, r *Rule) {
	if r.KeepFiringFor > 0 {
		return
	}
	for i := range r.Tiers {
		t := &r.Tiers[i].Threshold
		if t.For == 0 && t.ClearLow == t.Low && t.ClearHigh == t.High {
			d.warnf(m.at("tiers", r.Tiers[i].Severity.String()),
				"fires on one point and ends with the next, so a value around the threshold flaps: add for, clear or keep_firing_for")
		}
	}
}

func (d *decoder) reviewGroup(m mapping, g *Group) {
	if len(g.Rules) == 0 || slices.ContainsFunc(g.Rules, func(r *Rule) bool { return r.Metric == "" }) {
		return
	}
	for _, key := range []string{"interval", "query_offset", "limit"} {
		if _, ok := m.get(key); ok {
			d.warnf(m.key(key), "has no effect: the group has metric rules only, which are judged on every point")
		}
	}
}
