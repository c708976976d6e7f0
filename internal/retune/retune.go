// Package retune moves thresholds in rule files. It changes the numbers and nothing else: comments, order and layout stay as
// somebody wrote them. What it has written is read again with the code that the processor reads rule files with, and
// given back only where that finds the moved threshold, and every other rule as it was.
package retune

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// Bound is one of the numbers of a threshold.
type Bound int8

// The bounds. Whatever compares with one number has that one.
const (
	Only Bound = iota
	Low        // of outside: [low, high]
	High
)

// Change moves one threshold.
type Change struct {
	// Group may be empty where the rule's name is enough.
	Group, Rule string
	// Tier may be NoSeverity where the rule has one.
	Tier  alert.Severity
	Bound Bound
	// From, where set, is what the threshold is now: a guard against a file that has changed, and what tells rules of one
	// name apart.
	From *float64
	To   float64
}

// String names what is changed as a command line does.
func (c Change) String() string {
	s := c.Rule
	if c.Group != "" {
		s = c.Group + "/" + s
	}
	if c.Tier != alert.NoSeverity {
		s += "/" + c.Tier.String()
	}
	switch c.Bound {
	case Low:
		s += ":low"
	case High:
		s += ":high"
	}
	return s
}

// Apply returns the content of a rule file with one threshold moved. Its `clear` moves by as much, so that the band between
// them stays as wide. path names the file in errors.
func Apply(path string, content []byte, c Change, d rule.Defaults) ([]byte, error) {
	if math.IsNaN(c.To) || math.IsInf(c.To, 0) {
		return nil, fmt.Errorf("%s: a threshold must be a number (got %v)", c, c.To)
	}
	groups, err := rule.LoadFile(path, content, d)
	if err != nil {
		return nil, err
	}
	at, err := find(path, groups, c)
	if err != nil {
		return nil, err
	}
	doc, err := open(path, content)
	if err != nil {
		return nil, err
	}
	written, err := doc.rule(at.group, at.rule)
	if err != nil {
		return nil, err
	}
	var attempts [][]edit
	if tiers := written.key("tiers"); tiers != nil {
		edits, err := tierEdits(doc, tiers, at, c)
		if err != nil {
			return nil, err
		}
		attempts = [][]edit{edits}
	} else if attempts, err = exprEdits(doc, written.key("expr"), at, c); err != nil {
		return nil, err
	}
	var refused error
	for _, edits := range attempts {
		edited := doc.apply(edits)
		err := verify(path, groups, edited, at, c, d)
		if err == nil {
			return edited, nil
		}
		if !errors.Is(err, errMore) {
			refused = err
		}
	}
	if refused != nil {
		return nil, refused
	}
	return nil, fmt.Errorf("%s:%d: %s: the threshold is not written as one number of its own: move it by hand", path, at.of.Position.Line, c)
}

// Settle returns a change with all that it leaves open as the file has it: group, tier, and what the threshold is now.
func Settle(path string, content []byte, c Change, d rule.Defaults) (Change, error) {
	groups, err := rule.LoadFile(path, content, d)
	if err != nil {
		return c, err
	}
	at, err := find(path, groups, c)
	if err != nil {
		return c, err
	}
	now, err := bound(at.threshold(), c.Bound)
	if err != nil {
		return c, err
	}
	c.Group, c.Tier, c.From = at.of.Group, at.of.Tiers[at.tier].Severity, &now
	return c, nil
}

// errMore says that something else changed than the threshold.
var errMore = errors.New("more would change than the threshold")

// place is where a threshold is.
type place struct {
	group, rule, tier int
	of                *rule.Rule
}

func (p place) threshold() *rule.Threshold { return &p.of.Tiers[p.tier].Threshold }

func find(path string, groups []*rule.Group, c Change) (place, error) {
	var found []place
	var known []string
	for gi, g := range groups {
		if c.Group != "" && g.Name != c.Group {
			continue
		}
		for ri, r := range g.Rules {
			if r.Record != "" {
				continue
			}
			known = append(known, r.Name)
			if r.Name != c.Rule {
				continue
			}
			for ti := range r.Tiers {
				if c.Tier != alert.NoSeverity && r.Tiers[ti].Severity != c.Tier {
					continue
				}
				p := place{gi, ri, ti, r}
				if now, err := bound(p.threshold(), c.Bound); c.From == nil || err == nil && now == *c.From {
					found = append(found, p)
				}
			}
		}
	}
	switch {
	case len(found) == 1:
		_, err := bound(found[0].threshold(), c.Bound)
		if err != nil {
			err = fmt.Errorf("%s:%d: %s: %w", path, found[0].of.Position.Line, c, err)
		}
		return found[0], err
	case len(found) > 1:
		var lines []string
		for _, p := range found {
			lines = append(lines, fmt.Sprintf("line %d, %s", p.of.Position.Line, p.of.Tiers[p.tier].Severity))
		}
		return place{}, fmt.Errorf("%s: %s may be several thresholds (%s): say group, tier and what it is now", path, c, strings.Join(lines, "; "))
	case slices.Contains(known, c.Rule) && c.From != nil:
		return place{}, &Moved{Path: path, Change: c}
	case slices.Contains(known, c.Rule):
		return place{}, fmt.Errorf("%s: %s: the rule has no such tier", path, c)
	}
	return place{}, &NotHere{Path: path, Change: c}
}

