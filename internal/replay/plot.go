package replay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// Drawings are made in a second pass over the recording: only then is it known which series have an episode, and over
// which time they go. Each then costs as many numbers as it is wide, however long the recording is.

const (
	plotColumns = 1000
	maxBands    = 500 // episodes drawn per series
)

// plots are the series to be drawn: those of the first episodes.
type plots struct {
	most  int
	lines map[string]*plotLine
	order []*plotLine
}

func newPlots(most int) *plots { return &plots{most: most, lines: map[string]*plotLine{}} }

// plotLine is one series with its episodes.
type plotLine struct {
	of       *rule.Rule
	group    string
	rule     string
	labels   map[string]string
	unit     string
	episodes []Episode
	more     int // episodes beyond maxBands
	columns  []column
	last     time.Time
	broken   bool
}

// column is what happened in one column of pixels.
type column struct {
	low, high, first, last float64
	some, broken           bool
}

// note takes up an episode, if its series is one to be drawn.
func (p *plots) note(e *Episode) {
	line := p.lines[e.ID]
	if line == nil {
		if len(p.order) >= p.most {
			return
		}
		line = &plotLine{group: e.Group, rule: e.Rule, labels: e.Labels, unit: e.Unit, columns: make([]column, plotColumns)}
		p.lines[e.ID] = line
		p.order = append(p.order, line)
	}
	if len(line.episodes) >= maxBands {
		line.more++
		return
	}
	line.episodes = append(line.episodes, *e)
}

// drawn is the rule as its values are read off it: it fires on whatever value there is, and says every one.
func drawn(r *rule.Rule) *rule.Rule {
	all := *r
	all.Tiers = []rule.Tier{{Severity: alert.Low, Threshold: rule.Threshold{
		Op: rule.Always, Low: math.Inf(-1), High: math.Inf(1), ClearLow: math.Inf(-1), ClearHigh: math.Inf(1),
	}}}
	all.KeepFiringFor, all.WarmUp, all.Explore = 0, 0, 0
	all.NoData = rule.NoData{Action: rule.NoDataResolve}
	all.Rollback, all.ManualIntervention = nil, nil
	return &all
}

// draw replays the recording for the lines and writes the drawings.
func (r *run) draw(ctx context.Context, p *plots, s Summary) ([]string, error) {
	if err := os.MkdirAll(r.opts.Plot, 0o755); err != nil {
		return nil, fmt.Errorf("drawings: %w", err)
	}
	set := &rule.Set{}
	for _, g := range r.opts.Rules.Groups {
		group := *g
		group.Rules = nil
		for _, own := range g.Rules {
			wanted := false
			for _, line := range p.order {
				if line.group == own.Group && line.rule == own.Name && own.Record == "" {
					wanted = true
					if line.of == nil {
						line.of = own
					}
				}
			}
			if wanted {
				group.Rules = append(group.Rules, drawn(own))
			} else if own.Record != "" {
				group.Rules = append(group.Rules, own)
			}
		}
		set.Groups = append(set.Groups, &group)
	}
	counted := *r
	counted.opts.Refused = nil // told already
	play := &player{
		everyValue: true,
		awake:      func() bool { return false },
		follow: func(said evaluate.Emission, _ time.Time) error {
			if line := p.lines[said.ID]; line != nil && !said.Stale {
				line.take(&said.Alert, s.Start, s.End)
			}
			return nil
		},
	}
	if _, err := counted.play(ctx, play, set, 0); err != nil {
		return nil, err
	}
	var names []string
	for i, line := range p.order {
		name := filepath.Join(r.opts.Plot, fmt.Sprintf("%03d-%s.svg", i+1, slug(line.rule)))
		f, err := os.Create(name)
		if err != nil {
			return names, fmt.Errorf("drawings: %w", err)
		}
		if err := errors.Join(line.svg(f, s.Start, s.End), f.Close()); err != nil {
			return names, fmt.Errorf("drawings: %s: %w", name, err)
		}
		names = append(names, name)
	}
	return names, nil
}

var unsafe = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// slug is a name that is safe as a file's.
func slug(name string) string {
	s := strings.Trim(unsafe.ReplaceAllString(name, "-"), "-")
	return s[:min(len(s), 80)]
}

// take draws one value.
func (l *plotLine) take(a *alert.Alert, from, to time.Time) {
	if a.State == alert.Inactive {
		l.broken = true
		return
	}
	if a.Value == nil || math.IsNaN(*a.Value) || math.IsInf(*a.Value, 0) || !a.ObservedAt.After(l.last) {
		return
	}
	l.last = a.ObservedAt
	c := &l.columns[columnOf(a.ObservedAt, from, to)]
	v := *a.Value
	if !c.some {
		*c = column{low: v, high: v, first: v, some: true, broken: l.broken}
	}
	c.low, c.high, c.last = min(c.low, v), max(c.high, v), v
	l.broken = false
}

// columnOf is where a time is drawn.
func columnOf(t, from, to time.Time) int {
	span := to.Sub(from)
	if span <= 0 {
		return 0
	}
	at := int(float64(t.Sub(from)) / float64(span) * (plotColumns - 1))
	return max(0, min(at, plotColumns-1))
}
