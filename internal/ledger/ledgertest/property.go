package ledgertest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// RunProperties does random deeds in random order, with restarts in between, and holds the ledger against the model
// after each: what the deed answered, every episode, and that the accounting closes.
func RunProperties(t *testing.T, create func(t testing.TB) Database) {
	rapid.Check(t, func(rt *rapid.T) {
		f := &fixture{t: t, database: create(t), now: Epoch}
		f.open()
		defer func() { f.closeIt() }()
		h := &history{T: rt, fixture: f, judged: map[string]time.Time{}}
		rt.Repeat(map[string]func(*rapid.T){
			"":            func(*rapid.T) { h.compare() },
			"record":      func(*rapid.T) { h.record() }, // three times as likely as the others
			"record too":  func(*rapid.T) { h.record() },
			"and record":  func(*rapid.T) { h.record() },
			"lose":        func(*rapid.T) { h.lose() },
			"end":         func(*rapid.T) { h.end() },
			"resolve":     func(*rapid.T) { h.resolve() },
			"acknowledge": func(*rapid.T) { h.acknowledge() },
			"snooze":      func(*rapid.T) { h.snooze() },
			"judge":       func(*rapid.T) { h.judge() },
			"notify":      func(*rapid.T) { h.notify() },
			"step":        func(*rapid.T) { h.step() },
			"wait":        func(*rapid.T) { h.wait() },
			"restart": func(*rapid.T) {
				h.model.restart()
				f.reopen()
			},
		})
	})
}

type history struct {
	*rapid.T
	*fixture
	model  model
	judged map[string]time.Time
	steps  int
}

// do runs a deed; when it fails, nothing may have changed.
func (h *history) do(fn func(ledger.Tx) error) error {
	return h.Update(context.Background(), h.now, fn)
}

func (h *history) wait() {
	h.now = h.now.Add(time.Duration(rapid.IntRange(-5, 30).Draw(h.T, "minutes")) * time.Minute)
}

func (h *history) record() {
	id := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(h.T, "alert")
	last := h.judged[id]
	if last.IsZero() {
		last = Epoch
	}
	a := &alert.Alert{
		ID: id, Rule: "r", Group: "g", Labels: map[string]string{"l": "v"},
		State:    rapid.SampledFrom([]alert.State{alert.Firing, alert.Firing, alert.Firing, alert.Pending, alert.Inactive}).Draw(h.T, "state"),
		Severity: rapid.SampledFrom(alert.Severities[:]).Draw(h.T, "severity"),
		Owner:    rapid.SampledFrom([]string{"o", "p"}).Draw(h.T, "owner"),
		Reason:   rapid.SampledFrom([]alert.Reason{alert.ReasonThreshold, alert.ReasonThreshold, alert.ReasonNoData, ""}).Draw(h.T, "reason"),
		Start:    rapid.SampledFrom([]time.Time{{}, Epoch, Epoch.Add(time.Hour), last}).Draw(h.T, "start"),
		Time:     last.Add(time.Duration(rapid.IntRange(-1, 3).Draw(h.T, "judged")) * time.Second),
	}
	if a.Time.After(last) {
		h.judged[id] = a.Time
	}
	var kind ledger.ChangeKind
	var episode *ledger.Episode
	require.NoError(h, h.do(func(tx ledger.Tx) (err error) {
		kind, episode, err = ledger.Record(tx, a)
		return err
	}))
	var episodeID string
	if episode != nil {
		episodeID = episode.ID
	}
	require.Equal(h, h.model.record(a, h.now, episodeID), kind)
	if kind == ledger.Unchanged {
		h.Observe(map[string]ledger.Observation{episodeID: {JudgedAt: a.Time, SeenAt: h.now}})
	}
}

// some draws an episode that exists, nil where there is none yet.
func (h *history) some() *modelEpisode {
	if len(h.model.episodes) == 0 {
		return nil
	}
	return rapid.SampledFrom(h.model.episodes).Draw(h.T, "episode")
}

func (h *history) lose() {
	if e := h.some(); e != nil {
		require.NoError(h, h.do(func(tx ledger.Tx) error { return ledger.Lose(tx, e.id) }))
		if e.open && !e.lost {
			e.lost, e.noData = true, true
			e.events++
			e.written = e.judged
		}
	}
}

func (h *history) end() {
	if e := h.some(); e != nil {
		reason := rapid.SampledFrom([]alert.Reason{alert.ReasonSeriesGone, alert.ReasonRuleRemoved}).Draw(h.T, "why")
		require.NoError(h, h.do(func(tx ledger.Tx) error { return ledger.End(tx, e.id, reason) }))
		if e.open {
			h.model.end(e, h.now)
			e.written = e.judged
		}
	}
}

func (h *history) resolve() {
	if e := h.some(); e != nil {
		require.NoError(h, h.do(func(tx ledger.Tx) error { return ledger.Resolve(tx, e.id, "anna", "") }))
		if e.open {
			h.model.end(e, h.now)
			e.byPerson = true
			e.written = e.judged
		}
	}
}

