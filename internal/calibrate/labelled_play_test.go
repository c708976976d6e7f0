package calibrate_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// study is how the loop is run: what a suggestion needs, and what people answer.
type study struct {
	limits calibrate.Limits
	// answer is what people make of the n-th page of a series, of which they know whether an incident was met.
	answer func(s *series, n int, met bool) ledger.Verdict
}

// window is that of the receiver: what is older is not looked at.
const window = 30 * 24 * time.Hour

// honest is somebody who judges every page, and is right.
func honest(_ *series, _ int, met bool) ledger.Verdict {
	if met {
		return ledger.TruePositive
	}
	return ledger.FalsePositive
}

// page is one episode that somebody was told of.
type page struct {
	start, end time.Time
	peak       float64
	incident   int // -1: none
}

// played is a run of a rule over a series.
type played struct {
	pages []page
	// caught says of each incident that a page met when the first one did: never before it began.
	caught map[int]time.Time
	// moves are the suggestions that were taken, in order.
	moves []calibrate.Move
	// reached is the value farthest out of the pages of each incident that was verified; forgotten are incidents whose pages had left the
	// window, and lost those that had not, when a suggestion put the threshold past it. None must be lost.
	reached         map[int]float64
	verified        map[int]time.Time
	lost, forgotten map[int]bool
	// first is what was concluded when the first suggestion stood.
	first *calibrate.Assessment
}

// run is one under way.
type run struct {
	*series
	*testing.T
	study     *study // nil: the threshold stays
	threshold float64
	evidence  calibrate.Evidence
	open      *ledger.Sample
	explored  *ledger.Explored
	reported  map[int]bool
	played
}

// play runs a rule over a series from the end of the first tenth. With a study the threshold follows the suggestions.
func (s *series) play(t *testing.T, threshold float64, how *study) played {
	r := run{series: s, T: t, study: how, threshold: threshold, reported: map[int]bool{}, played: played{
		caught: map[int]time.Time{}, reached: map[int]float64{}, verified: map[int]time.Time{}, lost: map[int]bool{}, forgotten: map[int]bool{},
	}}
	begun := s.at[s.begin()].Add(-time.Minute)
	e := evaluate.New(r.rule(), evaluate.Options{
		HoldFor: s.hold(), MaxAge: time.Hour, MaxFuture: time.Hour, Series: 100, SeriesPerRule: 10, ResendInterval: time.Hour,
	}, begun)
	require.NoError(t, e.Restore(nil, nil, true, time.Time{}, begun))
	for i := s.begin(); i < len(s.value); i++ {
		now := s.at[i]
		e.Tick(now)
		e.Judge(point(s.value[i], now), now)
		judged := false
		for _, m := range e.Take().Emissions {
			if m.Silent {
				r.explore(&m.Alert, now)
			} else {
				judged = r.tell(&m.Alert, now) || judged
			}
		}
		if how == nil {
			continue
		}
		if judged = r.report(now) || judged; judged && r.suggested(now) {
			e.Reload(r.rule(), now)
		}
	}
	if r.open != nil {
		r.end(s.at[len(s.at)-1])
	}
	return r.played
}

// tell takes what the exporter would be told of an alert; it reports whether a page has ended, and was answered.
func (r *run) tell(a *alert.Alert, now time.Time) bool {
	switch {
	case a.State == alert.Firing && r.open == nil:
		r.open = &ledger.Sample{
			ID: now.Format(time.RFC3339), Rule: "High", Highest: alert.High, OpenedAt: now, NotifiedAt: now, Outcome: ledger.OutcomeNotified, Levels: ledger.LevelsOf(a),
		}
	case r.open != nil:
		r.open.Levels = r.open.Levels.Merge(ledger.LevelsOf(a))
		if a.State == alert.Inactive {
			r.end(now)
			return true
		}
	}
	return false
}

func (r *run) explore(a *alert.Alert, now time.Time) {
	switch {
	case a.State == alert.Firing && r.explored == nil:
		r.explored = &ledger.Explored{ID: now.Format(time.RFC3339), Rule: "High", Highest: alert.High, OpenedAt: now, Levels: ledger.LevelsOf(a)}
		r.evidence.Explored = append(r.evidence.Explored, r.explored)
	case r.explored != nil:
		r.explored.Levels = r.explored.Levels.Merge(ledger.LevelsOf(a))
		if a.State == alert.Inactive {
			r.explored.EndedAt, r.explored = now, nil
		}
	}
}

