package escalate

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

func TestBuildSaysWhatIsWrongAndWhere(t *testing.T) {
	steps := func(s *Spec) []StepSpec { return s.Owners["inference-platform"].Steps }
	with := func(s *Spec, steps ...StepSpec) {
		o := s.Owners["inference-platform"]
		o.Steps = steps
		s.Owners["inference-platform"] = o
	}
	oncall := StepSpec{Receivers: []string{"oncall"}}
	for want, change := range map[string]func(*Spec){
		`external_url: must be an absolute http or https address (got "alerts.example.com")`:                        func(s *Spec) { s.ExternalURL = "alerts.example.com" },
		`external_url: must be an absolute http or https address (got "ftp://alerts.example.com")`:                  func(s *Spec) { s.ExternalURL = "ftp://alerts.example.com" },
		`external_url: must have no user, query or fragment: every page carries it (got "https://ada:xxxxx@a.b/")`:  func(s *Spec) { s.ExternalURL = "https://ada:secret@a.b/" },
		`tiers.high.window: must not be negative (got -5s)`:                                                         func(s *Spec) { s.Tiers.High.Window = -5 * time.Second },
		`tiers.medium.repeat_interval: must not be negative (got -1ns)`:                                             func(s *Spec) { s.Tiers.Medium.RepeatInterval = -1 },
		`tiers.low.batch_at: must be a time of day as "HH:MM" (got "9:00")`:                                         func(s *Spec) { s.Tiers.Low.BatchAt = "9:00" },
		`tiers.low.batch_at: must be a time of day as "HH:MM" (got "24:00")`:                                        func(s *Spec) { s.Tiers.Low.BatchAt = "24:00" },
		`tiers.low.time_zone: must be a name such as "Europe/Berlin" or "UTC": unknown time zone Mars (got "Mars")`: func(s *Spec) { s.Tiers.Low.TimeZone = "Mars" },
		`tiers.low.time_zone: must be a name such as "Europe/Berlin" or "UTC" (got "Local")`:                        func(s *Spec) { s.Tiers.Low.TimeZone = "Local" },
		`group_by: must contain "owner": a group is paged to one owner (got ["alertname"])`:                         func(s *Spec) { s.GroupBy = []string{"alertname"} },
		`group_by[1]: must not be the tier: a rise would open another group (got "severity")`:                       func(s *Spec) { s.GroupBy = []string{"owner", "severity"} },
		`group_by[1]: must not be named twice (got "owner")`:                                                        func(s *Spec) { s.GroupBy = []string{"owner", "owner"} },
		`group_by[1]: is not supported: to page every alert by itself, use "alert_id" (got "...")`:                  func(s *Spec) { s.GroupBy = []string{"owner", "..."} },
		`group_by[1]: must not be the episode: use "alert_id" to page every alert by itself (got "episode_id")`:     func(s *Spec) { s.GroupBy = []string{"owner", "episode_id"} },
		`group_by[1]: must not be empty`:                                                                            func(s *Spec) { s.GroupBy = []string{"owner", ""} },
		`group_interval: must be positive (got 0s)`:                                                                 func(s *Spec) { s.GroupInterval = 0 },
		`acknowledge_for: must be positive (got -1h0m0s)`:                                                           func(s *Spec) { s.AcknowledgeFor = -time.Hour },
		`lost_after: must be positive (got 0s)`:                                                                     func(s *Spec) { s.LostAfter = 0 },
		`owners.unowned: must exist: alerts whose owner has no steps go there`:                                      func(s *Spec) { delete(s.Owners, Unowned) },
		`owners.unowned.steps: must not be empty: alerts whose owner has no steps go there`:                         func(s *Spec) { s.Owners[Unowned] = OwnerSpec{} },
		`owners.inference-platform.time_zone: must be a name such as "Europe/Berlin" or "UTC": unknown time zone X (got "X")`: func(s *Spec) {
			s.Owners["inference-platform"] = OwnerSpec{TimeZone: "X", Steps: steps(s)}
		},
		`owners.inference-platform.respond_within: must not be negative (got -1s)`: func(s *Spec) {
			s.Owners["inference-platform"] = OwnerSpec{RespondWithin: -time.Second, Steps: steps(s)}
		},
		`owners.inference-platform.alert_budget: must be a number of pages and a time, such as "2 per 12h" (got "2/12h")`: func(s *Spec) {
			s.Owners["inference-platform"] = OwnerSpec{AlertBudget: "2/12h", Steps: steps(s)}
		},
		`owners.inference-platform.alert_budget: must be a number of pages and a time, such as "2 per 12h" (got "0 per 12h")`: func(s *Spec) {
			s.Owners["inference-platform"] = OwnerSpec{AlertBudget: "0 per 12h", Steps: steps(s)}
		},
		`owners.inference-platform.mute_time_intervals[0]: no entry of time_intervals has this name (got "nights")`: func(s *Spec) {
			s.Owners["inference-platform"] = OwnerSpec{MuteTimeIntervals: []string{"nights"}, Steps: steps(s)}
		},
		`owners.inference-platform.active_time_intervals[1]: no entry of time_intervals has this name (got "days")`: func(s *Spec) {
			s.Owners["inference-platform"] = OwnerSpec{ActiveTimeIntervals: []string{"office", "days"}, Steps: steps(s)}
		},
		`owners.inference-platform.mute_critical: says nothing without mute_time_intervals or active_time_intervals`: func(s *Spec) {
			s.Owners["inference-platform"] = OwnerSpec{MuteCritical: true, Steps: steps(s)}
		},
		`flapping.changes: must be from 2 to 16, or 0 for none (got 17)`: func(s *Spec) { s.Flapping.Changes = 17 },
		`flapping.changes: must be from 2 to 16, or 0 for none (got 1)`:  func(s *Spec) { s.Flapping.Changes = 1 },
		`flapping.within: must be positive (got 0s)`:                     func(s *Spec) { s.Flapping.Within = 0 },
		`owners.inference-platform.steps[0].receivers[0]: no receiver has this name (got "nobody")`: func(s *Spec) {
			with(s, StepSpec{Receivers: []string{"nobody"}})
		},
		`owners.inference-platform.steps[0].receivers[1]: must not be named twice (got "oncall")`: func(s *Spec) {
			with(s, StepSpec{Receivers: []string{"oncall", "oncall"}})
		},
		`owners.inference-platform.steps[0].receivers: must not be empty`: func(s *Spec) { with(s, StepSpec{}) },
		`owners.inference-platform.steps[0].after: must not be set: the first step is taken when the tier's window has passed (got 5m0s)`: func(s *Spec) {
			with(s, StepSpec{After: 5 * time.Minute, Receivers: []string{"oncall"}})
		},
		`owners.inference-platform.steps[1].after: must be positive: it is the time since the step before (got 0s)`: func(s *Spec) {
			with(s, oncall, StepSpec{Receivers: []string{"lead"}})
		},
		`owners.inference-platform.steps[1].tiers[0]: must be one of critical, high, medium, low (got "urgent")`: func(s *Spec) {
			with(s, oncall, StepSpec{After: time.Minute, Receivers: []string{"lead"}, Tiers: []string{"urgent"}})
		},
		`owners.inference-platform.steps[1].tiers[1]: must not be named twice (got "high")`: func(s *Spec) {
			with(s, oncall, StepSpec{After: time.Minute, Receivers: []string{"lead"}, Tiers: []string{"high", "high"}})
		},
		`owners.inference-platform.steps[1].tiers: is never taken for low, which goes out in one digest to its first step, steps[0]`: func(s *Spec) {
			with(s, oncall, StepSpec{After: time.Minute, Receivers: []string{"lead"}, Tiers: []string{"low"}})
		},
		`owners.inference-platform.steps: no step is taken for medium: name it in a step's tiers`: func(s *Spec) {
			with(s, StepSpec{Receivers: []string{"oncall"}, Tiers: []string{"critical", "high", "low"}})
		},
	} {
		s := testSpec()
		change(&s)
		_, err := Build(s, knownDocument)
		require.EqualError(t, err, want)
	}
}

