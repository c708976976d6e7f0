package calibrationreceiver

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// series is what calibration metrics tell apart: one rule, tier, owner and source metric. These names come over the network,
// and so their number is bounded: what is too much is told together, as rest.
type series struct {
	rule, owner, source string
	severity            alert.Severity
	of                  extent
}

// extent is what a series is of.
type extent int8

const (
	ofSeries extent = iota // one rule, tier, owner and source metric
	ofRule                 // a rule of which nothing but the name is known
	ofOwner                // an owner as a whole
	ofRest                 // all that is not told apart
)

func seriesOf(k ledger.CounterKey) series {
	return series{rule: k.Rule, owner: k.Owner, source: k.SourceMetric, severity: k.Severity}
}

func tallySeries(t *ledger.Tally) series {
	return series{rule: t.Rule, owner: t.Owner, source: t.SourceMetric, severity: t.Severity}
}

func (s series) compare(o series) int {
	return cmp.Or(strings.Compare(s.rule, o.rule), cmp.Compare(s.severity, o.severity), strings.Compare(s.owner, o.owner), strings.Compare(s.source, o.source))
}

// standing is how much there is to tell of a series.
type standing struct {
	// recent is its tally of the window, nil where it has no episode there.
	recent *ledger.Tally
	// total counts all that it ever had.
	total int64
}

// judged counts the verdicts of the window.
func (s standing) judged() (n int64) {
	if s.recent != nil {
		for _, v := range s.recent.Verdicts {
			n += v
		}
	}
	return n
}

// idle reports whether nothing has happened within the window.
func (s standing) idle() bool { return s.recent == nil }

// candidate is a series with what it is ranked by.
type candidate struct {
	series
	judged, episodes, notified, total int64
	idle                              bool
}

func (s standing) candidate(k series) candidate {
	c := candidate{series: k, judged: s.judged(), episodes: -1, total: s.total, idle: s.idle()}
	if s.recent != nil {
		c.episodes, c.notified = s.recent.Episodes, s.recent.Notified
	}
	return c
}

// before says which of two is told apart where there is room for one: the one that people have judged, then the one with more
// episodes in the window, with more pages, with more that it ever had.
func before(x, y candidate) int {
	return cmp.Or(cmp.Compare(y.judged, x.judged), cmp.Compare(y.episodes, x.episodes), cmp.Compare(y.notified, x.notified),
		cmp.Compare(y.total, x.total), x.compare(y.series))
}

// admission chooses which series are told apart. A choice holds as long as it can: what is told apart stays so while it has episodes
// within the window, and beyond that until its place is wanted.
type admission struct {
	limit int
	kept  map[series]struct{}
	// since is when the choice was made that is in force, and base what the others had counted then: the rest's sums begin anew
	// with every choice, as OTLP wants it where what was counted in one place is counted in another.
	since time.Time
	base  *rest
}

// choose returns how many series are not told apart, and whether that changed which.
func (a *admission) choose(known map[series]standing) (over int, changed bool) {
	kept := a.kept
	a.kept = map[series]struct{}{}
	for s := range kept {
		if _, ok := known[s]; ok {
			a.kept[s] = struct{}{}
		}
	}
	waiting := make([]candidate, 0, len(known)-len(a.kept))
	for k, s := range known {
		if _, ok := a.kept[k]; !ok {
			waiting = append(waiting, s.candidate(k))
		}
	}
	if len(a.kept)+len(waiting) <= a.limit {
		changed = a.base != nil // what was told together is told apart again
		for _, c := range waiting {
			a.kept[c.series] = struct{}{}
		}
		return 0, changed
	}
	free := max(0, a.limit-len(a.kept))
	var idle []candidate // whose places may be had, the least first
	for k := range a.kept {
		if s := known[k]; s.idle() {
			idle = append(idle, s.candidate(k))
		}
	}
	changed = a.base == nil
	if free == 0 && len(idle) == 0 { // as it is, collection after collection
		return len(known) - len(a.kept), changed
	}
	slices.SortFunc(idle, func(x, y candidate) int { return before(y, x) })
	slices.SortFunc(waiting, before)
	for i, c := range waiting {
		if i >= free {
			if i-free == len(idle) || c.idle {
				break
			}
			delete(a.kept, idle[i-free].series)
		}
		a.kept[c.series] = struct{}{}
		changed = true // out of the rest
	}
	return len(known) - len(a.kept), changed
}

// bound has a snapshot tell apart what was chosen, and the rest together. It returns how many series that is.
func (a *admission) bound(s *snapshot) (over int) {
	known := s.known()
	over, changed := a.choose(known)
	if over == 0 {
		a.base, a.since = nil, time.Time{}
		return 0
	}
	r := s.separate(a.kept)
	if changed {
		a.since, a.base = s.now, r.sums()
	}
	r.less(a.base)
	s.rest, s.restSince = r, a.since
	return over
}

// known are the series of a snapshot.
func (s *snapshot) known() map[series]standing {
	known := map[series]standing{}
	add := func(k series, n int64) {
		one := known[k]
		one.total += n
		known[k] = one
	}
	for i := range s.counters {
		add(seriesOf(s.counters[i].CounterKey), max(s.counters[i].N, 0))
	}
	for i := range s.histograms {
		add(seriesOf(s.histograms[i].CounterKey), 0)
	}
	for i := range s.all {
		add(tallySeries(&s.all[i]), s.all[i].Episodes)
	}
	for i := range s.recent {
		k := tallySeries(&s.recent[i])
		one := known[k]
		one.recent = &s.recent[i]
		known[k] = one
	}
	return known
}