// end ends the open page, has it answered, and notes which incidents it met.
func (r *run) end(now time.Time) {
	s := r.open
	r.open, s.EndedAt = nil, now
	p := page{start: s.OpenedAt, end: now, peak: r.peak(s.OpenedAt, now), incident: r.met(s.OpenedAt, now)}
	if r.study != nil {
		if s.Verdict = r.study.answer(r.series, len(r.pages), p.incident >= 0); s.Verdict != "" {
			s.VerdictBy = "labels"
		}
		r.evidence.Samples = append(r.evidence.Samples, s)
	}
	r.pages = append(r.pages, p)
	for j, i := range r.incidents {
		if p.start.After(i.end) || p.end.Before(i.start) {
			continue
		}
		if _, ok := r.caught[j]; !ok {
			r.caught[j] = latest(p.start, i.start)
		}
		if s.Verdict == ledger.TruePositive {
			r.verified[j] = s.OpenedAt
			if far, ok := r.reached[j]; !ok || r.side()*p.peak > r.side()*far {
				r.reached[j] = p.peak
			}
		}
	}
}

// report tells of incidents that are over and were not caught: each began, as far as anybody could see, when it was worst.
func (r *run) report(now time.Time) (any bool) {
	for j, i := range r.incidents {
		if _, ok := r.caught[j]; ok || r.reported[j] || !i.end.Before(now) || r.open != nil || r.explored != nil || i.end.Before(r.at[r.begin()]) {
			continue
		}
		r.reported[j], any = true, true
		r.evidence.Misses = append(r.evidence.Misses, &ledger.Miss{ID: fmt.Sprint(j), Rule: "High", At: r.worst(i), By: "labels"})
	}
	return any
}

// suggested takes the suggestion, if one stands.
func (r *run) suggested(now time.Time) bool {
	e, since := r.evidence, now.Add(-window)
	e.Samples = slices.Clone(e.Samples)
	e.Samples = slices.DeleteFunc(e.Samples, func(s *ledger.Sample) bool { return s.OpenedAt.Before(since) })
	e.Explored = slices.DeleteFunc(slices.Clone(e.Explored), func(x *ledger.Explored) bool { return x.OpenedAt.Before(since) })
	e.Misses = slices.DeleteFunc(slices.Clone(e.Misses), func(m *ledger.Miss) bool { return m.At.Before(since) })
	assessed := calibrate.Assess(e, r.study.limits)
	if len(assessed) == 0 {
		return false
	}
	a := assessed[0]
	require.Equal(r, r.threshold, a.Current)
	if a.Reason != calibrate.Stands {
		return false
	}
	if len(r.moves) == 0 {
		r.first = a
	}
	r.moves = append(r.moves, calibrate.Move{At: now, From: r.threshold, To: a.Threshold})
	r.evidence.Changes = append(r.evidence.Changes, &ledger.Change{Rule: "High", Tier: alert.High, From: r.threshold, To: a.Threshold, At: now})
	r.threshold = a.Threshold
	for j, far := range r.reached { // by the values themselves: what a suggestion says of itself proves nothing
		if r.side()*far > r.side()*r.threshold {
			continue
		}
		if r.verified[j].Before(since) {
			r.forgotten[j] = true
		} else {
			r.lost[j] = true
		}
	}
	return true
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// rule is the one that runs on the series.
func (r *run) rule() *rule.Set {
	condition := "above"
	if r.below {
		condition = "below"
	}
	groups, err := rule.LoadFile("r.yaml", fmt.Appendf(nil,
		"groups: [{name: g, rules: [{alert: High, metric: value, explore: 20%%, keep_firing_for: %s, tiers: {high: {%s: %v}}, owner: o}]}]", r.keep, condition, r.threshold),
		rule.Defaults{HoldFor: r.hold()})
	require.NoError(r, err)
	set, err := rule.Combine(groups)
	require.NoError(r, err)
	return set
}

func point(v float64, at time.Time) pmetric.Metrics {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("value")
	p := m.SetEmptyGauge().DataPoints().AppendEmpty()
	p.SetDoubleValue(v)
	p.SetTimestamp(pcommon.NewTimestampFromTime(at))
	return md
}
