package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// ErrNotFound is returned where an episode, group or delivery does not exist.
var ErrNotFound = errors.New("not found")

// ErrConflict is returned where a second episode of an alert, or a second group with a key, would be open.
var ErrConflict = errors.New("another one is open")

// Ledger is a database of episodes. Every method is safe for concurrent use.
type Ledger interface {
	// Update runs fn in a read-write transaction and returns when what fn did is durable. Concurrent calls share one
	// commit; each fails or succeeds on its own. fn may be run again, so it must not keep results of a run that
	// failed. now is the caller's clock; a database shared by replicas uses its own instead (see Tx.Now).
	//
	// A failed statement fails the update, even where fn hides it; a panic in fn becomes an error. An error of ctx may
	// come after fn has run: then nobody waited for the commit, and what it did may yet become durable.
	Update(ctx context.Context, now time.Time, fn func(Tx) error) error
	// View runs fn in a read-only transaction that sees one consistent state.
	View(ctx context.Context, now time.Time, fn func(Tx) error) error
	// Changed returns a channel that is closed at the next commit of an Update that changed something: get it before reading.
	Changed() <-chan struct{}
	// Observe keeps the latest observation of open episodes in memory, by episode id. Reads show it; it is written
	// with the next Put of the episode. A mere repetition of a state is told here and writes nothing.
	Observe(observations map[string]Observation)
	// Healthy returns nil, or why the database cannot be used now.
	Healthy(ctx context.Context) error
	// Standing says what this Collector is among those that use the database. A change closes Changed's channel.
	Standing() Standing
}

// Standing is what a Collector is among those that use a ledger.
type Standing struct {
	// Shared: the database is one that several may use at the same time.
	Shared bool
	// Leads: this is the one that works on what is due. Of an embedded database it always is. One that has lost its
	// connection without knowing may believe it for a while longer: what it sends twice has the same key.
	Leads bool
	// Others counts the commits of others that it has heard of.
	Others int64
}

// Observation is what a mere repetition of a firing state tells.
type Observation struct {
	Value, FiringLevel *float64
	Levels             Levels
	ObservedAt         time.Time
	JudgedAt           time.Time
	SeenAt             time.Time
}

// Tx is one transaction. It is valid only within the function that it is given to.
type Tx interface {
	// Now is the clock that decides what is due: the caller's for an embedded database, the server's for a shared one.
	Now() time.Time
	// Leads asks the database whether this Collector leads. Standing may be out of date where the process was frozen.
	Leads() (bool, error)

	// Episode returns the episode with an id, or ErrNotFound.
	Episode(id string) (*Episode, error)
	// LastEpisode returns the newest episode of an alert, open or ended, or ErrNotFound.
	LastEpisode(alertID string) (*Episode, error)
	// Episodes returns those that match, newest first (by OpenedAt, then id).
	Episodes(q Query) ([]*Episode, error)
	// PutEpisode inserts or replaces.
	PutEpisode(e *Episode) error

	// Group returns a group by id, or ErrNotFound.
	Group(id string) (*Group, error)
	// GroupByKey returns a group by its id, or by the SHA-256 of its id in hex, as products have it that were sent that; or
	// ErrNotFound.
	GroupByKey(key string) (*Group, error)
	// OpenGroup returns the open group with a key, or ErrNotFound.
	OpenGroup(key string) (*Group, error)
	// DueGroups claims open groups, and closed ones that still owe something, whose DueAt is not after Now: the most
	// urgent tier first, then the earliest due. Claimed groups are locked to this transaction.
	DueGroups(limit int) ([]*Group, error)
	// NextGroupDue is the earliest DueAt of all groups; zero where there is none.
	NextGroupDue() (time.Time, error)
	// GroupEpisodes returns the group's episodes, open and ended, oldest first.
	GroupEpisodes(groupID string) ([]*Episode, error)
	// DigestEpisodes returns the episodes of all groups that went out in a digest, oldest first.
	DigestEpisodes(digestID string) ([]*Episode, error)
	PutGroup(g *Group) error

	// Delivery returns the delivery of a topic to a destination, or ErrNotFound.
	Delivery(topic, destination string) (*Delivery, error)
	// Deliveries returns all deliveries of a topic.
	Deliveries(topic string) ([]*Delivery, error)
	// DueDeliveries claims deliveries with Wanted > Sent, Due and LeasedUntil not after Now: most urgent first, then
	// the earliest due. The caller leases them by Put with LeasedUntil before it sends.
	DueDeliveries(limit int) ([]*Delivery, error)
	// LeasedDeliveries returns deliveries with Wanted > Sent that somebody has leased, whether or not the lease has run out.
	LeasedDeliveries() ([]*Delivery, error)
	// NextDeliveryDue is the earliest time at which DueDeliveries would return something; zero where there is none.
	NextDeliveryDue() (time.Time, error)
	PutDelivery(d *Delivery) error

	// Silence returns a silence by id, or ErrNotFound.
	Silence(id string) (*Silence, error)
	// Silences returns those that end after a time, by start and id.
	Silences(endsAfter time.Time) ([]*Silence, error)
	PutSilence(s *Silence) error

	// Action returns an action by id, or ErrNotFound.
	Action(id string) (*Action, error)
	// Actions returns those that match, newest first.
	Actions(q ActionQuery) ([]*Action, error)
	// DueActions claims actions whose DueAt is set and, as LeasedUntil, not after Now: the earliest due first.
	DueActions(limit int) ([]*Action, error)
	// NextActionDue is the earliest time at which DueActions would return something; zero where there is none.
	NextActionDue() (time.Time, error)
	PutAction(a *Action) error

	// Trial returns a test page by id, or ErrNotFound. Trials returns those that nobody has sent yet, oldest first.
	Trial(id string) (*Trial, error)
	Trials() ([]*Trial, error)
	PutTrial(t *Trial) error

	// Samples returns the episodes of a rule opened at or after a time, oldest first. What was only observed since they were
	// written is not in them.
	Samples(rule string, since time.Time) ([]*Sample, error)
	// Paged counts the groups of an owner that were first paged at or after a time.
	Paged(owner string, since time.Time) (int64, error)
	// Misses returns what was missed at or after a time, by a rule or, for "", by any, oldest first.
	Misses(rule string, since time.Time) ([]*Miss, error)
	PutMiss(m *Miss) error

	// LastExplored returns the newest episode of an alert's silent track, open or ended, or ErrNotFound.
	LastExplored(alertID string) (*Explored, error)
	// Explored returns those of a rule opened at or after a time, oldest first; of more than limit the newest.
	Explored(rule string, since time.Time, limit int) ([]*Explored, error)
	PutExplored(e *Explored) error

	// LastChange returns the newest change of a tier's threshold, or ErrNotFound.
	LastChange(rule string, tier alert.Severity, bound string) (*Change, error)
	// Changes returns the changes of a rule's thresholds at or after a time or, for "", of any rule's, oldest first.
	Changes(rule string, since time.Time) ([]*Change, error)
	PutChange(c *Change) error

	// Once reports whether an event of a source is here for the first time, and remembers it.
	Once(source, id string) (first bool, err error)

	// AppendEvent adds an event and sets its Seq and, where zero, its At. An event without EpisodeID is about a rule.
	AppendEvent(e *Event) error
	// EpisodeEvents returns one episode's events, oldest first.
	EpisodeEvents(episodeID string) ([]*Event, error)
	// EventsAfter returns events of all episodes with a greater Seq, in order. LastEvent is the greatest Seq, 0 where there
	// is no event.
	EventsAfter(seq int64, limit int) ([]*Event, error)
	LastEvent() (int64, error)

	// Count adds delta to a counter; Measure adds a duration in seconds to a histogram.
	Count(key CounterKey, delta int64) error
	Measure(key CounterKey, seconds float64) error
	// Counters and Histograms return all of them, ordered by key.
	Counters() ([]Counter, error)
	Histograms() ([]Histogram, error)
	// CountersSince is when counting began: the ledger's first start.
	CountersSince() (time.Time, error)
	// Tallies groups the episodes opened at or after since.
	Tallies(since time.Time) ([]Tally, error)

	// Cursor and PutCursor store a named position in a stream, such as the last event exported.
	Cursor(name string) (int64, error)
	PutCursor(name string, position int64) error
	// Setting and PutSetting store small named values, such as a secret made at first start. Missing is "".
	Setting(name string) (string, error)
	PutSetting(name, value string) error
}

