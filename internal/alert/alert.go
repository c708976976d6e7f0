package alert

import (
	"time"
)

// State is the value of an alert.state point.
type State int64

// The states. Nothing between two of them exists on the wire.
const (
	Inactive State = 0
	Pending  State = 1
	Firing   State = 2
)

// String returns the state's name, as the page and the log show it.
func (s State) String() string {
	switch s {
	case Inactive:
		return "inactive"
	case Pending:
		return "pending"
	case Firing:
		return "firing"
	}
	return "unknown"
}

// Reason says why an alert is in its state.
type Reason string

// The reasons. For a firing or pending alert: ReasonThreshold or ReasonNoData. For an inactive one: the others.
const (
	ReasonThreshold   Reason = "threshold"
	ReasonNoData      Reason = "no_data"
	ReasonRecovered   Reason = "recovered"
	ReasonSeriesGone  Reason = "series_gone"
	ReasonRuleRemoved Reason = "rule_removed"
)

// Action is something beyond a page that the observed value asks for.
type Action string

// The actions that a critical metric's rule can ask for.
const (
	ActionRollback           Action = "rollback"
	ActionManualIntervention Action = "manual_intervention"
)

// Actions lists them.
var Actions = [...]Action{ActionRollback, ActionManualIntervention}

// DefaultValidFor is how long a state holds without being repeated, where the point does not say (no exemplar).
const DefaultValidFor = 3 * time.Minute

// FiringLevel is the most extreme threshold at which one tier would still have become active, in the unit of the source
// metric. Bound says that it is a bound on the safe side: the true one is as extreme or more.
type FiringLevel struct {
	Value float64 `json:"value"`
	Bound bool    `json:"bound,omitempty"`
}

// Alert is one judgement about one alert: what an alert.state point says.
//
// ID, Group, Rule, Severity, Owner and Labels are the identity of the point's series; everything below them travels
// in the exemplar and may be missing. Numbers that may be missing are pointers: a threshold of 0 is a threshold.
type Alert struct {
	// ID is the hash of what makes this alert the same alert tomorrow: see Identity.
	ID       string
	Group    string
	Rule     string
	Severity Severity
	Owner    string
	// Labels are the alert's own: the series' labels and the rule's, without the attributes above.
	Labels map[string]string

	State State
	// Start is when the breach began, in event time. Zero for an inactive alert that never began.
	Start time.Time
	// Time is the evaluator's clock at judgement. Strictly increasing per ID.
	Time time.Time

	// Value is the observed value, and ObservedAt its own time; nil when nothing was observed (no data).
	Value      *float64
	ObservedAt time.Time
	// Threshold is that of the tier the alert stands at.
	Threshold *float64
	// FiringLevel is the most extreme threshold at which the alert would still have fired: that of the tier that it stands
	// at, and of an inactive alert that of the highest tier that it reached. nil where there is none: for missing data, for
	// an expression that decides itself, and before the tier was active. FiringLevelBound marks one that may be more
	// extreme in truth.
	FiringLevel      *float64
	FiringLevelBound bool
	// FiringLevels holds the same of every tier that was active in the episode.
	FiringLevels map[Severity]FiringLevel
	// ValidFor is how long the state holds unless repeated, from its arrival on. Never zero after Decode.
	ValidFor     time.Duration
	Actions      []Action
	Reason       Reason
	SourceMetric string
	SourceUnit   string
	Response     string
	// Annotations are the rule's, rendered.
	Annotations map[string]string
}
