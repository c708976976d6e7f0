package web

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/chart"
	"github.com/otelcol-escalation/otelcol-escalation/internal/quality"
)

// tuning is one threshold of a rule as the page shows it.
type tuning struct {
	*quality.Threshold
	rule   string
	window time.Duration
	// other is the threshold on the other side of a band; nil where there is none.
	other *quality.Threshold
}

// tunings are the thresholds of a rule.
func tunings(r *quality.Rule, window time.Duration) []tuning {
	var all []tuning
	for _, t := range r.Thresholds {
		one := tuning{Threshold: t, rule: r.Summary.Rule, window: window}
		for _, other := range r.Thresholds {
			if other.Tier == t.Tier && other.Side != t.Side {
				one.other = other
			}
		}
		all = append(all, one)
	}
	return all
}

// Name is what the threshold is called beside others: its tier, or a bound of it.
func (t tuning) Name() string {
	if bound := t.Bound(); bound != "" {
		return t.Tier.String() + ", " + bound + " bound"
	}
	return t.Tier.String()
}

// ID names the threshold's part of the page.
func (t tuning) ID() string {
	if bound := t.Bound(); bound != "" {
		return t.Tier.String() + "-" + bound
	}
	return t.Tier.String()
}

// Bad says on which side values are bad.
func (t tuning) Bad() string {
	if t.Side == calibrate.Below {
		return "below"
	}
	return "above"
}

// Stands reports whether there is a suggestion.
func (t tuning) Stands() bool { return t.Reason == calibrate.Stands }

// InForce and Suggested are the two thresholds, as rule files have them.
func (t tuning) InForce() string   { return exact(t.Current, t.Unit) }
func (t tuning) Suggested() string { return exact(t.Suggestion.Threshold, t.Unit) }

// Says is the suggestion in a sentence, or why there is none.
func (t tuning) Says() string { return t.Sentence(t.window) }

// out is how far out a value lies: greater is stricter.
func (t tuning) out(v float64) float64 { return float64(t.Side) * v }

// at is what a threshold would have made of the episodes; ok is false for one that is laxer than all that is known of.
func (t tuning) at(threshold float64) (c calibrate.Counts, ok bool) {
	i, found := slices.BinarySearchFunc(t.Curve, threshold, func(p calibrate.Point, v float64) int { return cmp.Compare(t.out(p.Threshold), t.out(v)) })
	if !found {
		i--
	}
	if i < 0 {
		return c, false
	}
	return t.Curve[i].Counts, true
}

// few is the part of the pages that the end of the drawing leaves out: one wild value must not press all others together.
const few = 0.02

// ends are the thresholds between which the curve is drawn.
func (t tuning) ends() (low, high float64) {
	laxest, strictest := t.out(t.Current), t.out(t.Current)
	see := func(v float64) {
		if v = t.out(v); !math.IsNaN(v) && !math.IsInf(v, 0) {
			laxest, strictest = min(laxest, v), max(strictest, v)
		}
	}
	if t.Stands() {
		see(t.Suggestion.Threshold)
	}
	for i, p := range t.Curve {
		see(p.Threshold)
		if rest := float64(p.Episodes); i > 0 && rest <= max(1, few*float64(t.Curve[0].Episodes)) {
			break
		}
	}
	room := (strictest - laxest) * 0.04
	low, high = chart.Domain(min(t.out(laxest-room), t.out(strictest+room)), max(t.out(laxest-room), t.out(strictest+room)), false)
	return low, high
}

// step is a part of the curve on which counts hold.
type step struct {
	from, to float64 // from is less than to
	calibrate.Counts
}

// steps are the curve from low to high, in the order of numbers.
func (t tuning) steps(low, high float64) (all []step) {
	for i, p := range t.Curve {
		end := t.out(math.Inf(1))
		if i+1 < len(t.Curve) {
			end = t.Curve[i+1].Threshold
		}
		s := step{from: max(min(p.Threshold, end), low), to: min(max(p.Threshold, end), high), Counts: p.Counts}
		if s.from < s.to {
			all = append(all, s)
		}
	}
	if t.Side == calibrate.Below {
		slices.Reverse(all)
	}
	return all
}

