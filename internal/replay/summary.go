package replay

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// Summary is what remains of a replay beside its episodes. Nothing in it grows with the recording.
type Summary struct {
	// Start and End are the times of the first and the last point.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Points counts what was read, Late the points that came after others more than the window newer, Untimed those
	// without a time, Refused what could not be read and was passed over.
	Points  int64 `json:"points"`
	Batches int64 `json:"batches"`
	Late    int64 `json:"late_points"`
	Untimed int64 `json:"untimed_points"`
	Refused int64 `json:"refused"`

	Episodes int64         `json:"episodes"`
	Pages    []Pages       `json:"pages"`
	Rules    []RuleSummary `json:"rules"`
	// Incidents says how all rules together met the known incidents; nil where none are known.
	Incidents *Caught `json:"incidents,omitempty"`
	// Problems are what the rules' operator should know, at the end of the recording.
	Problems []Problem `json:"problems"`
	// Unjudged counts points that rules could not judge, by reason.
	Unjudged map[string]int64 `json:"unjudged_points,omitempty"`
	Plots    []string         `json:"plots,omitempty"`
}

// Problem is one of the evaluator's.
type Problem struct {
	Group  string `json:"group"`
	Rule   string `json:"rule"`
	Kind   string `json:"kind"`
	Detail string `json:"detail"`
}

// Pages counts how often an owner would have been called: an alert that fires, and one that rises to a higher tier.
type Pages struct {
	Owner  string         `json:"owner"`
	Tier   alert.Severity `json:"tier"`
	Pages  int64          `json:"pages"`
	PerDay float64        `json:"per_day"`
	// Most is the most on one day (UTC), which was Busiest.
	Most    int64  `json:"most_per_day"`
	Busiest string `json:"busiest_day"`
}

// RuleSummary is one rule's part.
type RuleSummary struct {
	Group    string `json:"group"`
	Rule     string `json:"rule"`
	Episodes int64  `json:"episodes"`
	// Open counts the episodes that had not ended with the recording.
	Open int64 `json:"open"`
	// Firing is the time that its alerts fired, added up over series, in seconds; Longest and Median are of episodes.
	Firing  float64   `json:"firing_seconds"`
	Longest float64   `json:"longest_seconds"`
	Median  float64   `json:"median_seconds"`
	Caught  *Caught   `json:"incidents,omitempty"`
	Tiers   []WhatIfs `json:"what_if"`
}

// WhatIfs is the what-if table of one tier.
type WhatIfs struct {
	Tier       alert.Severity `json:"tier"`
	Thresholds []Threshold    `json:"thresholds"`
}

type ruleKey struct{ group, rule string }

func keyOf(e *Episode) ruleKey { return ruleKey{e.Group, e.Rule} }

// tally adds up what the summary says.
type tally struct {
	rules map[ruleKey]*ruleTally
	order []ruleKey
	pages map[pagesKey]*dayTally
	known *matcher // nil: no incident is known
	n     int64
}

type pagesKey struct {
	owner string
	tier  alert.Severity
}

// dayTally counts by the day: pages come in order of time, so one day at a time is enough.
type dayTally struct {
	total, today, most int64
	day, busiest       int64 // days since 1970
}

type ruleTally struct {
	episodes, open  int64
	firing, longest float64
	durations       counts
	curves          []*curve
}

func newTally(set *rule.Set, known []Incident) *tally {
	t := &tally{rules: map[ruleKey]*ruleTally{}, pages: map[pagesKey]*dayTally{}}
	if known != nil {
		t.known = newMatcher(known)
	}
	for _, r := range set.Rules() {
		key := ruleKey{r.Group, r.Name}
		if r.Record != "" {
			continue
		}
		at := t.rules[key]
		if at == nil {
			at = &ruleTally{}
			t.rules[key] = at
			t.order = append(t.order, key)
		}
		for _, tier := range r.Tiers {
			if tier.Op != rule.Always && !slices.ContainsFunc(at.curves, func(c *curve) bool { return c.tier.Severity == tier.Severity }) {
				at.curves = append(at.curves, &curve{tier: tier})
			}
		}
	}
	return t
}