func TestBuildJoinsEverythingThatIsWrong(t *testing.T) {
	s := testSpec()
	s.GroupInterval, s.LostAfter = 0, 0
	delete(s.Owners, Unowned)
	_, err := Build(s, knownDocument)
	require.Equal(t, 3, len(strings.Split(err.Error(), "\n")))
}

func TestEmptyValuesAskForNothing(t *testing.T) {
	s := testSpec()
	s.Owners["quiet"] = OwnerSpec{MuteTimeIntervals: []string{}, MuteCritical: false}
	_, err := Build(s, knownDocument)
	require.NoError(t, err)
}

func TestStepsByTier(t *testing.T) {
	s := testSpec()
	s.Owners["digests"] = OwnerSpec{Steps: []StepSpec{
		{Receivers: []string{"oncall"}, Tiers: []string{"critical", "high", "medium"}},
		{After: time.Hour, Receivers: []string{"everyone"}, Tiers: []string{"low"}},
	}}
	p, err := Build(s, knownDocument)
	require.NoError(t, err)
	o := p.ownerOf("digests")
	require.Equal(t, 2, o.next(0, alert.Low))
	require.Equal(t, 1, o.next(0, alert.Critical))
	require.Zero(t, o.next(1, alert.Critical))
	require.Equal(t, []string{"everyone", "head", "lead", "oncall"}, p.Receivers())
}
