package unittest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// gotAlert is one alert that there is, as it is compared.
type gotAlert struct {
	// labels are those that Prometheus' alert would have: the series' and the rule's, and alertname. tiered rules have
	// their tier as severity, which wins over a label of theirs.
	labels, annotations map[string]string
	tiered              bool

	tier    alert.Severity
	owner   string
	state   alert.State
	actions []alert.Action
}

// alerts are those of one name, pending or firing, in the order of their labels.
func (p *play) alerts(name string) []gotAlert {
	var all []gotAlert
	for _, a := range p.active {
		if a.Rule != name {
			continue
		}
		got := gotAlert{
			labels: maps.Clone(a.Labels), annotations: a.Annotations,
			tier: a.Severity, owner: a.Owner, state: a.State, actions: slices.Sorted(slices.Values(a.Actions)),
		}
		if got.labels == nil {
			got.labels = map[string]string{}
		}
		got.labels[labels.AlertName] = name
		if r := p.rules[ruleKey{a.Group, a.Rule}]; r != nil && (r.Query == nil || !r.Query.Plain) {
			got.tiered = true
			got.labels[alert.LabelSeverity] = a.Severity.String()
		}
		all = append(all, got)
	}
	slices.SortFunc(all, func(a, b gotAlert) int {
		return cmp.Or(
			labels.Compare(labels.FromMap(a.labels), labels.FromMap(b.labels)),
			labels.Compare(labels.FromMap(a.annotations), labels.FromMap(b.annotations)),
			cmp.Compare(a.state, b.state),
		)
	})
	return all
}

// compare says what is different from what is expected; nil where nothing is.
func (a *AlertTest) compare(active []gotAlert) *Failure {
	// promtool compares what fires. What is pending counts too where the test speaks of it.
	pending := slices.ContainsFunc(a.Expected, func(e ExpectedAlert) bool { return e.State == alert.Pending })
	got := slices.DeleteFunc(slices.Clone(active), func(g gotAlert) bool { return g.state != alert.Firing && !pending })

	pairs := pair(len(a.Expected), len(got), func(i, j int) bool {
		return len(a.Expected[i].differences(a.Alertname, &got[j])) == 0
	})
	missing, unexpected := unpaired(pairs, len(got))
	if len(missing) == 0 && len(unexpected) == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %s: expected %s, got %s", a.Alertname, formatDuration(a.At), number(len(a.Expected), "alert"), number(len(got), "alert"))
	if same := len(a.Expected) - len(missing); same > 0 {
		fmt.Fprintf(&b, ", of which %d as expected", same)
	}
	if waiting := len(active) - len(got); waiting > 0 {
		fmt.Fprintf(&b, " (%d more pending)", waiting)
	}
	for _, i := range missing {
		e := &a.Expected[i]
		j := e.nearest(a.Alertname, got, unexpected)
		if j < 0 {
			fmt.Fprintf(&b, "\n- missing:    %s", describe(e.allLabels(a.Alertname), e.Annotations, e.words()))
			continue
		}
		unexpected = slices.DeleteFunc(unexpected, func(other int) bool { return other == j })
		fmt.Fprintf(&b, "\n~ different:  %s", formatLabels(got[j].labels))
		for _, d := range e.differences(a.Alertname, &got[j]) {
			fmt.Fprintf(&b, "\n    %s\n      - expected %s\n      + got      %s", d.what, d.expected, d.got)
		}
	}
	for _, j := range unexpected {
		g := &got[j]
		fmt.Fprintf(&b, "\n+ unexpected: %s", describe(g.labels, g.annotations, g.words()))
	}
	return &Failure{Position: a.Position, Msg: b.String()}
}

// difference is one thing that is not as expected.
type difference struct{ what, expected, got string }

// differences are all between an expected alert and one that there is.
func (e *ExpectedAlert) differences(name string, g *gotAlert) []difference {
	var all []difference
	add := func(what, expected, got string) { all = append(all, difference{what, expected, got}) }
	want, have := e.allLabels(name), g.labels
	if _, asked := want[alert.LabelSeverity]; g.tiered && !asked {
		have = maps.Clone(have)
		delete(have, alert.LabelSeverity) // it is the tier, which exp_tier may ask for
	}
	for _, key := range differing(want, have) {
		add("exp_labels."+key, quoted(want, key), quoted(have, key))
	}
	for _, key := range differing(e.Annotations, g.annotations) {
		add("exp_annotations."+key, quoted(e.Annotations, key), quoted(g.annotations, key))
	}
	if e.Tier != alert.NoSeverity && e.Tier != g.tier {
		add("exp_tier", e.Tier.String(), g.tier.String())
	}
	if e.Owner != "" && e.Owner != g.owner {
		add("exp_owner", fmt.Sprintf("%q", e.Owner), fmt.Sprintf("%q", g.owner))
	}
	if e.HasActions && !slices.Equal(e.Actions, g.actions) {
		add("exp_action", fmt.Sprint(e.Actions), fmt.Sprint(g.actions))
	}
	if e.State != g.state {
		add("exp_state", e.State.String(), g.state.String())
	}
	return all
}

// allLabels are the expected labels with the one that promtool adds.
func (e *ExpectedAlert) allLabels(name string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, e.Labels)
	all[labels.AlertName] = name
	return all
}

// nearest is which of these alerts was probably meant: the one with the fewest differences, if it has something in
// common with the expected one beyond its name, or is the only one. -1: none.
func (e *ExpectedAlert) nearest(name string, got []gotAlert, of []int) int {
	best, fewest := -1, 0
	for _, j := range of {
		n := len(e.differences(name, &got[j]))
		wrong := len(differing(e.allLabels(name), got[j].labels))
		related := wrong < len(e.Labels) || len(of) == 1
		if related && (best < 0 || n < fewest) {
			best, fewest = j, n
		}
	}
	return best
}

// words are what is ours about an expected alert.
func (e *ExpectedAlert) words() []string {
	var words []string
	if e.Tier != alert.NoSeverity {
		words = append(words, "tier "+e.Tier.String())
	}
	if e.Owner != "" {
		words = append(words, fmt.Sprintf("owner %q", e.Owner))
	}
	if len(e.Actions) > 0 {
		words = append(words, fmt.Sprintf("actions %v", e.Actions))
	}
	if e.State == alert.Pending {
		words = append(words, e.State.String())
	}
	return words
}

func (g *gotAlert) words() []string {
	words := []string{g.state.String(), "tier " + g.tier.String(), fmt.Sprintf("owner %q", g.owner)}
	if len(g.actions) > 0 {
		words = append(words, fmt.Sprintf("actions %v", g.actions))
	}
	return words
}
