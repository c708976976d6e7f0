// Package quality says how good each rule's alerts are, from what the ledger holds: counts over a window, what other thresholds
// would have made of it, and a suggestion. It keeps the conclusions, and draws them anew where something has happened.
package quality

import (
	"slices"
	"sync"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const (
	// settles is how long conclusions hold although alerts come and go; a verdict counts at once.
	settles = 5 * time.Minute
	// holds is how long they hold at most: the window moves.
	holds = time.Hour
	// eventsPerRead is how many events are read at a time.
	eventsPerRead = 5000
)

// Assessor keeps what has been concluded about each rule. It is safe for concurrent use.
type Assessor struct {
	// Window is the time up to now from which episodes count, Limits say when a suggestion stands.
	Window time.Duration
	Limits calibrate.Limits

	mu       sync.Mutex
	begun    bool
	position int64
	rules    map[string]*entry
}

type entry struct {
	at time.Time // when it was concluded
	// touched says that something has happened since, judged that somebody has answered.
	touched, judged bool
	thresholds      []*calibrate.Assessment // without their alarms
}

// Rule is one rule, looked at closely.
type Rule struct {
	Name string
	// Samples are the episodes of the window, oldest first.
	Samples    []*ledger.Sample
	Thresholds []*calibrate.Assessment
	Misses     []*ledger.Miss
}

// mostExplored bounds how many episodes of a rule's silent track are looked at: the newest.
const mostExplored = 20_000

// Look reads a rule's episodes and concludes anew.
func (a *Assessor) Look(tx ledger.Tx, rule string) (*Rule, error) {
	since := tx.Now().Add(-a.Window)
	r := &Rule{Name: rule}
	var err error
	if r.Samples, err = tx.Samples(rule, since); err != nil {
		return nil, err
	}
	if r.Misses, err = tx.Misses(rule, since); err != nil {
		return nil, err
	}
	e := calibrate.Evidence{Samples: r.Samples, Misses: r.Misses}
	if e.Explored, err = tx.Explored(rule, since, mostExplored); err != nil {
		return nil, err
	}
	if e.Changes, err = tx.Changes(rule, since); err != nil {
		return nil, err
	}
	r.Thresholds = calibrate.Assess(e, a.Limits)
	return r, nil
}

// Thresholds returns what is concluded about a rule, without the alarms.
func (a *Assessor) Thresholds(tx ledger.Tx, rule string) ([]*calibrate.Assessment, error) {
	if err := a.catchUp(tx); err != nil {
		return nil, err
	}
	a.mu.Lock()
	known := a.rules[rule]
	a.mu.Unlock()
	if known != nil && known.good(tx.Now()) {
		return known.thresholds, nil
	}
	next := &entry{at: tx.Now()}
	a.mu.Lock() // what happens from here on touches the new conclusions
	a.rules[rule] = next
	a.mu.Unlock()
	r, err := a.Look(tx, rule)
	if err != nil {
		a.mu.Lock()
		delete(a.rules, rule)
		a.mu.Unlock()
		return nil, err
	}
	concluded := make([]*calibrate.Assessment, 0, len(r.Thresholds))
	for _, t := range r.Thresholds {
		light := *t
		light.Alarms = nil
		concluded = append(concluded, &light)
	}
	a.mu.Lock()
	next.thresholds = concluded
	a.mu.Unlock()
	return concluded, nil
}

func (e *entry) good(now time.Time) bool {
	age := now.Sub(e.at)
	switch {
	case age < 0, age >= holds, e.judged:
		return false
	case e.touched:
		return age < settles
	}
	return true
}

// catchUp notes what has happened since it last did.
func (a *Assessor) catchUp(tx ledger.Tx) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.begun {
		last, err := tx.LastEvent()
		if err != nil {
			return err
		}
		a.begun, a.position, a.rules = true, last, map[string]*entry{}
		return nil
	}
	for {
		events, err := tx.EventsAfter(a.position, eventsPerRead)
		if err != nil {
			return err
		}
		for _, e := range events {
			known := a.rules[e.Rule]
			if known == nil {
				continue
			}
			known.touched = true
			switch e.Name {
			case alert.EventVerdict, alert.EventAcknowledged, alert.EventThreshold:
				known.judged = true
			}
		}
		if len(events) > 0 {
			a.position = events[len(events)-1].Seq
		}
		if len(events) < eventsPerRead {
			return nil
		}
	}
}

// Forget has a rule looked at again: what has happened to it is no event.
func (a *Assessor) Forget(rule string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.rules, rule)
}

// Summary is how a rule has done in the window, all owners and tiers together.
type Summary struct {
	Rule          string
	Owners        []string
	SourceMetrics []string
	ledger.Tally
}

// Summaries add up tallies by rule, in the rules' order.
func Summaries(tallies []ledger.Tally) []*Summary {
	var all []*Summary
	byRule := map[string]*Summary{}
	for i := range tallies {
		t := &tallies[i]
		s := byRule[t.Rule]
		if s == nil {
			s = &Summary{Rule: t.Rule, Tally: ledger.Tally{Rule: t.Rule, Verdicts: map[ledger.Verdict]int64{}}}
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
	s.Severity = max(s.Severity, t.Severity)
	s.Episodes += t.Episodes
	s.Open += t.Open
	s.Notified += t.Notified
	s.NotifiedJudged += t.NotifiedJudged
	for v, n := range t.Verdicts {
		s.Verdicts[v] += n
	}
	if s.OldestOpen.IsZero() || !t.OldestOpen.IsZero() && t.OldestOpen.Before(s.OldestOpen) {
		s.OldestOpen = t.OldestOpen
	}
}
