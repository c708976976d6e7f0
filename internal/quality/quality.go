// Package quality says how good each rule's alerts are, from what the ledger holds: counts over a window, what other thresholds
// would have made of it, and a suggestion. It keeps the conclusions, and draws them anew where something has happened.
package quality

import (
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Rule is what is concluded about one rule. It is kept and shared: nobody may change it.
type Rule struct {
	*Summary
	// At is when it was concluded; zero where only the summary is known yet.
	At time.Time
	// Days are those of the window, the last one not over yet.
	Days       []Day
	Thresholds []*Threshold
	// Misses are what people say was missed, oldest first.
	Misses []*ledger.Miss
}

// Threshold is what is concluded about one threshold of a rule. The assessment has no alarms.
type Threshold struct {
	*calibrate.Assessment
	Curve   []calibrate.Point
	Effects []calibrate.Effect
}

const (
	// mostExplored bounds how many episodes of a rule's silent track are looked at, mostEffects how many changes of a threshold
	// are weighed: the newest.
	mostExplored = 20_000
	mostEffects  = 10
)

// conclude reads a rule's episodes and concludes.
func (a *Assessor) conclude(tx ledger.Tx, rule string) (*Rule, error) {
	now := tx.Now()
	since := now.Add(-a.Window)
	var e calibrate.Evidence
	var err error
	if e.Samples, err = tx.Samples(rule, since); err != nil {
		return nil, err
	}
	if e.Misses, err = tx.Misses(rule, since); err != nil {
		return nil, err
	}
	if e.Explored, err = tx.Explored(rule, since, mostExplored); err != nil {
		return nil, err
	}
	if e.Changes, err = tx.Changes(rule, since); err != nil {
		return nil, err
	}
	r := &Rule{Summary: newSummary(rule), At: now, Days: Days(e.Samples, now, a.days()), Misses: e.Misses}
	for _, s := range e.Samples {
		t := s.Tally()
		r.Summary.add(&t)
	}
	for _, t := range calibrate.Assess(e, a.Limits) {
		light := *t
		light.Alarms = nil
		r.Thresholds = append(r.Thresholds, &Threshold{
			Assessment: &light, Curve: calibrate.Curve(t.Side, t.Alarms), Effects: calibrate.Effects(t.Alarms, t.Moved, now, mostEffects),
		})
	}
	return r, nil
}

// days is how many whole days the window has.
func (a *Assessor) days() int { return max(int(a.Window/(24*time.Hour)), 1) }

// Summary is how a rule has done in the window, all owners and tiers together.
type Summary struct {
	Rule          string
	Owners        []string
	SourceMetrics []string
	ledger.Tally
}

func newSummary(rule string) *Summary {
	return &Summary{Rule: rule, Tally: ledger.Tally{Rule: rule, Verdicts: map[ledger.Verdict]int64{}}}
}

// Summaries add up tallies by rule, in the rules' order.
func Summaries(tallies []ledger.Tally) []*Summary {
	var all []*Summary
	byRule := map[string]*Summary{}
	for i := range tallies {
		t := &tallies[i]
		s := byRule[t.Rule]
		if s == nil {
			s = newSummary(t.Rule)
			byRule[t.Rule] = s
			all = append(all, s)
		}
		s.add(t)
	}
	return all
}

func (s *Summary) add(t *ledger.Tally) {
	if !slices.Contains(s.Owners, t.Owner) {
		s.Owners = append(s.Owners, t.Owner)
	}
	if t.SourceMetric != "" && !slices.Contains(s.SourceMetrics, t.SourceMetric) {
		s.SourceMetrics = append(s.SourceMetrics, t.SourceMetric)
	}
	s.Add(t)
}
