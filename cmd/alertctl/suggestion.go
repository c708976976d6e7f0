package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/user"
	"slices"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/retune"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// judged is what a calibration receiver says about a rule, as far as its thresholds are concerned.
type judged struct {
	Rule       string `json:"rule"`
	Thresholds []struct {
		Group     string         `json:"group"`
		Severity  alert.Severity `json:"severity"`
		Bound     string         `json:"bound"`
		Current   float64        `json:"current"`
		Suggested *float64       `json:"suggested"`
		Sentence  string         `json:"sentence"`
	} `json:"thresholds"`
}

// suggestion is a threshold that may be moved, or why it stays.
type suggestion struct {
	retune.Change
	stands   bool
	sentence string
}

// bounds are the names of a band's bounds, as the receiver has them.
var bounds = map[string]retune.Bound{"": retune.Only, "low": retune.Low, "high": retune.High}

// suggestions asks a receiver what it suggests, by rule and tier; of no rules it asks about all.
func suggestions(ctx context.Context, from string, rules []string, group string) (all []suggestion, err error) {
	var answer struct {
		Rules []judged `json:"rules"`
	}
	if err := askReceiver(ctx, from, "/api/v1/rules", &answer); err != nil {
		return nil, err
	}
	asked := map[string]bool{}
	for _, r := range answer.Rules {
		if len(rules) > 0 && !slices.Contains(rules, r.Rule) {
			continue
		}
		asked[r.Rule] = true
		for _, t := range r.Thresholds {
			bound, ok := bounds[t.Bound]
			if !ok {
				return nil, fmt.Errorf("%s: %s: bound: must be low or high (got %q): is the receiver of a later version?", from, r.Rule, t.Bound)
			}
			if group != "" && t.Group != group {
				continue
			}
			current := t.Current
			s := suggestion{Change: retune.Change{Group: t.Group, Rule: r.Rule, Tier: t.Severity, Bound: bound, From: &current}, sentence: t.Sentence}
			if t.Suggested != nil {
				s.To, s.stands = *t.Suggested, true
			}
			all = append(all, s)
		}
	}
	for _, name := range rules {
		if !asked[name] {
			return nil, fmt.Errorf("--rule: no alert of %q has fired in the receiver's window", name)
		}
	}
	slices.SortStableFunc(all, func(a, b suggestion) int { return cmp.Compare(a.Rule, b.Rule) })
	return all, nil
}

// suggested turns the suggestions that stand and that the files can take into changes. It says of each what it would do, and
// of the others why they stay.
func (o *calibrateOptions) suggested(ctx context.Context, files []*edited, out io.Writer) ([]retune.Change, error) {
	all, err := suggestions(ctx, o.from, o.rules, o.group)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		fmt.Fprintln(out, "nobody was paged in the receiver's window: there is nothing to go by")
	}
	var changes []retune.Change
	for _, s := range all {
		if !s.stands {
			fmt.Fprintf(out, "%s stays at %s: %s\n", s.Change, retune.Number(*s.From), s.sentence)
			continue
		}
		_, settled, err := locate(files, s.Change)
		var none nowhere
		var moved *retune.Moved
		switch {
		case errors.As(err, &none):
			fmt.Fprintf(out, "%s: is in none of these files\n", s.Change)
			continue
		case errors.As(err, &moved):
			fmt.Fprintf(out, "%s: alerts stood at %s, which %s does not say any more: look again when the next has fired\n", s.Change, retune.Number(*s.From), moved.Path)
			continue
		case err != nil:
			return nil, err
		}
		fmt.Fprintf(out, "%s: %s → %s: %s\n", s.Change, retune.Number(*s.From), retune.Number(s.To), s.sentence)
		changes = append(changes, settled)
	}
	return changes, nil
}

// locate finds the one file that holds a change's threshold.
func locate(files []*edited, c retune.Change) (in *edited, settled retune.Change, err error) {
	var moved *retune.Moved
	for _, f := range files {
		found, err := retune.Settle(f.path, f.after, c, rule.Defaults{})
		var elsewhere *retune.NotHere
		switch {
		case errors.As(err, &elsewhere):
		case errors.As(err, &moved): // another file may hold a rule of the same name
		case err != nil:
			return nil, c, err
		case in != nil:
			return nil, c, fmt.Errorf("%s is in %s and in %s: name one file", c, in.path, f.path)
		default:
			in, settled = f, found
		}
	}
	switch {
	case in != nil:
		return in, settled, nil
	case moved != nil:
		return nil, c, moved
	}
	return nil, c, nowhere{len(files), c}
}

// nowhere says that no file holds a change's rule.
type nowhere struct {
	files  int
	change retune.Change
}

func (n nowhere) Error() string {
	return fmt.Sprintf("none of the %d files has an alert %s", n.files, n.change)
}

// told is a change as the receiver takes it.
type told struct {
	Group    string         `json:"group,omitempty"`
	Severity alert.Severity `json:"severity"`
	Bound    string         `json:"bound,omitempty"`
	From     float64        `json:"from"`
	To       float64        `json:"to"`
	By       string         `json:"by,omitempty"`
	Note     string         `json:"note,omitempty"`
}

// tell has the receiver mark what was written. The files are written already: what cannot be told is noticed later, when an
// alert stands at the new threshold.
func (o *calibrateOptions) tell(ctx context.Context, changes []retune.Change) (err error) {
	by := ""
	if u, err := user.Current(); err == nil {
		by = u.Username
	}
	for _, c := range changes {
		t := told{Group: c.Group, Severity: c.Tier, From: *c.From, To: c.To, By: by, Note: o.note}
		for name, bound := range bounds {
			if bound == c.Bound {
				t.Bound = name
			}
		}
		err = errors.Join(err, tellReceiver(ctx, o.from, "/api/v1/rules/"+url.PathEscape(c.Rule)+"/changes", t))
	}
	return err
}
