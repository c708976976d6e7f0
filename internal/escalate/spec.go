package escalate

import (
	"time"
)

// Spec is a policy as it is configured. Its keys are those of the escalation exporter; Build checks and compiles it.
type Spec struct {
	// ExternalURL is where the receiver's page is reached. Optional: without it pages carry no address.
	ExternalURL string    `mapstructure:"external_url"`
	Tiers       TiersSpec `mapstructure:"tiers"`
	// GroupBy are the page labels that the episodes of a group share.
	GroupBy []string `mapstructure:"group_by"`
	// GroupInterval is how long after a message what changed since waits for the next one.
	GroupInterval time.Duration `mapstructure:"group_interval"`
	// AcknowledgeFor is how long an acknowledgement holds back the steps.
	AcknowledgeFor time.Duration `mapstructure:"acknowledge_for"`
	// LostAfter is how long an alert whose state is no longer repeated stays open as `no_data`.
	LostAfter time.Duration `mapstructure:"lost_after"`
	// Flapping says when an alert fires and ends too often to be paged each time.
	Flapping FlappingSpec         `mapstructure:"flapping"`
	Owners   map[string]OwnerSpec `mapstructure:"owners"`
}

// FlappingSpec calls an alert flapping that has fired or ended Changes times within a time; 0: none is.
type FlappingSpec struct {
	Changes int           `mapstructure:"changes"`
	Within  time.Duration `mapstructure:"within"`
}

// TiersSpec says when each tier's first page falls due.
type TiersSpec struct {
	Critical PagedSpec   `mapstructure:"critical"`
	High     PagedSpec   `mapstructure:"high"`
	Medium   PagedSpec   `mapstructure:"medium"`
	Low      BatchedSpec `mapstructure:"low"`
}

// PagedSpec is a tier that is paged.
type PagedSpec struct {
	// Window is the time between a group's opening and its first page.
	Window time.Duration `mapstructure:"window"`
	// RepeatInterval is how often the last step is repeated while nobody acknowledges; 0: never.
	RepeatInterval time.Duration `mapstructure:"repeat_interval"`
}

// BatchedSpec is a tier that is collected for a daily digest.
type BatchedSpec struct {
	// BatchAt is the time of day, "HH:MM", in TimeZone (a name of the IANA database).
	BatchAt  string `mapstructure:"batch_at"`
	TimeZone string `mapstructure:"time_zone"`
}

// OwnerSpec says whom an owner's alerts go to.
type OwnerSpec struct {
	// TimeZone is the one in which the owner's daily digest goes out; empty: that of the tier.
	TimeZone string `mapstructure:"time_zone"`
	// RespondWithin is how long after its first page somebody has to acknowledge: then the next step is taken, whatever
	// its `after`, or the last one repeated.
	RespondWithin time.Duration `mapstructure:"respond_within"`
	// Steps are taken one after the other until somebody acknowledges. An owner without steps falls to Unowned.
	Steps []StepSpec `mapstructure:"steps"`

	// AlertBudget is how many pages are bearable, such as "2 per 12h". It is measured, and holds nothing back.
	AlertBudget string `mapstructure:"alert_budget"`
	// MuteTimeIntervals and ActiveTimeIntervals name time_intervals in which the owner is not paged, and outside of which
	// it is not. What still fires afterwards is paged then.
	MuteTimeIntervals   []string `mapstructure:"mute_time_intervals"`
	ActiveTimeIntervals []string `mapstructure:"active_time_intervals"`
	// MuteCritical lets them hold critical alerts, too.
	MuteCritical bool `mapstructure:"mute_critical"`
}

// StepSpec is one step of an owner's chain.
type StepSpec struct {
	// After is the time since the step before. The first step has none: it is taken when the window has passed.
	After     time.Duration `mapstructure:"after"`
	Receivers []string      `mapstructure:"receivers"`
	// Tiers are those that the step is taken for. Empty: all for the first step, critical and high for later ones.
	Tiers []string `mapstructure:"tiers"`
}

// Unowned is the owner to whom everything falls that nobody else answers for.
const Unowned = "unowned"

// DefaultSpec returns the defaults. Owners have none: who is woken at night is for people to say.
func DefaultSpec() Spec {
	return Spec{
		Tiers: TiersSpec{
			Critical: PagedSpec{Window: 0, RepeatInterval: 15 * time.Minute},
			High:     PagedSpec{Window: 15 * time.Minute, RepeatInterval: time.Hour},
			Medium:   PagedSpec{Window: time.Hour, RepeatInterval: 4 * time.Hour},
			Low:      BatchedSpec{BatchAt: "09:00", TimeZone: "UTC"},
		},
		GroupBy:        []string{"owner", "alertname"},
		GroupInterval:  5 * time.Minute,
		AcknowledgeFor: 4 * time.Hour,
		LostAfter:      time.Hour,
		Flapping:       FlappingSpec{Changes: 4, Within: 20 * time.Minute},
	}
}