func (h *history) acknowledge() {
	if e := h.some(); e != nil {
		err := h.do(func(tx ledger.Tx) error { return ledger.Acknowledge(tx, e.id, "anna", "") })
		if !e.open {
			require.ErrorIs(h, err, ledger.ErrEnded)
			return
		}
		require.NoError(h, err)
		if !e.acknowledged {
			e.acknowledged = true
			e.events++
			e.written = e.judged
		}
	}
}

func (h *history) snooze() {
	if e := h.some(); e != nil {
		until := h.now.Add(time.Duration(rapid.IntRange(-1, 20).Draw(h.T, "for")) * time.Minute)
		err := h.do(func(tx ledger.Tx) error { return ledger.Snooze(tx, e.id, until, "anna", "") })
		switch {
		case !e.open:
			require.ErrorIs(h, err, ledger.ErrEnded)
		case !until.After(h.now):
			require.ErrorIs(h, err, ledger.ErrPast)
		default:
			require.NoError(h, err)
			if !e.snoozed.Equal(until) {
				e.events++
				e.snoozed = until
				e.written = e.judged
			}
		}
	}
}

func (h *history) judge() {
	if e := h.some(); e != nil {
		v := rapid.SampledFrom(append([]ledger.Verdict{"nonsense"}, ledger.Verdicts[:]...)).Draw(h.T, "verdict")
		err := h.do(func(tx ledger.Tx) error { return ledger.Judge(tx, e.id, v, "anna", "") })
		if v == "nonsense" {
			require.ErrorIs(h, err, ledger.ErrVerdict)
			return
		}
		require.NoError(h, err)
		if e.verdict != v {
			e.events++
			e.written = e.judged
		}
		e.verdict = v
	}
}

func (h *history) notify() {
	if e := h.some(); e != nil {
		kind := rapid.SampledFrom([]ledger.DeliveryKind{ledger.DeliverPage, ledger.DeliverDigest, ledger.DeliverEnd}).Draw(h.T, "kind")
		require.NoError(h, h.do(func(tx ledger.Tx) error { return ledger.Notify(tx, e.id, "oncall", kind, 1) }))
		e.events++
		if e.open && kind == ledger.DeliverPage && !e.notified {
			e.notified = true
			e.written = e.judged
		}
	}
}

func (h *history) step() {
	if e := h.some(); e != nil {
		require.NoError(h, h.do(func(tx ledger.Tx) error { return ledger.Step(tx, e.id, 2, []string{"lead"}, "nobody acknowledged") }))
		h.steps++
		e.events++
	}
}

// compare holds everything that the ledger shows against the model.
func (h *history) compare() {
	counted := map[string]int64{} // metric and value -> number
	open := 0
	for _, e := range h.model.episodes {
		if e.open {
			open++
		} else {
			counted[alert.MetricEpisodes+string(e.outcome)]++
		}
		if e.verdict != "" {
			counted[alert.MetricVerdicts+string(e.verdict)+e.owner+e.highest.String()]++
		}
	}
	h.view(func(tx ledger.Tx) {
		for _, want := range h.model.episodes {
			got, err := tx.Episode(want.id)
			require.NoError(h, err)
			events, err := tx.EpisodeEvents(want.id)
			require.NoError(h, err)
			paper := *want
			paper.written = time.Time{} // what is on the disk shows only after a restart
			require.Equal(h, paper, seen(got, events))
			require.False(h, got.StartsAt.After(got.OpenedAt))
			require.False(h, !got.Open() && got.EndedAt.Before(got.OpenedAt))
			require.Equal(h, got.Open(), got.Outcome == "", "an outcome comes with the end")
		}
		all, err := tx.Episodes(ledger.Query{})
		require.NoError(h, err)
		require.Len(h, all, h.model.opened)
		counters, err := tx.Counters()
		require.NoError(h, err)
		var ended, steps int64
		for _, c := range counters {
			switch c.Metric {
			case alert.MetricEpisodes:
				ended += c.N
				counted[c.Metric+c.Value] -= c.N
			case alert.MetricVerdicts:
				counted[c.Metric+c.Value+c.Owner+c.Severity.String()] -= c.N
			case alert.MetricEscalations:
				steps += c.N
			}
		}
		for name, difference := range counted {
			assert.Zero(h, difference, name)
		}
		require.Equal(h, int64(h.model.opened), int64(open)+ended, "the accounting closes")
		require.Equal(h, int64(h.steps), steps)
		tallies, err := tx.Tallies(time.Time{})
		require.NoError(h, err)
		for _, tally := range tallies {
			open -= int(tally.Open)
		}
		require.Zero(h, open, "tallies count the open ones")
	})
}

// seen is what the ledger shows of an episode, in the model's terms.
func seen(e *ledger.Episode, events []*ledger.Event) modelEpisode {
	return modelEpisode{
		id: e.ID, alert: e.AlertID, owner: e.Owner, open: e.Open(), byPerson: e.EndedBy == ledger.EndedByPerson,
		severity: e.Severity, highest: e.Highest, started: e.StartedAt, openedAt: e.OpenedAt, judged: e.JudgedAt,
		snoozed: e.SnoozedUntil, notified: !e.NotifiedAt.IsZero(), acknowledged: !e.AcknowledgedAt.IsZero(),
		lost: !e.LostAt.IsZero(), noData: e.Reason == alert.ReasonNoData,
		outcome: e.Outcome, verdict: e.Verdict, events: len(events),
	}
}
