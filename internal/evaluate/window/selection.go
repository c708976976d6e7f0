package window

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// Selector is what a vector selector of some expression reads.
type Selector struct {
	// Matchers select the series; a name stands among them as __name__.
	Matchers []*labels.Matcher
	// Before is how far back from an evaluation samples are read; After is how far ahead, which costs nothing, as samples
	// are not dropped before their time.
	Before, After time.Duration
	// Fixed says that the selector reads at a fixed time. Then Before is the least that it needs, and what is kept.
	Fixed bool
}

// selection is all selectors in force. It is never changed, only replaced.
type selection struct {
	everything bool
	slack      int64 // ms
	selectors  []distinct
	// byKey finds a selector by its matchers.
	byKey map[string]int
	// byName are the selectors that can match a metric name, of those that give names; nameless are the others: with a
	// regular expression for a name, or with none.
	byName   map[string][]int
	nameless []int
}

// distinct is one or several selectors with the same matchers.
type distinct struct {
	matchers []*labels.Matcher
	before   int64 // ms
}

func newSelection(selectors []Selector, everything bool, slack int64) *selection {
	s := &selection{everything: everything, slack: slack, byKey: map[string]int{}, byName: map[string][]int{}}
	for _, given := range selectors {
		key, before := matchersKey(given.Matchers), given.Before.Milliseconds()
		if i, ok := s.byKey[key]; ok {
			s.selectors[i].before = max(s.selectors[i].before, before)
			continue
		}
		s.byKey[key] = len(s.selectors)
		s.index(len(s.selectors), given.Matchers)
		s.selectors = append(s.selectors, distinct{matchers: slices.Clone(given.Matchers), before: before})
	}
	return s
}

func (s *selection) index(i int, matchers []*labels.Matcher) {
	for _, m := range matchers {
		if m.Name != model.MetricNameLabel {
			continue
		}
		names := m.SetMatches()
		if m.Type == labels.MatchEqual && m.Value != "" {
			names = []string{m.Value}
		}
		if m.Type != labels.MatchEqual && m.Type != labels.MatchRegexp || len(names) == 0 {
			continue
		}
		for _, name := range names {
			if matchesName(matchers, name) && !slices.Contains(s.byName[name], i) {
				s.byName[name] = append(s.byName[name], i)
			}
		}
		return
	}
	s.nameless = append(s.nameless, i)
}

func (s *selection) wants(name string) bool {
	if s.everything || len(s.byName[name]) > 0 {
		return true
	}
	for _, i := range s.nameless {
		if matchesName(s.selectors[i].matchers, name) {
			return true
		}
	}
	return false
}

// match appends the selectors that match ls, in ascending order.
func (s *selection) match(to []int, ls labels.Labels) []int {
	for _, i := range s.byName[ls.Get(model.MetricNameLabel)] {
		if matches(s.selectors[i].matchers, ls) {
			to = append(to, i)
		}
	}
	for _, i := range s.nameless {
		if matches(s.selectors[i].matchers, ls) {
			to = append(to, i)
		}
	}
	slices.Sort(to)
	return to
}

func matches(matchers []*labels.Matcher, ls labels.Labels) bool {
	for _, m := range matchers {
		if !m.Matches(ls.Get(m.Name)) {
			return false
		}
	}
	return true
}

func matchesName(matchers []*labels.Matcher, name string) bool {
	for _, m := range matchers {
		if m.Name == model.MetricNameLabel && !m.Matches(name) {
			return false
		}
	}
	return true
}

// matchersKey is the same for the same matchers in any order, and for no others.
func matchersKey(matchers []*labels.Matcher) string {
	parts := make([]string, len(matchers))
	for i, m := range matchers {
		b := append(make([]byte, 0, len(m.Name)+len(m.Value)+8), byte(m.Type))
		b = append(binary.AppendUvarint(b, uint64(len(m.Name))), m.Name...)
		b = append(binary.AppendUvarint(b, uint64(len(m.Value))), m.Value...)
		parts[i] = string(b)
	}
	slices.Sort(parts)
	return strings.Join(slices.Compact(parts), "")
}

// match is which selectors match a series. Series share it.
type match struct {
	selectors []int
	// before is how far back the series is kept, in ms; forever is how long that is at most.
	before int64
}

const forever = math.MaxInt64

func (s *selection) newMatch(selectors []int) *match {
	m := &match{selectors: slices.Clone(selectors)}
	for _, i := range selectors {
		m.before = max(m.before, s.selectors[i].before+s.slack)
	}
	if s.everything {
		m.before = forever
	}
	return m
}

// cut is the time before which samples are not needed any more.
func (m *match) cut(now int64) int64 {
	if m.before == forever {
		return math.MinInt64
	}
	return now - m.before
}