// Query selects episodes; the zero value selects all.
type Query struct {
	// Open, where set, selects open or ended ones.
	Open *bool
	// Rule, Owner and Severity select by equality where not empty.
	Rule, Owner string
	Severity    alert.Severity
	// AlertID selects the episodes of one alert, Highest those of which this was the most urgent tier.
	AlertID string
	Highest alert.Severity
	// Verdict selects by verdict; Unjudged selects those with none.
	Verdict  Verdict
	Unjudged bool
	// Told selects those that people were told of: paged, or low, which go into the daily digest.
	Told bool
	// Since and Until bound OpenedAt: [Since, Until).
	Since, Until time.Time
	// EndedSince selects those that ended at or after it.
	EndedSince time.Time
	// After continues behind the last episode of the page before; Limit 0 means 1000.
	After *Episode
	Limit int
}

// Tally counts the episodes of one rule, tier, owner and source metric in a span of time.
type Tally struct {
	Rule, Owner, SourceMetric string
	Severity                  alert.Severity // the highest the episode had
	Episodes, Open            int64
	OldestOpen                time.Time
	Notified                  int64
	// NotifiedJudged counts the notified ones that have a verdict.
	NotifiedJudged int64
	// Transient are those that recovered soon, with nobody having taken them on; Flapping those that flapped.
	Transient, Flapping int64
	// NotifiedEnded are the notified ones that have ended; Unacknowledged those of them that nobody acknowledged, resolved or
	// judged.
	NotifiedEnded, Unacknowledged int64
	// Unjudged are the ended ones that people were told of (Query.Told) and that have no verdict.
	Unjudged int64
	Verdicts map[Verdict]int64
}

// Add adds what another tally has counted.
func (t *Tally) Add(other *Tally) {
	t.Severity = max(t.Severity, other.Severity)
	t.Episodes += other.Episodes
	t.Open += other.Open
	if t.OldestOpen.IsZero() || !other.OldestOpen.IsZero() && other.OldestOpen.Before(t.OldestOpen) {
		t.OldestOpen = other.OldestOpen
	}
	t.Notified += other.Notified
	t.NotifiedJudged += other.NotifiedJudged
	t.Transient += other.Transient
	t.Flapping += other.Flapping
	t.NotifiedEnded += other.NotifiedEnded
	t.Unacknowledged += other.Unacknowledged
	t.Unjudged += other.Unjudged
	if t.Verdicts == nil {
		t.Verdicts = map[Verdict]int64{}
	}
	for v, n := range other.Verdicts {
		t.Verdicts[v] += n
	}
}