// NotHere says that a file does not hold the rule: another one may.
type NotHere struct {
	Path   string
	Change Change
}

// Moved says that a file holds the rule, and that its threshold is not the one that was to be moved.
type Moved struct {
	Path   string
	Change Change
}

func (m *Moved) Error() string {
	return fmt.Sprintf("%s: %s has no threshold that is %s now: the file has changed, or it is another tier's", m.Path, m.Change, Number(*m.Change.From))
}

func (n *NotHere) Error() string { return fmt.Sprintf("%s: there is no alert %s", n.Path, n.Change) }

// bound is a threshold's number.
func bound(t *rule.Threshold, which Bound) (float64, error) {
	switch t.Op {
	case rule.Above, rule.AtLeast:
		if which != Low {
			return t.High, nil
		}
	case rule.Below, rule.AtMost:
		if which != High {
			return t.Low, nil
		}
	case rule.Outside:
		switch which {
		case Low:
			return t.Low, nil
		case High:
			return t.High, nil
		}
		return 0, fmt.Errorf("outside has two bounds: say low or high")
	default:
		return 0, fmt.Errorf("the expression decides itself: there is no threshold to move")
	}
	return 0, fmt.Errorf("%s has one bound: leave low and high away", t.Op)
}

// moved is the threshold as it has to be found afterwards.
func moved(t rule.Threshold, which Bound, to float64) rule.Threshold {
	high := t.Op == rule.Above || t.Op == rule.AtLeast || which == High
	switch {
	case high && t.ClearHigh == t.High:
		t.High, t.ClearHigh = to, to
	case high:
		t.High, t.ClearHigh = to, shifted(t.ClearHigh, t.High, to)
	case t.ClearLow == t.Low:
		t.Low, t.ClearLow = to, to
	default:
		t.Low, t.ClearLow = to, shifted(t.ClearLow, t.Low, to)
	}
	return t
}

// shifted moves `clear` by as much as its threshold, in as many decimals as the three numbers have: 0.95 by 0.98 → 0.97
// is 0.94 and not 0.9400000000000001.
func shifted(clear, from, to float64) float64 {
	decimals := 0
	for _, v := range []float64{clear, from, to} {
		text := strconv.FormatFloat(v, 'f', -1, 64)
		if _, behind, ok := strings.Cut(text, "."); ok {
			decimals = max(decimals, len(behind))
		}
	}
	v, err := strconv.ParseFloat(strconv.FormatFloat(clear+(to-from), 'f', min(decimals, 15), 64), 64)
	if err != nil {
		return clear + (to - from)
	}
	return v
}

// Number writes a threshold as people do.
func Number(v float64) string {
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e15) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// verify reads what was written: the threshold must have moved, and nothing else.
func verify(path string, before []*rule.Group, edited []byte, at place, c Change, d rule.Defaults) error {
	after, err := rule.LoadFile(path, edited, d)
	if err != nil {
		return fmt.Errorf("%s: with %s the file would be refused: %w", c, Number(c.To), err)
	}
	if len(before) != len(after) {
		return errMore
	}
	for gi, g := range before {
		if len(g.Rules) != len(after[gi].Rules) {
			return errMore
		}
		for ri, was := range g.Rules {
			is := after[gi].Rules[ri]
			if gi != at.group || ri != at.rule {
				if is.Hash() != was.Hash() {
					return errMore
				}
				continue
			}
			if len(is.Tiers) != len(was.Tiers) || is.Name != was.Name || is.Metric != was.Metric || is.Query != nil && is.Query.Signal != was.Query.Signal {
				return errMore
			}
			for ti := range was.Tiers {
				want := was.Tiers[ti]
				if ti == at.tier {
					want.Threshold = moved(want.Threshold, c.Bound, c.To)
				}
				if is.Tiers[ti] != want {
					return errMore
				}
			}
		}
	}
	return nil
}
