package rule

import (
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

var thresholdKeys = append(slices.Clone(opNames[:]), "for", "clear")

// conditions reads the rule's thresholds.
func (d *decoder) conditions(m mapping, r *Rule) {
	if tiers, ok := m.lookup("tiers"); ok {
		d.tiers(tiers, r)
	}
	rollback, _ := m.lookup("rollback")
	intervention, _ := m.lookup("manual_intervention")
	if rollback.node != nil {
		r.Rollback = d.threshold(rollback)
	}
	if intervention.node != nil {
		r.ManualIntervention = d.threshold(intervention)
	}
	if r.Rollback != nil && r.ManualIntervention != nil && !r.ManualIntervention.beyond(r.Rollback) {
		intervention.errorf("must lie beyond rollback, so that a person decides about what is worse (rollback is %s, got %s)",
			r.Rollback, r.ManualIntervention)
	}
	d.checkTrigger(rollback, r.Rollback, r.Tiers)
	d.checkTrigger(intervention, r.ManualIntervention, r.Tiers)
}

// checkTrigger finds what could never trigger, or would before anybody is paged: an action is asked for only while the
// alert fires.
func (d *decoder) checkTrigger(f field, t *Threshold, tiers []Tier) {
	if t == nil || f.node == nil {
		return
	}
	if len(tiers) == 0 {
		f.errorf("needs tiers: an action is asked for only while the alert fires (got %s)", t)
		return
	}
	for i := range tiers {
		if tiers[i].covers(t) {
			return
		}
	}
	last := &tiers[len(tiers)-1]
	f.errorf("must lie beyond one of the tiers: an action is asked for only while the alert fires (%s is %s, got %s)",
		last.Severity, &last.Threshold, t)
}

// tiers reads `tiers`, most urgent first.
func (d *decoder) tiers(f field, r *Rule) {
	entries := f.entries()
	if len(entries) == 0 {
		if f.node.Kind == yaml.MappingNode || isNull(f.node) {
			f.errorf("must have at least one of critical, high, medium, low")
		}
		return
	}
	fields := map[alert.Severity]field{}
	read := map[alert.Severity]*Threshold{}
	for _, e := range entries {
		severity, err := alert.ParseSeverity(e.name)
		if err != nil {
			hint := ""
			if meant, ok := alert.DefaultSeverityLabels()[strings.ToLower(e.name)]; ok {
				hint = "; did you mean " + meant.String() + "?"
			}
			e.key.errorf("unknown tier: %v%s", err, hint)
			continue
		}
		if t := d.threshold(e.value); t != nil {
			read[severity], fields[severity] = t, e.value
		}
	}
	for _, severity := range alert.Severities {
		if t := read[severity]; t != nil {
			r.Tiers = append(r.Tiers, Tier{Severity: severity, Threshold: *t})
		}
	}
	d.checkOrder(r.Tiers, fields)
	if len(r.Tiers) == len(entries) && alwaysBreached(r.Tiers) {
		f.errorf("every value breaches one of these thresholds: none is left that is healthy")
	}
}

// checkOrder finds tiers that can never be the highest active one when the alert rises: a more urgent tier that is as
// easily reached takes their place.
func (d *decoder) checkOrder(tiers []Tier, fields map[alert.Severity]field) {
	for i := range tiers {
		for j := range i {
			urgent, lower := &tiers[j], &tiers[i]
			if !urgent.covers(&lower.Threshold) || urgent.For > lower.For {
				continue
			}
			// With the same condition, the lower tier may still be what the alert falls back to on its way down.
			if lower.covers(&urgent.Threshold) && !urgent.cleared().covers(lower.cleared()) {
				continue
			}
			fields[lower.Severity].errorf(
				"can never be reached: %s is reached whenever it is, and as soon; a less urgent tier needs a laxer threshold or a shorter for (%s is %s, got %s)",
				urgent.Severity, urgent.Severity, &urgent.Threshold, &lower.Threshold)
			break
		}
	}
}

// alwaysBreached reports whether no value is left at which nothing is breached.
func alwaysBreached(tiers []Tier) bool {
	low, high := math.Inf(-1), math.Inf(1) // what is quiet: from low to high
	lowOpen, highOpen := false, false
	for i := range tiers {
		t := &tiers[i].Threshold
		if b := t.Low; b > low || (b == low && t.Op == AtMost) {
			low, lowOpen = b, t.Op == AtMost
		}
		if b := t.High; b < high || (b == high && t.Op == AtLeast) {
			high, highOpen = b, t.Op == AtLeast
		}
	}
	return low > high || (low == high && (lowOpen || highOpen))
}

// threshold reads one condition; nil where it is wrong.
func (d *decoder) threshold(f field) *Threshold {
	if f.node.Kind != yaml.MappingNode {
		f.errorf("must be a threshold such as {above: 0.9, for: 5m} (got %s)", f.got())
		return nil
	}
	before := len(d.errs)
	m := f.mapping(thresholdKeys, nil)
	t := &Threshold{Low: math.Inf(-1), High: math.Inf(1)}
	found := -1
	for i, name := range opNames {
		bound, ok := m.lookup(name)
		switch {
		case !ok:
		case found >= 0:
			m.key(name).errorf("a threshold has one comparison: %s stands here already", opNames[found])
		default:
			found = i
			t.Op = Op(i)
			d.bound(bound, t)
		}
	}
	if found < 0 && !m.unknown {
		f.errorf("must have one of %s", strings.Join(opNames[:], ", "))
	}
	if held, ok := m.lookup("for"); ok {
		t.For, _ = held.duration()
	}
	if len(d.errs) > before {
		return nil
	}
	t.ClearLow, t.ClearHigh = t.Low, t.High
	if clear, ok := m.lookup("clear"); ok && !d.clear(clear, t) {
		return nil
	}
	return t
}

func (d *decoder) bound(f field, t *Threshold) {
	switch t.Op {
	case Above, AtLeast:
		t.High, _ = f.number()
	case Below, AtMost:
		t.Low, _ = f.number()
	case Outside:
		low, high, ok := f.pair()
		if ok && low >= high {
			f.errorf("must be a band: low must be less than high (got [%s, %s])", formatFloat(low), formatFloat(high))
		}
		t.Low, t.High = low, high
	}
}

// clear reads the value that ends the condition. It must lie on the quiet side of the threshold.
func (d *decoder) clear(f field, t *Threshold) bool {
	if t.Op == Outside {
		low, high, ok := f.pair()
		switch {
		case !ok:
			return false
		case low > high:
			f.errorf("must be a band: low must not be more than high (got [%s, %s])", formatFloat(low), formatFloat(high))
			return false
		case low < t.Low || high > t.High:
			f.errorf("must lie within outside: [%s, %s] (got [%s, %s])",
				formatFloat(t.Low), formatFloat(t.High), formatFloat(low), formatFloat(high))
			return false
		}
		t.ClearLow, t.ClearHigh = low, high
		return true
	}
	if f.node.Kind == yaml.SequenceNode {
		f.errorf("must be a number; only outside has a pair (got %s)", f.got())
		return false
	}
	v, ok := f.number()
	switch {
	case !ok:
		return false
	case (t.Op == Above || t.Op == AtLeast) && v > t.High:
		f.errorf("must not be more than %s, the threshold that it ends (got %s)", formatFloat(t.High), formatFloat(v))
		return false
	case (t.Op == Below || t.Op == AtMost) && v < t.Low:
		f.errorf("must not be less than %s, the threshold that it ends (got %s)", formatFloat(t.Low), formatFloat(v))
		return false
	case t.Op == Above || t.Op == AtLeast:
		t.ClearHigh = v
	default:
		t.ClearLow = v
	}
	return true
}

// tierMeant is the tier for a word that people use for one.
func tierMeant(word string) string {
	if s, ok := alert.DefaultSeverityLabels()[strings.ToLower(word)]; ok {
		return s.String()
	}
	return alert.High.String()
}