// maxOwners bounds the owners that are told apart: a template may make one of every label.
const maxOwners = 1000

// page counts a call.
func (t *tally) page(owner string, tier alert.Severity, at time.Time) {
	key := pagesKey{owner, tier}
	d := t.pages[key]
	if d == nil {
		if len(t.pages) >= maxOwners {
			key.owner = "(others)"
		}
		if d = t.pages[key]; d == nil {
			d = &dayTally{}
			t.pages[key] = d
		}
	}
	if day := at.Unix() / 86400; day != d.day {
		d.day, d.today = day, 0
	}
	d.total++
	if d.today++; d.today > d.most {
		d.most, d.busiest = d.today, d.day
	}
}

// ended adds an episode.
func (t *tally) ended(e *Episode) {
	t.n++
	if t.known != nil {
		met := t.known.match(e)
		e.Known = &met
	}
	r := t.rules[keyOf(e)]
	if r == nil {
		return
	}
	r.episodes++
	if e.Open {
		r.open++
	}
	r.firing += e.Duration
	r.longest = max(r.longest, e.Duration)
	r.durations.add(e.Duration)
	for _, c := range r.curves {
		if l, ok := e.Levels[c.tier.Severity]; ok {
			c.add(l)
		}
	}
}

// summary adds up; variants are the thresholds that were run beside the rules' own.
func (t *tally) summary(start, end time.Time, variants []*variant) Summary {
	s := Summary{Start: start, End: end, Episodes: t.n, Pages: []Pages{}, Rules: []RuleSummary{}, Problems: []Problem{}}
	days := max(end.Sub(start).Hours()/24, 1)
	for key, d := range t.pages {
		s.Pages = append(s.Pages, Pages{
			Owner: key.owner, Tier: key.tier, Pages: d.total, PerDay: float64(d.total) / days,
			Most: d.most, Busiest: time.Unix(d.busiest*86400, 0).UTC().Format(time.DateOnly),
		})
	}
	slices.SortFunc(s.Pages, func(a, b Pages) int {
		return cmp.Or(strings.Compare(a.Owner, b.Owner), cmp.Compare(b.Tier, a.Tier))
	})
	for _, key := range t.order {
		r := t.rules[key]
		out := RuleSummary{
			Group: key.group, Rule: key.rule, Episodes: r.episodes, Open: r.open,
			Firing: r.firing, Longest: r.longest, Tiers: []WhatIfs{},
		}
		if b, ok := r.durations.at(0.5); ok {
			out.Median = (b.low + b.high) / 2
		}
		if t.known != nil {
			out.Caught = t.known.of(key)
		}
		for _, c := range r.curves {
			w := WhatIfs{Tier: c.tier.Severity, Thresholds: c.table()}
			for _, v := range variants {
				if v.of.Group == key.group && v.of.Name == key.rule && v.tier == w.Tier {
					w.Thresholds = append(w.Thresholds, Threshold{Condition: v.condition, Episodes: v.episodes, Replayed: true})
				}
			}
			out.Tiers = append(out.Tiers, w)
		}
		s.Rules = append(s.Rules, out)
	}
	if t.known != nil {
		s.Incidents = t.known.any.result(len(t.known.incidents))
	}
	return s
}

// judged adds what the evaluator says of itself.
func (s *Summary) judged(e *evaluate.Evaluator, variants map[string]*variant, now time.Time) {
	for _, p := range e.Problems(now) {
		if variants[p.Rule] == nil {
			s.Problems = append(s.Problems, Problem{p.Group, p.Rule, string(p.Kind), p.Detail})
		}
	}
	stats := e.Statistics()
	s.Unjudged = map[string]int64{}
	for _, u := range stats.Unjudged {
		if variants[u.Rule] == nil {
			s.Unjudged[string(u.Reason)] += u.Count
		}
	}
	for reason, n := range stats.Untranslated {
		s.Unjudged[string(reason)] += n
	}
}
