// Package ledger is the durable record of every alert episode, of the groups in which episodes are paged, and of who
// did what about them. The model and the deeds on it stand here; the databases are behind the Ledger interface.
package ledger

import (
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Episode is one time that an alert fired, from its first firing state to its end.
//
// All times but StartsAt, StartedAt, ObservedAt and JudgedAt are the ledger's clock (Tx.Now). A zero time means "not (yet)".
type Episode struct {
	// ID identifies the episode: opaque, unique for ever, safe in a URL path.
	ID string
	// AlertID is alert.id. At most one episode per AlertID is open.
	AlertID string
	// GroupID is the group in which the episode is paged; "" until it has been assigned to one.
	GroupID string

	RuleGroup, Rule string
	Owner           string
	// Severity is the current tier (at the end: the last one), Highest the most urgent one the episode has had.
	Severity, Highest alert.Severity
	Labels            map[string]string
	Annotations       map[string]string
	Response          string
	SourceMetric      string
	SourceUnit        string

	// Reason is why the alert is in its present state: threshold or no_data while open, the end's reason after it.
	Reason alert.Reason
	// Value is the last observed value, Peak the one farthest past the threshold; both nil where nothing was observed.
	Value, Peak            *float64
	Threshold, FiringLevel *float64
	// Levels are what calibration goes by: the thresholds and firing levels of every tier that was active.
	Levels  Levels
	Actions []alert.Action
	// Trace is how the value went.
	Trace Trace

	StartsAt time.Time // when the breach began, event time; never after OpenedAt
	// StartedAt is the same as the evaluator sent it, zero where it did not say: a repetition is recognised by it.
	StartedAt  time.Time
	ObservedAt time.Time // when Value was observed, event time
	JudgedAt   time.Time // the evaluator's clock at the last judgement taken; what is not newer is ignored
	SeenAt     time.Time // when the last judgement taken, a mere repetition included, arrived
	OpenedAt   time.Time // when the firing state arrived
	RaisedAt   time.Time // when the current tier began: OpenedAt, or the last rise
	// LostAt is when the state was found to be no longer repeated; zero while the evaluator is heard of.
	LostAt         time.Time
	NotifiedAt     time.Time // first page that a destination accepted
	AcknowledgedAt time.Time // first acknowledgement
	AcknowledgedBy string
	SnoozedUntil   time.Time
	SnoozedBy      string
	// Held is why pages have left the episode out since the last decision (one of Suppressed… but for a snooze, which
	// stands above); "" where they do not. HeldUntil is until when, as far as it is known, and after it when that ended.
	Held      string
	HeldUntil time.Time
	// Recent are the last times at which the alert fired or ended before this episode, oldest first: see Flapping.
	Recent []time.Time
	// FlapNoticedAt is when a page that says that the alert flaps was accepted, in this episode or one before it since
	// which the alert has not settled.
	FlapNoticedAt time.Time
	EndedAt       time.Time
	// EndedBy is EndedBySystem or, for a person's resolve, EndedByPerson; "" while open.
	EndedBy EndedBy
	// Ender is the person, where EndedBy is EndedByPerson.
	Ender string
	// InHand says that an acknowledgement of its group was in force at its end.
	InHand bool
	// Outcome is final at the end; "" while open.
	Outcome Outcome
	// Suppressed says why nobody was paged, where Outcome is OutcomeSuppressed. Who holds back a page that is due may
	// set it while the episode is open: see OutcomeOf.
	Suppressed string

	Verdict   Verdict
	VerdictBy string
	VerdictAt time.Time
	Note      string // of the verdict
}

var zeroTime time.Time

// Open reports whether the episode has not ended.
func (e *Episode) Open() bool { return e.EndedAt.IsZero() }

// transient is how short an alert is that recovered before anybody could have done much about it.
const transient = 5 * time.Minute

// Transient reports whether the alert recovered soon, and nobody had taken it on.
func (e *Episode) Transient() bool {
	return !e.Open() && !e.Answered() && e.Reason == alert.ReasonRecovered && e.EndedAt.Sub(e.OpenedAt) < transient
}

// Answered reports whether anybody took the alert on: acknowledged it, or what was paged with it, or resolved it. A verdict is no
// answer: it may come long after.
func (e *Episode) Answered() bool {
	return !e.AcknowledgedAt.IsZero() || e.InHand || e.EndedBy == EndedByPerson
}

// EndedBy says who ended an episode.
type EndedBy string

// The enders.
const (
	EndedBySystem EndedBy = "system"
	EndedByPerson EndedBy = "person"
)

// Outcome is what became of an episode as a page. Every ended episode has exactly one.
type Outcome string

// The outcomes.
const (
	OutcomeNotified      Outcome = "notified"      // a page of it was accepted
	OutcomeBatched       Outcome = "batched"       // low: it went, or will go, out in a daily digest
	OutcomeSelfResolved  Outcome = "self_resolved" // it ended within its window
	OutcomeSuppressed    Outcome = "suppressed"    // a page was due and held back: see Episode.Suppressed
	OutcomeUndeliverable Outcome = "undeliverable" // a page was due and no destination had accepted it
)

// Verdict is a person's judgement of an episode.
type Verdict string

// The verdicts; "" is none.
const (
	TruePositive  Verdict = "true_positive"
	FalsePositive Verdict = "false_positive"
	Expected      Verdict = "expected"
	Duplicate     Verdict = "duplicate"
)

// Verdicts lists them.
var Verdicts = [...]Verdict{TruePositive, FalsePositive, Expected, Duplicate}

// Group is what is paged together: it opens with its first firing episode and closes when all have ended.
type Group struct {
	// ID is the dedup key that every page of the group carries: the group's labels plus the opening episode's id.
	ID string
	// Key identifies the group's labels: at most one group per Key is open.
	Key    string
	Labels map[string]string
	Owner  string
	// Tier is the highest tier among the group's open episodes; at the end, the last one.
	Tier     alert.Severity
	OpenedAt time.Time
	// TierSince is when Tier began to count for the window: OpenedAt, or the last rise, or earlier where a rise must not
	// postpone the first page.
	TierSince time.Time
	// PagedAt is when the first page fell due and was ordered. Zero: the window still runs.
	PagedAt time.Time
	// UpdatedAt is when the last page, repeat or update was ordered.
	UpdatedAt time.Time
	// Dirty is set when an episode joined, ended or changed tier since UpdatedAt: an update is owed.
	Dirty bool
	// Step is the number of the last step taken since TierSince (0: none), StepAt when it was taken or last repeated.
	Step   int
	StepAt time.Time
	// Paged lists the receivers that have been ordered a page, in order: the end goes to each of them.
	Paged []string
	// AcknowledgedAt and AcknowledgedBy are of the acknowledgement in force; the policy says when it expires.
	AcknowledgedAt time.Time
	AcknowledgedBy string
	// RespondBy is by when somebody has to acknowledge: the present chain's first page and the owner's promise. Zero:
	// there is none, or it has passed and been escalated.
	RespondBy time.Time
	// DigestID is the daily digest in which the group went out, where its tier is low; "" before.
	DigestID string
	ClosedAt time.Time
	// DueAt is when the group must be looked at again; zero: only when something changes.
	DueAt time.Time
	// NextStep says in words what falls due then, for the page: "page inference-lead (step 2)".
	NextStep string
	// Sequence is the number of the last order, strictly rising: its time in nanoseconds. Delivery.Wanted and Sent refer
	// to it.
	Sequence int64
}

// Open reports whether the group has an open episode.
func (g *Group) Open() bool { return g.ClosedAt.IsZero() }

// DeliveryKind is why a destination is to be told.
type DeliveryKind string

// The kinds.
const (
	DeliverPage   DeliveryKind = "page"   // first page of a step
	DeliverUpdate DeliveryKind = "update" // the group's members or tier changed after the first page
	DeliverRepeat DeliveryKind = "repeat" // nobody acknowledged
	DeliverEnd    DeliveryKind = "end"    // all have ended
	DeliverDigest DeliveryKind = "digest" // the daily batch of an owner's low alerts
)

// Delivery is what one destination has to be told about one topic, by level: it always means the latest state, so
// a page that could not be delivered is replaced by what is true when the destination is back.
type Delivery struct {
	// Topic is a Group.ID, or a digest's id for DeliverDigest. It is the dedup key on the wire.
	Topic string
	// Destination is one integration of one receiver, such as "inference-oncall/pagerduty[0]".
	Destination string
	Receiver    string
	Kind        DeliveryKind
	Tier        alert.Severity
	Step        int
	// Wanted is the topic's sequence that the destination must reach, Sent the last one that it accepted.
	Wanted, Sent int64
	// SentFiring says that the last accepted message told of something firing: only then an end is owed.
	SentFiring bool
	// Due is when to try (next); Attempts counts the failures since the last success.
	Due       time.Time
	Attempts  int
	OrderedAt time.Time // when Wanted was ordered
	LastError string
	// LeasedUntil keeps other replicas away while one sends.
	LeasedUntil time.Time
}

// Event is something that happened to an episode. Events are append-only.
type Event struct {
	// Seq orders events; assigned by the ledger.
	Seq int64
	At  time.Time
	// Name is one of alert.Event….
	Name      string
	EpisodeID string
	// By is the person, where one did it; "" for the system.
	By string
	// Severity and Owner are the episode's when it happened.
	Severity alert.Severity
	Owner    string
	Rule     string
	// Reason, Step, Receiver, Note and From say more, where there is more to say; From is the value before a change.
	Reason, Receiver, Note, From string
	Step                         int
}

// CounterKey names one of the counters, which outlast retention. Value is the outcome, the verdict, or the step's kind.
type CounterKey struct {
	Metric                    string // alert.MetricEpisodes, alert.MetricVerdicts, …
	Rule, Owner, SourceMetric string
	Severity                  alert.Severity
	Value                     string
}

// Counter is a counter's value.
type Counter struct {
	CounterKey
	N int64
}

// Histogram is a distribution of durations in seconds, in base-2 exponential buckets as OTLP has them: bucket i holds
// values in (base^i, base^(i+1)], base = 2^(2^-Scale).
type Histogram struct {
	CounterKey
	Scale    int32
	Zero     uint64
	Count    uint64
	Sum      float64
	Min, Max float64
	Buckets  map[int32]uint64
}
