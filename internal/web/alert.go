package web

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Alert is one episode as the API gives it; docs/http-api.md says what each field means.
type Alert struct {
	ID              string            `json:"id"`
	AlertID         string            `json:"alert_id"`
	Group           string            `json:"group,omitempty"`
	Rule            string            `json:"rule"`
	State           State             `json:"state"`
	Severity        alert.Severity    `json:"severity"`
	HighestSeverity alert.Severity    `json:"highest_severity"`
	Owner           string            `json:"owner"`
	Labels          map[string]string `json:"labels"`
	Annotations     map[string]string `json:"annotations"`
	Response        string            `json:"response,omitempty"`

	Value        *Number `json:"value,omitempty"`
	Peak         *Number `json:"peak,omitempty"`
	Threshold    *Number `json:"threshold,omitempty"`
	FiringLevel  *Number `json:"firing_level,omitempty"`
	SourceMetric string  `json:"source_metric,omitempty"`
	SourceUnit   string  `json:"source_unit,omitempty"`

	StartsAt       time.Time `json:"starts_at,omitzero"`
	ObservedAt     time.Time `json:"observed_at,omitzero"`
	OpenedAt       time.Time `json:"opened_at,omitzero"`
	LostAt         time.Time `json:"lost_at,omitzero"`
	NotifiedAt     time.Time `json:"notified_at,omitzero"`
	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
	AcknowledgedBy string    `json:"acknowledged_by,omitempty"`
	// Acknowledgement is the one in force for all that is paged together with this alert.
	Acknowledgement *Acknowledgement `json:"acknowledgement,omitempty"`
	SnoozedUntil    time.Time        `json:"snoozed_until,omitzero"`
	SnoozedBy       string           `json:"snoozed_by,omitempty"`
	// Held says what keeps pages from telling of it beside a snooze: silenced, inhibited, muted or flapping.
	Held       string         `json:"held,omitempty"`
	HeldUntil  time.Time      `json:"held_until,omitzero"`
	EndedAt    time.Time      `json:"ended_at,omitzero"`
	EndedBy    ledger.EndedBy `json:"ended_by,omitempty"`
	ResolvedBy string         `json:"resolved_by,omitempty"`
	Outcome    ledger.Outcome `json:"outcome,omitempty"`
	Suppressed string         `json:"suppressed,omitempty"`
	Reason     alert.Reason   `json:"reason"`

	Verdict     ledger.Verdict `json:"verdict,omitempty"`
	VerdictBy   string         `json:"verdict_by,omitempty"`
	VerdictAt   time.Time      `json:"verdict_at,omitzero"`
	VerdictNote string         `json:"verdict_note,omitempty"`

	NextStep   string    `json:"next_step,omitempty"`
	NextStepAt time.Time `json:"next_step_at,omitzero"`
	// RespondBy is by when its owner has promised to acknowledge.
	RespondBy time.Time `json:"respond_by,omitzero"`
	// Actions are what it has asked of deployment systems.
	Actions []Action `json:"actions,omitempty"`

	// Levels are the thresholds of the tiers that it stood at or passed.
	Levels map[alert.Severity]Level `json:"levels,omitempty"`
	// Values and Events are given for one alert, not in lists. Values are how the value went, a drawing's worth of it.
	Values []Observed `json:"values,omitempty"`
	Events []Event    `json:"events,omitempty"`
}

// Level is the threshold of a tier, missing where the alert passed the tier by, and the most extreme one at which it would have fired;
// Bound says that it may be more extreme.
type Level struct {
	Threshold   *float64 `json:"threshold,omitempty"`
	FiringLevel *float64 `json:"firing_level,omitempty"`
	Bound       bool     `json:"bound,omitempty"`
}

// Observed is a value at its time.
type Observed struct {
	At    time.Time `json:"at"`
	Value float64   `json:"value"`
}

// State says where an episode stands.
type State string

// The states.
const (
	StateFiring State = "firing"
	StateNoData State = "no_data"
	StateEnded  State = "ended"
)

// Acknowledgement says who has an alert in hand, and since when.
type Acknowledgement struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// Event is something that happened to an alert.
type Event struct {
	Seq  int64     `json:"seq"`
	At   time.Time `json:"at"`
	Name string    `json:"name"`
	// Text says what happened in words.
	Text     string         `json:"text"`
	Severity alert.Severity `json:"severity"`
	Owner    string         `json:"owner"`
	By       string         `json:"by,omitempty"`
	Reason   string         `json:"reason,omitempty"`
	From     string         `json:"from,omitempty"`
	Receiver string         `json:"receiver,omitempty"`
	Step     int            `json:"step,omitempty"`
	Note     string         `json:"note,omitempty"`
}

// List is a page of alerts.
type List struct {
	Alerts []Alert `json:"alerts"`
	// Next is what `after` must be for the next page; empty on the last.
	Next string `json:"next,omitempty"`
}

// Number is a number of the source metric. JSON has no NaN and no infinities: they are the strings "NaN", "+Inf" and
// "-Inf", as Prometheus writes them.
type Number float64

// MarshalJSON writes a number, or a string for what is none.
func (n Number) MarshalJSON() ([]byte, error) {
	v := float64(n)
	switch {
	case math.IsNaN(v):
		return []byte(`"NaN"`), nil
	case math.IsInf(v, 1):
		return []byte(`"+Inf"`), nil
	case math.IsInf(v, -1):
		return []byte(`"-Inf"`), nil
	}
	return json.Marshal(v)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (n *Number) UnmarshalJSON(raw []byte) error {
	var v float64
	if json.Unmarshal(raw, &v) == nil {
		*n = Number(v)
		return nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf(`must be a number, "NaN", "+Inf" or "-Inf" (got %q)`, text)
	}
	*n = Number(v)
	return nil
}

func number(v *float64) *Number {
	if v == nil {
		return nil
	}
	n := Number(*v)
	return &n
}
