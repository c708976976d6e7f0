package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

func TestRecordOpens(t *testing.T) {
	s := newStory(t)
	s.alert.Annotations = map[string]string{"summary": "full"}
	s.alert.Response = "Drain"
	s.alert.Actions = []alert.Action{alert.ActionRollback}
	s.alert.ObservedAt = s.now.Add(-time.Second)
	s.alert.FiringLevel = ptr(0.96)
	s.record(ledger.Opened)
	e := s.episode()
	assert.Regexp(t, `^[0-9a-z]{26}$`, e.ID)
	assert.Equal(t, &ledger.Episode{
		ID: e.ID, AlertID: "a", RuleGroup: "g", Rule: "KVCacheNearlyFull", Owner: "o", Severity: alert.High, Highest: alert.High,
		Labels: s.alert.Labels, Annotations: s.alert.Annotations, Response: "Drain", SourceMetric: "m", SourceUnit: "1",
		Reason: alert.ReasonThreshold, Value: ptr(0.97), Peak: ptr(0.97), Threshold: ptr(0.9), FiringLevel: ptr(0.96),
		Levels:  ledger.Levels{alert.High: {Threshold: ptr(0.9), Firing: ptr(0.96)}},
		Trace:   ledger.Trace{{At: s.alert.ObservedAt, Value: 0.97}},
		Actions: s.alert.Actions, StartsAt: s.alert.Start, StartedAt: s.alert.Start, ObservedAt: s.alert.ObservedAt,
		JudgedAt: s.alert.Time, SeenAt: s.now, OpenedAt: s.now, RaisedAt: s.now,
	}, e)
	assert.Equal(t, []ledger.Event{{
		Seq: 1, At: s.now, Name: alert.EventFired, EpisodeID: e.ID, Severity: alert.High, Owner: "o", Rule: "KVCacheNearlyFull",
		Reason: "threshold",
	}}, s.events(1))
}

func TestRecordIn(t *testing.T) {
	s := newStory(t)
	refused := errors.New("refused")
	assigned := 0
	record := func(assign func(*ledger.Episode) error) error {
		return s.do(func(tx ledger.Tx) error {
			s.alert.Time = s.alert.Time.Add(time.Second)
			_, e, err := ledger.RecordIn(tx, &s.alert, assign)
			if e != nil {
				s.id = e.ID
			}
			return err
		})
	}
	s.alert.Time = s.now
	assert.ErrorIs(t, record(func(*ledger.Episode) error { return refused }), refused)
	for range 2 {
		require.NoError(t, record(func(e *ledger.Episode) error {
			assigned++
			e.GroupID = "group"
			return nil
		}))
	}
	assert.Equal(t, 1, assigned, "only a new episode is assigned, and the refused one left nothing")
	assert.Equal(t, "group", s.episode().GroupID)
}

func TestRecordWithoutStart(t *testing.T) {
	s := newStory(t)
	s.alert.Start = s.now.Add(time.Hour)
	s.record(ledger.Opened)
	assert.Equal(t, s.now, s.episode().StartsAt, "a breach does not begin after it was reported")
	s.alert.ID, s.alert.Start = "b", time.Time{}
	s.record(ledger.Opened)
	assert.Equal(t, s.now, s.episode().StartsAt)
}

func TestRecordNothing(t *testing.T) {
	s := newStory(t)
	changed := s.Changed()
	for _, state := range []alert.State{alert.Pending, alert.Inactive} {
		s.alert.State = state
		s.record(ledger.Dropped)
	}
	select {
	case <-changed:
		t.Error("written")
	default:
	}
}

func TestRecordRepetition(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	changed := s.Changed()
	s.wait(time.Minute)
	s.alert.Value = ptr(0.99)
	s.record(ledger.Unchanged)
	s.alert.State, s.alert.Severity, s.alert.Owner = alert.Pending, alert.Low, "p"
	s.record(ledger.Unchanged)
	select {
	case <-changed:
		t.Error("a repetition was written")
	default:
	}
	assert.Equal(t, s.now, s.episode().SeenAt)
	assert.Equal(t, 0.99, *s.episode().Peak)

	s.alert.Time = s.alert.Time.Add(-time.Second) // the next judgement repeats the last one's time
	s.alert.State = alert.Inactive
	s.record(ledger.Dropped)
	assert.True(t, s.episode().Open())
}

func TestRecordSeverity(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.join(nil)
	opened := s.now
	s.must(func(tx ledger.Tx) error { return ledger.Judge(tx, s.id, ledger.TruePositive, "anna", "") })
	s.must(func(tx ledger.Tx) error { return ledger.Snooze(tx, s.id, s.now.Add(time.Hour), "anna", "") })

	s.wait(time.Minute)
	s.alert.Severity, s.alert.Threshold, s.alert.Value = alert.Medium, ptr(0.8), ptr(0.85)
	s.record(ledger.Lowered)
	e := s.episode()
	assert.Equal(t, alert.Medium, e.Severity)
	assert.Equal(t, alert.High, e.Highest)
	assert.Equal(t, opened, e.RaisedAt, "a fall is no rise")
	assert.False(t, e.SnoozedUntil.IsZero(), "a snooze outlives a fall")
	assert.Equal(t, 0.97, *e.Peak)
	assert.Equal(t, 0.8, *e.Threshold)

	s.must(func(tx ledger.Tx) error {
		g, err := tx.Group("group")
		g.DueAt, g.Dirty = s.now.Add(time.Hour), false
		if err != nil {
			return err
		}
		return tx.PutGroup(g)
	})
	s.wait(time.Minute)
	s.alert.Severity, s.alert.Threshold, s.alert.Value = alert.Critical, ptr(0.98), ptr(0.99)
	s.record(ledger.Raised)
	e = s.episode()
	assert.Equal(t, alert.Critical, e.Highest)
	assert.Equal(t, s.now, e.RaisedAt)
	assert.Zero(t, e.SnoozedUntil, "a rise ends a snooze")
	assert.Equal(t, 0.99, *e.Peak)
	assert.True(t, s.group().Dirty, "an update is owed")
	assert.Equal(t, s.now, s.group().DueAt)
	event := s.events(1)[0]
	assert.Equal(t, []any{alert.EventSeverity, alert.Critical, "medium"}, []any{event.Name, event.Severity, event.From})

	// The verdict is counted under the tier that the episode will be counted under at its end.
	s.view(func(tx ledger.Tx) error {
		counters, err := tx.Counters()
		for _, c := range counters {
			assert.Equal(t, c.Severity == alert.Critical, c.N == 1, "%+v", c)
		}
		assert.Len(t, counters, 2)
		return err
	})
}

