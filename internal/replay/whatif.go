package replay

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// WhatIf asks for other thresholds of a rule: `Rule=0.8,0.85` or `Rule/high=0.8`.
type WhatIf struct {
	Rule   string
	Tier   alert.Severity // NoSeverity: the lowest that the rule has
	Values []float64
}

// ParseWhatIf reads what is written on a command line.
func ParseWhatIf(text string) (WhatIf, error) {
	name, values, found := strings.Cut(text, "=")
	if !found || name == "" || values == "" {
		return WhatIf{}, fmt.Errorf("expected Rule=threshold,… or Rule/tier=threshold,… (got %q)", text)
	}
	w := WhatIf{Rule: name}
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		if tier, err := alert.ParseSeverity(name[i+1:]); err == nil {
			w.Rule, w.Tier = name[:i], tier
		}
	}
	for _, field := range strings.Split(values, ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return WhatIf{}, fmt.Errorf("%s: a threshold must be a number (got %q)", name, field)
		}
		w.Values = append(w.Values, v)
	}
	return w, nil
}

// variant is a rule with one tier, whose threshold was moved: it runs beside the rule, and nobody is told of its alerts.
type variant struct {
	of        *rule.Rule
	tier      alert.Severity
	threshold float64
	condition string
	episodes  int64
	firing    map[string]struct{} // open now, by alert id
}

// variantMark stands between a rule's name and a variant's number: no rule's name holds it.
const variantMark = "\x00"

// withVariants returns the set as it is run: without silent tracks of the rules' own, which cost and which nothing here
// shows, and with the variants, by the names under which their alerts come.
func withVariants(set *rule.Set, asked []WhatIf) (*rule.Set, map[string]*variant, error) {
	variants := map[string]*variant{}
	found := make([]bool, len(asked))
	out := &rule.Set{}
	for _, g := range set.Groups {
		group := *g
		group.Rules = nil
		var added []*rule.Rule
		for _, r := range g.Rules {
			own := *r
			own.Explore = 0
			group.Rules = append(group.Rules, &own)
			for i, w := range asked {
				if r.Name != w.Rule || r.Record != "" {
					continue
				}
				found[i] = true
				for _, value := range w.Values {
					v, moved, err := newVariant(r, w.Tier, value, len(variants))
					if err != nil {
						return nil, nil, err
					}
					variants[moved.Name] = v
					added = append(added, moved)
				}
			}
		}
		group.Rules = append(group.Rules, added...)
		out.Groups = append(out.Groups, &group)
	}
	for i, w := range asked {
		if !found[i] {
			return nil, nil, fmt.Errorf("what-if: there is no alert %q in the rules (there are: %s)", w.Rule, strings.Join(names(set), ", "))
		}
	}
	return out, variants, nil
}

func names(set *rule.Set) []string {
	var all []string
	for _, r := range set.Rules() {
		if r.Record == "" && !slices.Contains(all, r.Name) {
			all = append(all, r.Name)
		}
	}
	return all
}

func newVariant(r *rule.Rule, tier alert.Severity, value float64, n int) (*variant, *rule.Rule, error) {
	i := len(r.Tiers) - 1
	if tier != alert.NoSeverity {
		i = slices.IndexFunc(r.Tiers, func(t rule.Tier) bool { return t.Severity == tier })
	}
	if i < 0 {
		return nil, nil, fmt.Errorf("what-if: %s has no tier %s", r.Name, tier)
	}
	t := r.Tiers[i]
	if err := move(&t.Threshold, value); err != nil {
		return nil, nil, fmt.Errorf("what-if: %s: %w", r.Name, err)
	}
	moved := *r
	moved.Name = fmt.Sprintf("%s%s%d", r.Name, variantMark, n)
	moved.Silent, moved.Explore = true, 0
	moved.Tiers = []rule.Tier{t}
	moved.Severity = t.Severity
	moved.Rollback, moved.ManualIntervention = nil, nil
	return &variant{of: r, tier: t.Severity, threshold: value, condition: t.String(), firing: map[string]struct{}{}}, &moved, nil
}

// move puts a bound elsewhere, and `clear` by as much.
func move(t *rule.Threshold, to float64) error {
	switch t.Op {
	case rule.Above, rule.AtLeast:
		t.ClearHigh += to - t.High
		t.High = to
	case rule.Below, rule.AtMost:
		t.ClearLow += to - t.Low
		t.Low = to
	case rule.Always:
		return fmt.Errorf("the expression decides itself, there is no threshold to move: write the signal alone into expr, and thresholds under tiers")
	default:
		return fmt.Errorf("a band has two bounds: one number cannot say where to move them")
	}
	return nil
}

// follow counts the episodes of a variant.
func (v *variant) follow(a *alert.Alert) {
	switch a.State {
	case alert.Firing:
		if _, open := v.firing[a.ID]; !open {
			v.firing[a.ID] = struct{}{}
			v.episodes++
		}
	case alert.Inactive:
		delete(v.firing, a.ID)
	}
}

// Threshold is one line of the what-if table: how many episodes there would have been.
type Threshold struct {
	Condition string `json:"condition"`
	Episodes  int64  `json:"episodes"`
	// Current marks the threshold that the rule has, Replayed one that was run and not inferred from firing levels.
	Current  bool `json:"current,omitempty"`
	Replayed bool `json:"replayed,omitempty"`
	// AtLeast says that some firing levels are bounds, so that there may have been more.
	AtLeast bool `json:"at_least,omitempty"`
}

// curve holds the firing levels of one tier of one rule.
type curve struct {
	tier   rule.Tier
	levels counts // in the order of strictness: see strictness
	bounds int64
}

// strictness maps thresholds so that stricter ones are greater: for a band it is by what part of its width it is widened.
func strictness(t *rule.Threshold, v float64) float64 {
	switch t.Op {
	case rule.Above, rule.AtLeast:
		return v
	case rule.Below, rule.AtMost:
		return -v
	default:
		return max(t.Low-v, v-t.High) / (t.High - t.Low)
	}
}

// shares are the parts of all episodes that the stricter thresholds of the table do away with, about.
var shares = []float64{0.1, 0.25, 0.5, 0.75, 0.9}

func (c *curve) add(l alert.FiringLevel) {
	c.levels.add(strictness(&c.tier.Threshold, l.Value))
	if l.Bound {
		c.bounds++
	}
}

// table lists the threshold in force and stricter ones, with the episodes of this tier that would have remained.
func (c *curve) table() []Threshold {
	t := c.tier.Threshold
	lines := []Threshold{{Condition: t.String(), Episodes: c.levels.n, Current: true}}
	orEqual := t.Op == rule.AtLeast || t.Op == rule.AtMost
	for _, share := range shares {
		b, ok := c.levels.at(share)
		if !ok {
			break
		}
		at := b.high
		if orEqual {
			at = b.low
		}
		line := Threshold{Condition: stricter(t, at), Episodes: c.levels.above(at, orEqual), AtLeast: c.bounds > 0}
		if last := lines[len(lines)-1]; line.Condition != last.Condition && line.Episodes < last.Episodes {
			lines = append(lines, line)
		}
	}
	return lines
}

// stricter writes the condition with its bound moved.
func stricter(t rule.Threshold, at float64) string {
	switch t.Op {
	case rule.Above, rule.AtLeast:
		t.High = at
	case rule.Below, rule.AtMost:
		t.Low = -at
	default:
		by := at * (t.High - t.Low)
		t.Low, t.High = t.Low-by, t.High+by
	}
	return t.String()
}
