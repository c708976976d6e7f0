package evaluate

import (
	"time"

	"github.com/prometheus/common/model"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// reaches says how far back rules look, through recording rules too: what was recorded from a part of the past is no more
// than a part itself.
type reaches map[string]time.Duration // of recording rules, by the name that they write

// reachesOf looks through a set of rules until nothing changes: recording rules may stand in any order and files, and may
// read themselves, so that it ends after as many rounds as there are names.
func reachesOf(set *rule.Set) reaches {
	all := reaches{}
	for _, g := range set.Groups {
		for _, r := range g.Rules {
			if r.Record != "" {
				all[r.Record] = 0
			}
		}
	}
	for range len(all) {
		changed := false
		for _, g := range set.Groups {
			for _, r := range g.Rules {
				if r.Record == "" {
					continue
				}
				if far, _ := all.of(r, g.QueryOffset); far > all[r.Record] {
					all[r.Record], changed = far, true
				}
			}
		}
		if !changed {
			break
		}
	}
	return all
}

// of is how far back a rule looks, and whether it reads what others record.
func (all reaches) of(r *rule.Rule, queryOffset time.Duration) (far time.Duration, recorded bool) {
	for i := range r.Query.Selectors {
		s := &r.Query.Selectors[i]
		before, ok := all.behind(s, r.Record)
		far, recorded = max(far, s.Before+before), recorded || ok
	}
	return far + queryOffset, recorded
}

// behind is how far what a selector may select looks back itself. A rule that reads what it has written is not asked again.
func (all reaches) behind(s *rule.Selector, own string) (far time.Duration, recorded bool) {
	if name := s.Name(); name != "" {
		far, recorded = all[name]
		if name == own {
			far = 0
		}
		return far, recorded
	}
	for _, m := range s.Matchers {
		if m.Name != model.MetricNameLabel {
			continue
		}
		for name, reach := range all {
			if name != own && m.Matches(name) {
				far, recorded = max(far, reach), true
			}
		}
	}
	return far, recorded
}
