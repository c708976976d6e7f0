package escalate

import (
	"testing"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/stretchr/testify/require"
)

// testSpec is the example of the documentation.
func testSpec() Spec {
	s := DefaultSpec()
	s.ExternalURL = "https://alerts.example.com/pager"
	s.Owners = map[string]OwnerSpec{
		"inference-platform": {
			TimeZone:      "Europe/Berlin",
			RespondWithin: 30 * time.Minute,
			Steps: []StepSpec{
				{Receivers: []string{"oncall"}},
				{After: 15 * time.Minute, Receivers: []string{"lead"}},
				{After: 30 * time.Minute, Receivers: []string{"head"}, Tiers: []string{"critical"}},
			},
		},
		"quiet": {},
		Unowned: {Steps: []StepSpec{{Receivers: []string{"everyone"}}}},
	}
	return s
}

func knownReceiver(name string) bool {
	switch name {
	case "oncall", "lead", "head", "everyone":
		return true
	}
	return false
}

// knownDocument has time intervals for the tests' owners.
var knownDocument = Document{
	Receiver: knownReceiver,
	TimeIntervals: map[string][]timeinterval.TimeInterval{
		"coffee": {{Times: []timeinterval.TimeRange{{StartMinute: 12*60 + 20, EndMinute: 12*60 + 32}}}},
		// 13:00 to 14:00 UTC
		"lunch": {{Times: []timeinterval.TimeRange{{StartMinute: 13 * 60, EndMinute: 14 * 60}}}},
		// Monday to Friday, 9:00 to 17:00 in Berlin
		"office": {{
			Times:    []timeinterval.TimeRange{{StartMinute: 9 * 60, EndMinute: 17 * 60}},
			Weekdays: []timeinterval.WeekdayRange{{InclusiveRange: timeinterval.InclusiveRange{Begin: 1, End: 5}}},
			Location: &timeinterval.Location{Location: mustZone("Europe/Berlin")},
		}},
	},
}

func mustZone(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return zone
}

func testPolicy(t *testing.T) *Policy {
	t.Helper()
	p, err := Build(testSpec(), knownDocument)
	require.NoError(t, err)
	return p
}

// noon is a Monday in winter, when Berlin is an hour ahead of UTC.
var noon = time.Date(2026, 1, 12, 12, 0, 0, 0, time.UTC)

