// Package rule turns rule files into checked, compiled rules.
//
// A rule file is a Prometheus rule file; the keys that Prometheus does not have are ours. What a user can get wrong
// is found here, with file, line and YAML path, by building the very objects that the evaluator uses.
package rule

import (
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Set is what the evaluator runs: every group of every file and of the inline configuration, in the order read.
type Set struct {
	Groups []*Group
}

// Rules returns every rule of the set, in order.
func (s *Set) Rules() []*Rule {
	var all []*Rule
	for _, g := range s.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// Group is one group of a rule file.
type Group struct {
	Name string
	// File is where the group was read from, "" for inline groups.
	File        string
	Interval    time.Duration // 0: the processor's evaluation_interval
	QueryOffset time.Duration
	Limit       int
	Labels      map[string]string
	Rules       []*Rule

	warnings []Warning
}

// Position says where in the configuration something stands.
type Position struct {
	File         string // "" for inline groups
	Line, Column int    // 1-based; 0 where unknown (inline groups)
	Path         string // YAML path, such as groups[0].rules[2].tiers.critical.for
}

// Rule is one compiled rule. It is immutable: a reload makes new ones.
type Rule struct {
	Group, Name string
	Position    Position

	// Metric is the OTLP metric name that a `metric` rule checks; "" for an `expr` rule.
	Metric string
	// Where is the compiled condition of a `metric` rule; nil accepts every point.
	Where *Where
	// Expr is the PromQL of an `expr` rule, as written, and Query what was made of it; nil in a `metric` rule.
	Expr  string
	Query *Query
	// Record is the name of the series that a recording rule writes; Name is "" then.
	Record string
	// For and Severity are those of a plain Prometheus rule.
	For      time.Duration
	Severity alert.Severity

	// Tiers are the rule's thresholds, most urgent first. Never empty in an alert: a plain Prometheus rule has one, at
	// Severity and with For, that was split off its expression or is met by whatever the expression gives (Always).
	Tiers []Tier
	// Explore is how far the silent track lies on the lax side of every threshold, as a share of the threshold or of the
	// band's width; 0: there is no silent track.
	Explore float64
	// Silent marks the rule that a silent track runs: see Explored.
	Silent bool
	// Twin is not "" where an earlier rule of the group has the same name and labels and another expression, which
	// Prometheus allows: it is part of the alert's identity then, so that the two are two alerts.
	Twin string
	// Rollback and ManualIntervention are conditions for more than a page; nil where the rule has none.
	Rollback, ManualIntervention *Threshold

	Owner    string // never empty: default_owner where the rule names none
	Response string
	NoData   NoData

	KeepFiringFor time.Duration
	// WarmUp is how long a new series is not judged.
	WarmUp time.Duration

	// Labels and Annotations are the rule's own (group labels merged in, the rule's winning), templates unexpanded.
	Labels, Annotations map[string]string

	templates templates
	hash      uint64
	warnings  []Warning
}

// Tier is a threshold with the severity that it gives.
type Tier struct {
	Severity alert.Severity
	Threshold
}

// NoDataAction says what a rule concludes when its data stop.
type NoDataAction uint8

// The actions.
const (
	// NoDataHold keeps a firing alert for HoldFor, then ends it with reason series_gone.
	NoDataHold NoDataAction = iota
	// NoDataRaise raises the alert after After, to the higher of its tier and Tier.
	NoDataRaise
	// NoDataResolve ends a firing alert as soon as its data are known to be missing.
	NoDataResolve
)

// NoData is a rule's `no_data`.
type NoData struct {
	Action NoDataAction
	// After is how long data must be missing before NoDataRaise raises.
	After time.Duration
	Tier  alert.Severity
	// HoldFor is how long a firing alert outlives its data under NoDataHold.
	HoldFor time.Duration
}

// Hash identifies everything about the rule that its state depends on: a rule with the same hash after a reload keeps
// its state, wherever in the files it stands now. It is the same in every process.
//
// Owner, response and annotations are not in it: who answers for an alert may change while it fires. So the new rule
// takes the old one's place, with the old one's state.
func (r *Rule) Hash() uint64 { return r.hash }
