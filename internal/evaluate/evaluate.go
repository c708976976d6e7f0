// Package evaluate judges data points: points and time in, transitions out. It keeps the state of every series that is
// not quiet, never reads a clock, never calls out, and loses nothing that it is told to store.
package evaluate

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// Tagging says which breaching data points get attributes.
type Tagging string

// The choices of `tag_data_points`.
const (
	TagNone  Tagging = "none"
	TagGauge Tagging = "gauge"
	TagAll   Tagging = "all"
)

// Options are what the processor's configuration says beyond the rules.
type Options struct {
	Tagging        Tagging
	ExternalLabels map[string]string
	ResendInterval time.Duration
	HoldFor        time.Duration
	NeverMatched   time.Duration
	MaxAge         time.Duration
	MaxFuture      time.Duration
	SeriesPerRule  int
	Series         int
	// TranslationStrategy is Prometheus' name for how attribute names become label names.
	TranslationStrategy       string
	PromoteResourceAttributes []string
}

// Shards is the number of parts in which state is stored. It is part of the storage's format.
const Shards = 256

// Evaluator judges against a set of rules. Every method is safe for concurrent use.
type Evaluator struct{}

// New returns an evaluator of set. now is the start: nothing is concluded from absence before a rule's own time since.
func New(set *rule.Set, opts Options, now time.Time) *Evaluator { panic("being written") }

// Result is what the evaluator asks of its shell. Shards must be stored before Emissions go out, and Emissions go out
// in their order.
type Result struct {
	Emissions []Emission
	// Shards lists the shards whose durable part (what fires) changed, sorted, each once.
	Shards []int
}

// Emission is one alert.state point to be sent.
type Emission struct {
	alert.Alert
	// Stale ends the series of an attribute set that the alert no longer has.
	Stale bool
}

// Judge checks every point of md against the rules that name its metric and tags what breaches, in place. It reports
// whether there is something to Take.
func (e *Evaluator) Judge(md pmetric.Metrics, now time.Time) bool { panic("being written") }

// Take hands over everything that Judge, Tick and Reload have queued since the last Take, of all callers, in the order
// in which it was judged. A shell that calls Take, stores the shards and queues the emissions under one lock keeps
// both promises of Result, and concurrent batches share a write: who finds nothing to Take has been served by another.
func (e *Evaluator) Take() Result { panic("being written") }

// Tick does what time alone brings: absence, holds that run out, keep_firing_for, repetition. The shell calls it every
// second. It reports whether there is something to Take.
func (e *Evaluator) Tick(now time.Time) bool { panic("being written") }

// Reload replaces the rules. Unchanged ones keep their state; the alerts of those that went end as rule_removed.
func (e *Evaluator) Reload(set *rule.Set, now time.Time) { panic("being written") }

// FiringShard encodes what fires in one shard: stored at every change. An empty result means there is nothing to store.
func (e *Evaluator) FiringShard(shard int) []byte { panic("being written") }

// QuietShard encodes the rest of one shard (pending and tracked series): stored by snapshot.
func (e *Evaluator) QuietShard(shard int) []byte { panic("being written") }

// Restore loads what FiringShard and QuietShard stored, before the first Judge; nil parts are missing. loaded says that
// a stored state was found, even an empty one. now is the present start, asOf when the last snapshot was taken: the
// time between does not count towards `for`. Parts that cannot be read are reported and passed over.
func (e *Evaluator) Restore(firing, quiet [][]byte, loaded bool, asOf, now time.Time) error {
	panic("being written")
}

// Statistics are the evaluator's counts since its start, for self-metrics.
type Statistics struct {
	// Unjudged counts points that passed through unjudged, by reason and rule.
	Unjudged []UnjudgedCount
	// Judged counts the points that were compared, Tagged those that got attributes.
	Judged, Tagged int64
	// Rules has one entry per rule.
	Rules []RuleStatistics
}

// UnjudgedCount counts points of one rule that could not be judged.
type UnjudgedCount struct {
	Group, Rule string
	Reason      Unjudged
	Count       int64
}

// Unjudged is why a point was not judged.
type Unjudged string

// The reasons.
const (
	UnjudgedType     Unjudged = "unsupported_type"
	UnjudgedMissing  Unjudged = "missing_value" // NaN or "no recorded value"
	UnjudgedFuture   Unjudged = "too_far_ahead"
	UnjudgedOld      Unjudged = "too_old"
	UnjudgedNoTime   Unjudged = "no_timestamp"
	UnjudgedRepeated Unjudged = "late_or_repeated"
	UnjudgedWhere    Unjudged = "where_error"
	UnjudgedLimit    Unjudged = "series_limit"
	UnjudgedWarmUp   Unjudged = "warm_up"
)

// RuleStatistics describes one rule now.
type RuleStatistics struct {
	Group, Rule string
	// Series is the number of series whose state is kept; Pending and Firing count alerts.
	Series, Pending, Firing int
	// Transitions counts changes to each state.
	Transitions map[alert.State]int64
	// LastSeen is when a point of the rule's metric was last judged; zero: never.
	LastSeen time.Time
	// CollidingSeries counts alerts that several streams share.
	CollidingSeries int
}

// Statistics returns the counts.
func (e *Evaluator) Statistics() Statistics { panic("being written") }

// Problem is something that a rule's operator should know; each is reported once per change.
type Problem struct {
	Group, Rule string
	Kind        ProblemKind
	Detail      string
}

// ProblemKind is the kind of a Problem.
type ProblemKind string

// The kinds.
const (
	ProblemNeverMatched    ProblemKind = "never_matched"
	ProblemUnsupportedType ProblemKind = "unsupported_type"
	ProblemColliding       ProblemKind = "colliding_series"
	ProblemLimit           ProblemKind = "series_limit"
)

// Problems returns the problems that stand now, ordered.
func (e *Evaluator) Problems(now time.Time) []Problem { panic("being written") }