func TestRecordOwner(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.must(func(tx ledger.Tx) error { return ledger.Judge(tx, s.id, ledger.Expected, "anna", "") })
	s.alert.Owner = "p"
	s.record(ledger.OwnerChanged)
	event := s.events(1)[0]
	assert.Equal(t, []any{alert.EventOwner, "p", "o"}, []any{event.Name, event.Owner, event.From})
	assert.Equal(t, int64(1), s.count(alert.MetricVerdicts, string(ledger.Expected)))

	s.alert.Owner, s.alert.Severity = "q", alert.Critical
	s.record(ledger.Raised)
	events := s.events(2)
	assert.Equal(t, alert.EventOwner, events[0].Name)
	assert.Equal(t, alert.EventSeverity, events[1].Name)
}

func TestNoData(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.alert.Reason, s.alert.Value = alert.ReasonNoData, nil
	s.record(ledger.DataLost)
	e := s.episode()
	assert.Equal(t, alert.ReasonNoData, e.Reason)
	assert.Equal(t, 0.97, *e.Value, "the last value that was observed")
	assert.Zero(t, e.LostAt, "the evaluator is heard of")
	s.record(ledger.Unchanged)
	s.alert.Reason, s.alert.Value = alert.ReasonThreshold, ptr(0.98)
	s.record(ledger.DataBack)
	assert.Equal(t, alert.ReasonThreshold, s.episode().Reason)
}

func TestLose(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.wait(time.Hour)
	lost := s.now
	for range 2 {
		s.must(func(tx ledger.Tx) error { return ledger.Lose(tx, s.id) })
		s.wait(time.Minute)
	}
	e := s.episode()
	assert.Equal(t, lost, e.LostAt)
	assert.Equal(t, alert.ReasonNoData, e.Reason)
	assert.Equal(t, alert.High, e.Severity)
	events := s.events(2)
	assert.Equal(t, alert.EventFired, events[0].Name, "losing twice is losing once")
	assert.Equal(t, alert.EventNoData, events[1].Name)

	s.alert.State = alert.Pending // the evaluator came back without its state
	s.record(ledger.DataBack)
	e = s.episode()
	assert.Zero(t, e.LostAt)
	assert.Equal(t, alert.ReasonThreshold, e.Reason)
}

func TestPeak(t *testing.T) {
	for name, test := range map[string]struct {
		threshold *float64
		values    []float64
		want      float64
	}{
		"above":                        {ptr(0.9), []float64{0.95, 0.99, 0.97}, 0.99},
		"above, within the clear band": {ptr(0.9), []float64{0.95, 0.85}, 0.95},
		"below":                        {ptr(10.0), []float64{5, 3, 4}, 3},
		"below, within the clear band": {ptr(10.0), []float64{5, 12}, 5},
		"at least, on the threshold":   {ptr(1.0), []float64{1, 2}, 2},
		"a threshold of zero":          {ptr(0.0), []float64{-1, -2}, -2},
		"no threshold":                 {nil, []float64{1, 3, 2}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t)
			s.alert.Threshold, s.alert.Value = test.threshold, &test.values[0]
			s.record(ledger.Opened)
			for _, v := range test.values[1:] {
				s.alert.Value = &v
				s.record(ledger.Unchanged)
			}
			assert.Equal(t, test.want, *s.episode().Peak, "observed")
			s.alert.Reason = alert.ReasonNoData
			s.record(ledger.DataLost)
			assert.Equal(t, test.want, *s.episode().Peak, "written")
			s.alert.State, s.alert.Value = alert.Inactive, ptr(1e6)
			s.record(ledger.Ended)
			assert.Equal(t, test.want, *s.episode().Peak, "a value that ends an alert is no peak")
			assert.Equal(t, 1e6, *s.episode().Value)
		})
	}
}

// Ten thousand episodes of one group make it due once.
func TestGroupIsWrittenOnce(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.join(nil)
	var puts int
	s.must(func(tx ledger.Tx) error {
		counting := &countingTx{Tx: tx, groups: &puts}
		for _, severity := range []alert.Severity{alert.Critical, alert.Low, alert.High} {
			s.alert.Severity, s.alert.Time = severity, s.alert.Time.Add(time.Second)
			if _, _, err := ledger.Record(counting, &s.alert); err != nil {
				return err
			}
		}
		return nil
	})
	assert.Equal(t, 1, puts)
}

type countingTx struct {
	ledger.Tx
	groups *int
}

func (tx *countingTx) PutGroup(g *ledger.Group) error {
	*tx.groups++
	return tx.Tx.PutGroup(g)
}
