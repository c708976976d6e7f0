package dashboard

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// section draws one rule: its signal with the thresholds of its tiers, how many of its alerts were false, and what calibration
// concludes about its thresholds.
func (d *drawing) section(r *rule.Rule, title string, about []Conclusion) error {
	signal, err := d.watched(r, about)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	d.row(plain(title))
	same := d.is(alert.AttrRule, r.Name)
	right := []*panel{d.band("False alarms", 8, tiersOf(r), same)}
	if thresholded(r) {
		key := []label{{alert.AttrSeverity, "Tier"}}
		if banded(r) {
			key = append(key, label{alert.AttrThresholdBound, "Bound"})
		}
		right = append(right, d.suggestions("Thresholds", 8, key, same))
	}
	d.beside(12, signal, right...)
	return nil
}

// watched is the panel of a rule's signal.
func (d *drawing) watched(r *rule.Rule, about []Conclusion) (*panel, error) {
	unit, known := unitOf(r, about)
	expr, err := d.signal(r, known)
	if err != nil {
		return nil, err
	}
	p := timeline(plain(r.Name), describe(r, about), 16, unit)
	p.Interval = "1m" // a state is repeated that often
	p.ask(expr, "__auto")
	same := d.is(alert.AttrRule, r.Name)
	if thresholded(r) {
		p.mark(marks(r)...)
		name := d.legend(alert.AttrSeverity)
		attributes := []string{alert.AttrSeverity}
		if banded(r) {
			attributes = append(attributes, alert.AttrThresholdBound)
			name = d.legend(attributes...)
		}
		by := d.by(attributes...)
		now := p.ask(aggregated("max", d.of(alert.MetricThresholdCurrent, same), by), name+" in force")
		better := p.ask(aggregated("max", d.of(alert.MetricThresholdSuggested, same), by), name+" suggested")
		p.override(byQuery, now, fixed(quietColor), dashed(), custom("lineInterpolation", "stepAfter"))
		p.override(byQuery, better, fixed(suggestionColor), dashed(), custom("lineWidth", 2), custom("lineInterpolation", "stepAfter"))
		flag(p, p.ask("group("+d.changed(same)+")", "threshold changed"), suggestionColor, custom("drawStyle", "bars"), custom("fillOpacity", 60))
	}
	flag(p, p.ask("group("+d.fired(same, d.is(alert.AttrGroup, r.Group))+")", "fires"), colors[alert.Critical], custom("fillOpacity", 12))
	return p, nil
}

// flag draws a query whose values are 1 as high as the panel, without an axis.
func flag(p *panel, query, color string, how ...property) {
	p.override(byQuery, query, append([]property{
		fixed(color), custom("lineWidth", 0), custom("showPoints", "never"), custom("axisPlacement", "hidden"), {"unit", "none"}, {"min", 0}, {"max", 1},
	}, how...)...)
}

// tiersOf are those that the rule's alerts may have, most urgent first.
func tiersOf(r *rule.Rule) (all []alert.Severity) {
	for _, s := range alert.Severities {
		if r.NoData.Action == rule.NoDataRaise && r.NoData.Tier == s || slices.ContainsFunc(r.Tiers, func(t rule.Tier) bool { return t.Severity == s }) {
			all = append(all, s)
		}
	}
	return all
}

// thresholded reports whether the rule has thresholds, and is not decided by its expression as a whole.
func thresholded(r *rule.Rule) bool {
	return !slices.ContainsFunc(r.Tiers, func(t rule.Tier) bool { return t.Op == rule.Always })
}

// banded reports whether a tier has two bounds.
func banded(r *rule.Rule) bool {
	return slices.ContainsFunc(r.Tiers, func(t rule.Tier) bool { return t.Op == rule.Outside })
}

// marks are the thresholds of a rule in ascending order, in the colour of the most urgent tier at that value.
func marks(r *rule.Rule) []step {
	var all []step
	mark := func(t *rule.Threshold, color string) {
		for _, v := range []float64{t.Low, t.High} {
			taken := slices.ContainsFunc(all, func(s step) bool { return *s.Value == v })
			if !math.IsInf(v, 0) && !taken {
				all = append(all, step{Color: color, Value: pointer(v)})
			}
		}
	}
	for i := range r.Tiers { // most urgent first
		mark(&r.Tiers[i].Threshold, colors[r.Tiers[i].Severity])
	}
	if r.Rollback != nil {
		mark(r.Rollback, rollbackColor)
	}
	if r.ManualIntervention != nil {
		mark(r.ManualIntervention, interventionColor)
	}
	slices.SortFunc(all, func(a, b step) int { return cmp.Compare(*a.Value, *b.Value) })
	return all
}

// unitOf is the unit of a rule's signal, for Grafana and as OTLP has it; nil: not known. Only of a metric that is checked as it
// passes does the source's unit say what the signal's is.
func unitOf(r *rule.Rule, about []Conclusion) (shown string, known *string) {
	if r.Metric == "" {
		return number, nil
	}
	for i := range about {
		if about[i].SourceMetric != r.Metric {
			continue
		}
		unit := about[i].SourceUnit
		if shown, ok := grafanaUnits[unit]; ok {
			return shown, &unit
		}
		return number, &unit
	}
	return number, nil
}

// grafanaUnits are Grafana's names of units.
var grafanaUnits = map[string]string{
	"s": "s", "ms": "ms", "us": "µs", "ns": "ns", "min": "m", "h": "h", "d": "d", "By": "bytes", "KiBy": "kbytes", "MiBy": "mbytes", "GiBy": "gbytes",
	"%": "percent", "Cel": "celsius", "W": "watt", "J": "joule", "V": "volt", "A": "amp", "Hz": "hertz", "By/s": "Bps",
}

// describe says in Markdown what a panel of a rule shows.
func describe(r *rule.Rule, about []Conclusion) string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	var tiers []string
	for i := range r.Tiers {
		tiers = append(tiers, markdown(condition(&r.Tiers[i].Threshold, r.Tiers[i].Severity.String())))
	}
	if r.Rollback != nil {
		tiers = append(tiers, markdown(condition(r.Rollback, "rollback"))+" (purple)")
	}
	if r.ManualIntervention != nil {
		tiers = append(tiers, markdown(condition(r.ManualIntervention, "a person decides"))+" (dark purple)")
	}
	say("Tiers: %s.", strings.Join(tiers, ", "))
	say("Owner: %s.", markdown(r.Owner))
	if r.Response != "" {
		say("Response: %s", markdown(r.Response))
	}
	if r.Where != nil {
		say("Only points are judged for which holds: %s. All are shown.", markdown(r.Where.String()))
	}
	for i := range about {
		c := &about[i]
		what := c.Severity.String()
		if c.Bound != "" {
			what += " " + c.Bound
		}
		if c.Suggested != nil {
			what += fmt.Sprintf(", %s instead of %s", short(*c.Suggested), short(c.Current))
		}
		say("Suggestion for %s: %s.", markdown(what), markdown(strings.TrimSuffix(c.Sentence, ".")))
	}
	return strings.Join(lines, "\n\n")
}

func condition(t *rule.Threshold, what string) string {
	if t.Op != rule.Always {
		return what + " " + t.String()
	}
	if what += " whenever the expression gives a value"; t.For > 0 {
		what += " for " + strings.TrimPrefix(t.String(), "always for ")
	}
	return what
}

func short(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