func TestStories(t *testing.T) {
	for name, script := range map[string]string{
		"the example of the exporter's README": `
			0s   fire gpu-1 high
			9m   fire gpu-2 high
			15m  => page oncall (step 1): window_passed
			17m  fire gpu-3 high
			20m  => update oncall (step 1): members_changed
			30m  => page lead (step 2): not_acknowledged
			40m  turn gpu-1 critical
			40m  => page oncall (step 1): tier_rose
			40m  => update lead (step 1): tier_rose
			42m  acknowledge ada
			50m  end gpu-2
			55m  end gpu-1
			58m  end gpu-3
			58m  => end oncall, lead (step 1): ended`,
		"critical is paged at once, and up the chain until the last": `
			0s   fire a critical
			0s   => page oncall (step 1): window_passed
			15m  => page lead (step 2): not_acknowledged
			45m  => page head (step 3): not_acknowledged
			1h   => repeat head (step 3): repeat_interval
			1h10m end a
			1h10m => end oncall, lead, head (step 3): ended`,
		"high is paged after its window": `
			0s   fire a high
			15m  => page oncall (step 1): window_passed
			30m  => page lead (step 2): not_acknowledged
			1h30m => repeat lead (step 2): repeat_interval
			2h   look`,
		"medium has one step, and is repeated": `
			0s   fire a medium
			1h   => page oncall (step 1): window_passed
			5h   => repeat oncall (step 1): repeat_interval
			5h   look`,
		"what recovers within its window pages nobody": `
			0s   fire a high
			14m  end a
			14m  => nothing: self_resolved
			2h   look`,
		"what joins within the window goes out with the first page": `
			0s   fire a high
			14m  fire b high
			15m  => page oncall (step 1): window_passed
			25m  look`,
		"who recovers within the window is no concern of the others": `
			0s   fire a high
			5m   fire b high
			10m  end a
			15m  => page oncall (step 1): window_passed
			16m  end b
			16m  => end oncall (step 1): ended`,
		"an acknowledgement stops the steps and expires": `
			0s   fire a critical
			0s   => page oncall (step 1): window_passed
			5m   acknowledge ada
			4h5m => repeat oncall (step 1): acknowledgement_expired
			4h20m => page lead (step 2): not_acknowledged
			4h21m look`,
		"acknowledging again lasts from then on": `
			0s   fire a critical
			0s   => page oncall (step 1): window_passed
			5m   acknowledge ada
			4h   acknowledge ada
			8h   => repeat oncall (step 1): acknowledgement_expired
			8h1m look`,
		"acknowledged before its page": `
			0s   fire a high
			5m   acknowledge ada
			4h5m => page oncall (step 1): acknowledgement_expired
			4h6m look`,
		"the end of an acknowledged alert goes to who was paged": `
			0s   fire a critical
			0s   => page oncall (step 1): window_passed
			5m   acknowledge ada
			9m   end a
			9m   => end oncall (step 1): ended`,
		"a rise to critical is paged at once and starts the steps anew": `
			0s   fire a high
			15m  => page oncall (step 1): window_passed
			30m  => page lead (step 2): not_acknowledged
			40m  turn a critical
			40m  => page oncall (step 1): tier_rose
			40m  => update lead (step 1): tier_rose
			55m  => page lead (step 2): not_acknowledged
			1h   look`,
		"a rise applies the new tier's window from the rise": `
			0s   fire a medium
			1h   => page oncall (step 1): window_passed
			1h30m turn a high
			1h45m => page oncall (step 1): tier_rose
			2h   => page lead (step 2): not_acknowledged
			2h   look`,
		"a rise that recovers within its window pages nobody": `
			0s   fire a medium
			1h   => page oncall (step 1): window_passed
			2h   turn a high
			2h10m turn a medium
			5h   => repeat oncall (step 1): repeat_interval
			5h   look`,
		"a rise never postpones a page": `
			0s   fire a medium
			50m  turn a high
			1h   => page oncall (step 1): window_passed
			1h   look`,
		"flapping between two tiers is paged all the same": `
			0s   fire a medium
			10m  turn a high
			20m  turn a medium
			30m  turn a high
			40m  turn a medium
			55m  turn a high
			1h   => page oncall (step 1): window_passed
			1h   look`,
		"a fall before the page goes by the lower tier's window": `
			0s   fire a high
			10m  turn a medium
			1h   => page oncall (step 1): window_passed
			1h   look`,
		"a fall after the page is an update, and repeats go to the lower tier's people": `
			0s   fire a critical
			0s   => page oncall (step 1): window_passed
			15m  => page lead (step 2): not_acknowledged
			45m  => page head (step 3): not_acknowledged
			50m  turn a high
			50m  => update oncall, lead, head (step 2): members_changed
			1h45m => repeat lead (step 2): repeat_interval
			1h50m look`,
		"what joins after the page is an update every group_interval": `
			0s   fire a high
			15m  => page oncall (step 1): window_passed
			16m  fire b high
			17m  fire c medium
			20m  => update oncall (step 1): members_changed
			21m  end b
			25m  => update oncall (step 1): members_changed
			29m  look`,
		"what joins and raises the tier is an update at once; its page comes by its window": `
			0s   fire a medium
			1h   => page oncall (step 1): window_passed
			1h10m fire b high
			1h10m => update oncall (step 1): higher_tier_joined
			1h25m => page oncall (step 1): tier_rose
			1h39m look`,
		"in an acknowledged group only a higher tier pages": `
			0s   fire a high
			15m  => page oncall (step 1): window_passed
			16m  acknowledge ada
			20m  fire b high
			30m  fire c critical
			30m  => page oncall (step 1): tier_rose
			44m  look`,
		"what joined an acknowledged group goes out when the acknowledgement expires": `
			0s   fire a high
			15m  => page oncall (step 1): window_passed
			16m  acknowledge ada
			20m  fire b high
			4h16m => repeat oncall (step 1): acknowledgement_expired
			4h20m look`,
		"a snooze stops pages and steps of the only episode": `
			0s   fire a critical
			0s   => page oncall (step 1): window_passed
			5m   snooze a 1h
			1h5m => repeat oncall (step 1): snooze_ended
			1h20m => page lead (step 2): not_acknowledged
			1h21m look`,
		"snoozed the moment that it was paged": `
			0s   fire a critical
			0s   => page oncall (step 1): window_passed
			0s   snooze a 1h
			1h   => repeat oncall (step 1): snooze_ended
			1h1m look`,
		"a group that went out in a digest stays with its owner": `
			0s   fire a low
			20h  => digest oncall of inference-platform: batch_time
			21h  give a quiet
			22h  fire b low quiet
			44h  => digest oncall of inference-platform: batch_time
			45h  look`,
		"a snooze of one does not hold back the others": `
			0s   fire a critical
			0s   => page oncall (step 1): window_passed
			2m   fire b high
			3m   snooze a 1h
			5m   => update oncall (step 1): members_changed
			15m  => page lead (step 2): not_acknowledged
			1h3m => page oncall (step 1): tier_rose
			1h3m => update lead (step 1): tier_rose
			1h4m look`,
		"a rise ends the snooze": `
			0s   fire a high
			15m  => page oncall (step 1): window_passed
			16m  snooze a 8h
			20m  turn a critical
			20m  => page oncall (step 1): tier_rose
			34m  look`,
		"snoozed before its page, paged when the snooze ends": `
			0s   fire a high
			5m   snooze a 1h
			1h5m => page oncall (step 1): window_passed
			1h6m look`,
		"who joins a sleeping group wakes it": `
			0s   fire a critical
			0s   => page oncall (step 1): window_passed
			5m   snooze a 8h
			30m  fire b critical
			30m  => repeat oncall (step 1): snooze_ended
			44m  look`,
		"low goes out with the batch, at nine in the owner's zone": `
			0s   fire a low
			3h   fire b low
			20h  => digest oncall of inference-platform: batch_time
			25h  end a
			25h  end b
			25h  => nothing: closed`,
		"low that recovered before the batch is reported all the same": `
			0s   fire a low
			1h   end a
			1h   => nothing: collecting
			20h  => digest oncall of inference-platform: batch_time
			99h  look`,
		"what joins a digested group waits for the next batch": `
			0s   fire a low
			20h  => digest oncall of inference-platform: batch_time
			21h  fire b low
			44h  => digest oncall of inference-platform: batch_time
			99h  look`,
		"a low alert that rises is paged by its new window": `
			0s   fire a low
			20h  => digest oncall of inference-platform: batch_time
			30h  turn a high
			30h15m => page oncall (step 1): window_passed
			30h20m look`,
		"a snoozed low alert waits for the batch after it wakes": `
			0s   fire a low
			19h  snooze a 2h
			44h  => digest oncall of inference-platform: batch_time
			45h  look`,
		"an owner without steps falls to unowned": `
			0s   fire a critical quiet
			0s   => page everyone (step 1): window_passed
			14m  look`,
		"so does an owner that nobody knows": `
			0s   fire a high nobody
			15m  => page everyone (step 1): window_passed
			20m  look`,
		"a new owner is paged at once": `
			0s   fire a critical
			0s   => page oncall (step 1): window_passed
			5m   acknowledge ada
			10m  give a quiet
			10m  => page everyone (step 1): owner_changed
			10m  => update oncall (step 1): owner_changed
			11m  look`,
	} {
		t.Run(name, func(t *testing.T) { play(t, patientPolicy(t), noon, script) })
	}
}

// patientPolicy is testPolicy with an owner that has promised nothing.
func patientPolicy(t *testing.T) *Policy {
	t.Helper()
	s := testSpec()
	owner := s.Owners["inference-platform"]
	owner.RespondWithin = 0
	s.Owners["inference-platform"] = owner
	p, err := Build(s, knownDocument)
	require.NoError(t, err)
	return p
}
