package ledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

// story tells a ledger one thing after the other. Its clock stands still unless told to go on.
type story struct {
	*testing.T
	ledger.Ledger
	now   time.Time
	alert alert.Alert
	id    string // of the episode that was last recorded
}

func newStory(t *testing.T) *story {
	return &story{T: t, Ledger: ledgertest.New(t), now: ledgertest.Epoch, alert: alert.Alert{
		ID: "a", Group: "g", Rule: "KVCacheNearlyFull", Owner: "o", Severity: alert.High, State: alert.Firing,
		Reason: alert.ReasonThreshold, Start: ledgertest.Epoch.Add(-time.Minute), SourceMetric: "m", SourceUnit: "1",
		Labels: map[string]string{"instance": "x"}, Value: ptr(0.97), Threshold: ptr(0.9),
	}}
}

func ptr[T any](v T) *T { return &v }

func (s *story) wait(d time.Duration) { s.now = s.now.Add(d) }

func (s *story) do(fn func(ledger.Tx) error) error { return s.Update(context.Background(), s.now, fn) }

func (s *story) must(fn func(ledger.Tx) error) {
	s.Helper()
	require.NoError(s, s.do(fn))
}

// record judges the alert as it is, a second after the judgement before. It takes a mere repetition to Observe, as
// the exporter does.
func (s *story) record(want ledger.ChangeKind) {
	s.Helper()
	if s.alert.Time.IsZero() {
		s.alert.Time = s.now
	}
	s.alert.Time = s.alert.Time.Add(time.Second)
	var kind ledger.ChangeKind
	s.must(func(tx ledger.Tx) (err error) {
		var e *ledger.Episode
		kind, e, err = ledger.Record(tx, &s.alert)
		if e != nil {
			s.id = e.ID
		}
		return err
	})
	require.Equal(s, want, kind)
	if kind == ledger.Unchanged {
		s.Observe(map[string]ledger.Observation{s.id: {
			Value: s.alert.Value, FiringLevel: s.alert.FiringLevel, ObservedAt: s.alert.ObservedAt, JudgedAt: s.alert.Time, SeenAt: s.now,
		}})
	}
}

// join puts the episode into a group that owes nothing.
func (s *story) join(change func(*ledger.Group)) {
	s.must(func(tx ledger.Tx) error {
		e, err := tx.Episode(s.id)
		if err != nil {
			return err
		}
		e.GroupID = "group"
		g := &ledger.Group{ID: "group", Key: "k", Tier: e.Severity, OpenedAt: s.now, NextStep: "page somebody", DueAt: s.now.Add(time.Hour)}
		if change != nil {
			change(g)
		}
		if err := tx.PutGroup(g); err != nil {
			return err
		}
		return tx.PutEpisode(e)
	})
}

func (s *story) episode() (e *ledger.Episode) {
	s.view(func(tx ledger.Tx) (err error) {
		e, err = tx.Episode(s.id)
		return err
	})
	return e
}

func (s *story) group() (g *ledger.Group) {
	s.view(func(tx ledger.Tx) (err error) {
		g, err = tx.Group("group")
		return err
	})
	return g
}

// events are the last n of the episode.
func (s *story) events(n int) (events []ledger.Event) {
	s.view(func(tx ledger.Tx) error {
		all, err := tx.EpisodeEvents(s.id)
		require.GreaterOrEqual(s, len(all), n)
		for _, e := range all[len(all)-n:] {
			events = append(events, *e)
		}
		return err
	})
	return events
}

func (s *story) count(metric, value string) (n int64) {
	s.view(func(tx ledger.Tx) error {
		counters, err := tx.Counters()
		for _, c := range counters {
			if c.Metric == metric && c.Value == value {
				n += c.N
			}
		}
		return err
	})
	return n
}

// measured is the sum of a histogram, and how often it was measured.
func (s *story) measured(metric string) (sum time.Duration, times uint64) {
	s.view(func(tx ledger.Tx) error {
		histograms, err := tx.Histograms()
		for _, h := range histograms {
			if h.Metric == metric {
				sum += time.Duration(h.Sum * float64(time.Second))
				times += h.Count
			}
		}
		return err
	})
	return sum, times
}

func (s *story) view(fn func(ledger.Tx) error) {
	s.Helper()
	require.NoError(s, s.View(context.Background(), s.now, fn))
}
