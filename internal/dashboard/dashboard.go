// Package dashboard draws Grafana dashboards: of the alerts' quality, and of rules, each with its signal, the thresholds of its
// tiers, and what calibration concludes about them.
//
// Every name in a query is made of a constant of package alert by Prometheus' own translation of OTLP, every string in it is
// written so that neither PromQL nor Grafana finds anything but text there. Nothing here reads a clock, a network or a map's
// order: the same rules give the same bytes.
package dashboard

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// Options say what a dashboard is made of, beside rules.
type Options struct {
	Title string
	// Strategy is the translation strategy of the Prometheus that is asked; "" is its default.
	Strategy string
	// Calibration is what the calibration receiver concludes about rules; nil where it was not asked. With it, rules stand
	// worst first.
	Calibration []Quality
}

// New draws the quality of the alerts of rules, and a section about each rule. Without rules it draws the quality of
// whatever alerts there are. Recording rules are passed over.
func New(rules []*rule.Rule, o Options) (*Dashboard, error) {
	n, err := newNames(o.Strategy)
	if err != nil {
		return nil, err
	}
	rules = slices.DeleteFunc(slices.Clone(rules), func(r *rule.Rule) bool { return r.Record != "" })
	if o.Calibration != nil {
		rules = worstFirst(rules, o.Calibration)
	}
	d := drawing{names: n}
	d.overview()
	d.cycle()
	d.verdicts()
	if len(rules) == 0 {
		d.row("Suggestions")
		d.line(8, d.suggestions("Thresholds", columns, []label{
			{alert.AttrRule, "Rule"}, {alert.AttrSeverity, "Tier"}, {alert.AttrSourceMetric, "Metric"}, {alert.AttrThresholdBound, "Bound"},
		}, d.selected()...))
		d.intervals() // last: it is as long as there are rules
	}
	for _, r := range rules {
		title := r.Name
		if slices.ContainsFunc(rules, func(o *rule.Rule) bool { return o != r && o.Name == r.Name }) {
			title += " in " + r.Group
		}
		if err := d.section(r, title, concluded(o.Calibration, r)); err != nil {
			return nil, err
		}
	}
	return &Dashboard{
		Annotations:   annotations{List: d.annotations()},
		Description:   "How good the alerts are, and which thresholds would be better. Made by alertctl dashboard: make it anew rather than change it.",
		Editable:      true,
		GraphTooltip:  1, // one cross-hair for all
		Links:         []string{},
		Panels:        d.panels,
		Refresh:       "5m",
		SchemaVersion: schemaVersion,
		Tags:          []string{"alerts", "otelcol-escalation"},
		Templating:    templating{List: d.variables(rules)},
		Time:          timeRange{"now-30d", "now"},
		Timezone:      "browser",
		Title:         plain(o.Title),
		UID:           uid(o.Title),
	}, nil
}

// drawing is a dashboard being made.
type drawing struct {
	*names
	layout
}

// uid is the same for the same title, so that a dashboard that is imported again takes the old one's place. Grafana takes up to 40
// letters, digits, dashes and underscores.
func uid(title string) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	sum := sha256.Sum256([]byte(title))
	readable := strings.Join(words, "-")
	return strings.TrimLeft(readable[:min(len(readable), 27)]+"-"+hex.EncodeToString(sum[:6]), "-")
}

// annotations mark over all panels where thresholds changed, and, when they are switched on, where alerts fired.
func (d *drawing) annotations() []annotation {
	by, name := d.by(alert.AttrRule, alert.AttrSeverity), d.legend(alert.AttrRule, alert.AttrSeverity)
	return []annotation{
		{
			BuiltIn: 1, Datasource: datasource{"grafana", "-- Grafana --"}, Enable: true, Hide: true,
			IconColor: "rgba(0, 211, 255, 1)", Name: "Annotations & Alerts", Type: "dashboard",
		},
		{
			Datasource: prometheus, Enable: true, IconColor: suggestionColor, Name: "Thresholds that changed", Step: "5m",
			Expr: fmt.Sprintf("count by (%s) (%s)", by, d.changed(d.selected()...)), TitleFormat: "Threshold changed", TextFormat: name,
		},
		{
			Datasource: prometheus, Enable: false, IconColor: colors[alert.Critical], Name: "Alerts that fired", Step: "5m",
			Expr: fmt.Sprintf("count by (%s) (%s)", by, d.fired(d.selected()...)), TitleFormat: "Fired", TextFormat: name,
		},
	}
}
