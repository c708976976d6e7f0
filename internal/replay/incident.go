package replay

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Incident is something that is known to have happened while the recording was made.
type Incident struct {
	Start, End time.Time
	// Series selects whose incident it was, among an episode's labels, its metric as the name and its rule as alertname;
	// none: everybody's.
	Series []*labels.Matcher
}

// maxIncidents bounds a list that is held in memory.
const maxIncidents = 1_000_000

// ReadIncidents reads CSV with the columns start, end and, where it is wanted, series: a selector as in PromQL.
func ReadIncidents(file string, r io.Reader) ([]Incident, error) {
	in := csv.NewReader(r)
	in.TrimLeadingSpace = true
	in.Comment = '#'
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, &InputError{File: file, Line: 1, Msg: "expected a header: start,end or start,end,series (got an empty file)"}
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	start, end, series := slices.Index(header, "start"), slices.Index(header, "end"), slices.Index(header, "series")
	if start < 0 || end < 0 {
		return nil, &InputError{File: file, Line: 1, Msg: fmt.Sprintf("expected a header with start and end, and series where it is wanted (got %q)", clip(strings.Join(header, ",")))}
	}
	var all []Incident
	var face clockFace
	selector := parser.NewParser(parser.Options{})
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		line, _ := in.FieldPos(0)
		bad := func(format string, args ...any) error {
			return &InputError{File: file, Line: int64(line), Msg: fmt.Sprintf(format, args...)}
		}
		if len(all) == maxIncidents {
			return nil, bad("more than %d incidents", maxIncidents)
		}
		var i Incident
		var okStart, okEnd bool
		i.Start, okStart = face.parse(row[start])
		i.End, okEnd = face.parse(row[end])
		if !okStart || !okEnd {
			return nil, bad("start and end must be times (got %q and %q)", clip(row[start]), clip(row[end]))
		}
		if i.End.Before(i.Start) {
			return nil, bad("end must not lie before start (got %s and %s)", row[start], row[end])
		}
		if series >= 0 && row[series] != "" {
			if i.Series, err = selector.ParseMetricSelector(row[series]); err != nil {
				return nil, bad("series must be a selector such as up{job=\"api\"}: %v", err)
			}
		}
		all = append(all, i)
	}
	slices.SortStableFunc(all, func(a, b Incident) int { return a.Start.Compare(b.Start) })
	return all, nil
}

// concerns reports whether the incident is about what an episode is about.
func (i *Incident) concerns(e *Episode) bool {
	for _, m := range i.Series {
		value := e.Labels[m.Name]
		switch m.Name {
		case model.MetricNameLabel:
			value = e.Metric
		case model.AlertNameLabel:
			value = e.Rule
		}
		if !m.Matches(value) {
			return false
		}
	}
	return true
}

// Caught says how the episodes of a rule, or of all, met the known incidents.
type Caught struct {
	Caught int `json:"caught"`
	Missed int `json:"missed"`
	// False counts the episodes that met none.
	False int64 `json:"false"`
}

// matcher holds the known incidents against episodes.
type matcher struct {
	incidents []Incident
	// longest bounds how far back an incident may have begun that is not over.
	longest time.Duration
	byRule  map[ruleKey]*caught
	any     caught
}

type caught struct {
	met    map[int]struct{}
	misses int64
}

func newMatcher(incidents []Incident) *matcher {
	m := &matcher{incidents: incidents, byRule: map[ruleKey]*caught{}, any: caught{met: map[int]struct{}{}}}
	for _, i := range incidents {
		m.longest = max(m.longest, i.End.Sub(i.Start))
	}
	return m
}

// match notes an episode and reports whether it met an incident.
func (m *matcher) match(e *Episode) bool {
	of := m.byRule[keyOf(e)]
	if of == nil {
		of = &caught{met: map[int]struct{}{}}
		m.byRule[keyOf(e)] = of
	}
	from, _ := slices.BinarySearchFunc(m.incidents, e.Fired.Add(-m.longest), func(i Incident, t time.Time) int { return i.Start.Compare(t) })
	met := false
	for n := from; n < len(m.incidents) && !m.incidents[n].Start.After(e.End); n++ {
		if i := &m.incidents[n]; !i.End.Before(e.Fired) && i.concerns(e) {
			met = true
			of.met[n] = struct{}{}
			m.any.met[n] = struct{}{}
		}
	}
	if !met {
		of.misses++
		m.any.misses++
	}
	return met
}

func (m *matcher) of(key ruleKey) *Caught {
	if c := m.byRule[key]; c != nil {
		return c.result(len(m.incidents))
	}
	return &Caught{Missed: len(m.incidents)}
}

func (c *caught) result(all int) *Caught {
	return &Caught{Caught: len(c.met), Missed: all - len(c.met), False: c.misses}
}
