package escalate

import (
	"fmt"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Silence is a compiled ledger.Silence.
type Silence struct {
	matchers         labels.Matchers
	startsAt, endsAt time.Time
}

// CompileSilence makes a silence ready for decisions.
func CompileSilence(s *ledger.Silence) (Silence, error) {
	compiled := Silence{startsAt: s.StartsAt, endsAt: s.EndsAt}
	for _, m := range s.Matchers {
		kind := map[[2]bool]labels.MatchType{
			{true, false}: labels.MatchEqual, {false, false}: labels.MatchNotEqual,
			{true, true}: labels.MatchRegexp, {false, true}: labels.MatchNotRegexp,
		}[[2]bool{m.IsEqual, m.IsRegex}]
		one, err := labels.NewMatcher(kind, m.Name, m.Value)
		if err != nil {
			return Silence{}, fmt.Errorf("silence %s: matcher %s: %w", s.ID, m, err)
		}
		compiled.matchers = append(compiled.matchers, one)
	}
	return compiled, nil
}

// Matches reports whether a silence is about an episode, whether it holds now or not.
func (s Silence) Matches(e *ledger.Episode) bool {
	return len(s.matchers) > 0 && matches(s.matchers, e)
}

func matches(all labels.Matchers, e *ledger.Episode) bool {
	for _, m := range all {
		if !m.Matches(pageLabel(e, m.Name)) {
			return false
		}
	}
	return true
}

// silencedUntil is when the last silence ends that holds an episode now, and when the next one begins that will; zero where
// there is none.
func silencedUntil(e *ledger.Episode, silences []Silence, now time.Time) (until, begins time.Time) {
	for _, s := range silences {
		switch {
		case !now.Before(s.endsAt) || !s.Matches(e):
		case now.Before(s.startsAt):
			if begins.IsZero() || s.startsAt.Before(begins) {
				begins = s.startsAt
			}
		case s.endsAt.After(until):
			until = s.endsAt
		}
	}
	return until, begins
}

// InhibitRule keeps alerts that match Target from being paged while one that matches Source fires and has the same Equal
// labels.
type InhibitRule struct {
	Source, Target labels.Matchers
	Equal          []string
}

// Inhibits reports whether an open episode could inhibit any other.
func (p *Policy) Inhibits(e *ledger.Episode) bool {
	for _, r := range p.inhibit {
		if matches(r.Source, e) {
			return true
		}
	}
	return false
}

// Inhibited returns the first of some open episodes that inhibits another; nil where none does. As in Alertmanager, of
// two that match both sides of a rule neither inhibits the other by it, and none inhibits itself.
func (p *Policy) Inhibited(e *ledger.Episode, by []*ledger.Episode) *ledger.Episode {
	for _, r := range p.inhibit {
		if !matches(r.Target, e) {
			continue
		}
		both := matches(r.Source, e)
		for _, source := range by {
			if source.ID != e.ID && matches(r.Source, source) && (!both || !matches(r.Target, source)) && equal(r.Equal, e, source) {
				return source
			}
		}
	}
	return nil
}

func equal(names []string, a, b *ledger.Episode) bool {
	for _, name := range names {
		if pageLabel(a, name) != pageLabel(b, name) {
			return false
		}
	}
	return true
}