// Chart is how many pages each threshold would have let through, and how many incidents.
func (t tuning) Chart() drawing {
	low, high := t.ends()
	steps := t.steps(low, high)
	return draw(func(width float64) *chart.Chart {
		pages := chart.Line{Class: "pages", Label: "pages", Step: true}
		incidents := chart.Line{Class: "real", Label: "incidents kept", Step: true}
		for i, s := range steps {
			pages.Points = append(pages.Points, chart.Point{X: s.from, Y: float64(s.Episodes)})
			incidents.Points = append(incidents.Points, chart.Point{X: s.from, Y: float64(s.Incidents)})
			if i == len(steps)-1 {
				pages.Points = append(pages.Points, chart.Point{X: s.to, Y: float64(s.Episodes)})
				incidents.Points = append(incidents.Points, chart.Point{X: s.to, Y: float64(s.Incidents)})
			}
		}
		label := "threshold"
		if unit := unitName(t.Unit); unit != "" {
			label += ", " + unit
		}
		c := &chart.Chart{
			Name: "What other thresholds of " + t.Name() + " would have made of the pages", Description: t.Says(), Width: width, Height: 250,
			X: chart.Axis{From: low, To: high, Label: label}, Y: chart.Axis{Zero: true, Whole: true},
			Lines: []chart.Line{pages, incidents}, Spans: t.hovers(steps, low, high, int(width/8)),
			Markers: []chart.Marker{{Class: "now", At: t.Current, Label: "in force " + exact(t.Current, "")}},
		}
		if t.Stands() {
			c.Markers = append(c.Markers, chart.Marker{Class: "better", At: t.Suggestion.Threshold, Label: "suggested " + exact(t.Suggestion.Threshold, "")})
		}
		return c
	})
}

// hovers say the numbers where the pointer is: at most so many places.
func (t tuning) hovers(steps []step, low, high float64, most int) (all []chart.Span) {
	least := (high - low) / float64(most)
	for _, s := range steps {
		title := t.Bad() + " " + t.near(s) + ": " + countsInWords(s.Counts)
		if n := len(all); n > 0 && s.to-all[n-1].From < least { // too narrow to be met
			all[n-1].To = s.to
			continue
		}
		all = append(all, chart.Span{Class: "hover", From: s.from, To: s.to, Title: title})
	}
	return all
}

// near is the laxer end of a step. The number next to one is that one to a reader.
func (t tuning) near(s step) string {
	v := s.from
	if t.Side == calibrate.Below {
		v = s.to
	}
	if short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 12, 64), 64); err == nil {
		v = short
	}
	return exact(v, t.Unit)
}

func countsInWords(c calibrate.Counts) string {
	text := many(c.Episodes, "page") + ", " + many(c.Incidents, "incident") + " kept"
	if c.Uncertain > 0 {
		text += fmt.Sprintf("; %d more may have fired", c.Uncertain)
	}
	return text
}

// whatIf is a row of the table of thresholds.
type whatIf struct {
	Threshold, Mark string
	calibrate.Counts
}

// rowsOfTable is about how many round thresholds the table has.
const rowsOfTable = 8

// Table are the numbers of some thresholds, the laxest first: round ones, that in force, and the suggested one.
func (t tuning) Table() (rows []whatIf) {
	low, high := t.ends()
	thresholds, _ := chart.Ticks(low, high, rowsOfTable)
	thresholds = append(thresholds, t.Current)
	if t.Stands() {
		thresholds = append(thresholds, t.Suggestion.Threshold)
	}
	slices.SortFunc(thresholds, func(a, b float64) int { return cmp.Compare(t.out(a), t.out(b)) })
	for _, v := range slices.Compact(thresholds) {
		row := whatIf{Threshold: exact(v, "")}
		switch c, ok := t.at(v); {
		case v == t.Current:
			row.Mark, row.Counts = "in force", t.Before
		case t.Stands() && v == t.Suggestion.Threshold:
			row.Mark, row.Counts = "suggested", t.After
		case ok:
			row.Counts = c
		default:
			continue
		}
		rows = append(rows, row)
	}
	return rows
}

// Uncertain is how many episodes may have fired at stricter thresholds, too, of which it is not known.
func (t tuning) Uncertain() int {
	if len(t.Curve) == 0 {
		return 0
	}
	return t.Curve[len(t.Curve)-1].Uncertain
}

// Gone and Stay are the pages that the suggestion would do away with, and those that it would leave.
func (t tuning) Gone() calibrate.Counts {
	b, a := t.Before, t.After
	return calibrate.Counts{
		Episodes: b.Episodes - a.Episodes, Verified: b.Verified - a.Verified, False: b.False - a.False, Other: b.Other - a.Other,
		Unjudged: b.Unjudged - a.Unjudged, Incidents: b.Incidents - a.Incidents,
	}
}

// Fewer reports whether the suggestion lets less through: it may be a step on the way, or laxer.
func (t tuning) Fewer() bool { return t.After.Episodes < t.Before.Episodes }

// Caught says how many of the incidents that people know of were caught; "" where nobody has reported a miss.
func (t tuning) CaughtOf() string {
	p, ok := t.Recall()
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s of the known incidents were caught (%d of %d, 95\u00a0%% interval %s)", percent(p.Ratio), t.Caught, p.N, bounds(p))
}
