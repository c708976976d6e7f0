package ledgertest

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

func events(t *testing.T, f *fixture) {
	f.put(bare("a", at(0)), bare("b", at(0)))
	var written []*ledger.Event
	f.update(func(tx ledger.Tx) error {
		for i := range 10 {
			e := &ledger.Event{
				Name: alert.EventPaged, EpisodeID: "ab"[i%2 : i%2+1], By: "anna", Severity: alert.High, Owner: "o", Rule: "r",
				Reason: "page", Receiver: "x", Note: "n", From: "f", Step: i,
			}
			if i == 3 {
				e.At = at(99)
			}
			if err := tx.AppendEvent(e); err != nil {
				return err
			}
			written = append(written, e)
		}
		return nil
	})
	assert.Equal(t, f.now, written[0].At, "an event without a time happens now")
	assert.Equal(t, at(99), written[3].At)
	f.view(func(tx ledger.Tx) {
		got, err := tx.EpisodeEvents("b")
		require.NoError(t, err)
		assert.Equal(t, []*ledger.Event{written[1], written[3], written[5], written[7], written[9]}, got)
		after, err := tx.EventsAfter(0, 4)
		require.NoError(t, err)
		assert.Equal(t, written[:4], after)
		after, err = tx.EventsAfter(after[3].Seq, 100)
		require.NoError(t, err)
		assert.Equal(t, written[4:], after)
		last, err := tx.LastEvent()
		require.NoError(t, err)
		assert.Equal(t, written[len(written)-1].Seq, last)
	})
	err := f.Update(context.Background(), f.now, func(tx ledger.Tx) error {
		return tx.AppendEvent(&ledger.Event{EpisodeID: "nobody"})
	})
	assert.ErrorIs(t, err, ledger.ErrNotFound)
}

func counters(t *testing.T, f *fixture) {
	key := func(rule, value string) ledger.CounterKey {
		return ledger.CounterKey{Metric: alert.MetricVerdicts, Rule: rule, Owner: "o", SourceMetric: "m", Severity: alert.Low, Value: value}
	}
	f.update(func(tx ledger.Tx) error {
		for _, c := range []ledger.Counter{{CounterKey: key("b", "x"), N: 3}, {CounterKey: key("b", "x"), N: -5}, {CounterKey: key("a", "x"), N: 1}, {CounterKey: key("a", ""), N: 7}, {CounterKey: key("c", ""), N: 0}} {
			if err := tx.Count(c.CounterKey, c.N); err != nil {
				return err
			}
		}
		return nil
	})
	f.reopen()
	f.view(func(tx ledger.Tx) {
		got, err := tx.Counters()
		require.NoError(t, err)
		assert.Equal(t, []ledger.Counter{{CounterKey: key("a", ""), N: 7}, {CounterKey: key("a", "x"), N: 1}, {CounterKey: key("b", "x"), N: -2}}, got)
		since, err := tx.CountersSince()
		require.NoError(t, err)
		assert.Equal(t, Epoch, since, "the first start, not the second")
	})
}

func histograms(t *testing.T, f *fixture) {
	key := ledger.CounterKey{Metric: alert.MetricTimeToNotify, Rule: "r", Severity: alert.High}
	other := key
	other.Rule = "s"
	f.update(func(tx ledger.Tx) error {
		for _, v := range []float64{0, 1, 2, 2, 3, -1} {
			if err := tx.Measure(key, v); err != nil {
				return err
			}
		}
		return tx.Measure(other, 1e9)
	})
	f.view(func(tx ledger.Tx) {
		got, err := tx.Histograms()
		require.NoError(t, err)
		require.Len(t, got, 2)
		h := got[0]
		assert.Equal(t, key, h.CounterKey)
		assert.Equal(t, uint64(6), h.Count)
		assert.Equal(t, uint64(2), h.Zero, "0, and a clock that was set back")
		assert.Equal(t, 8.0, h.Sum)
		assert.Equal(t, 0.0, h.Min)
		assert.Equal(t, 3.0, h.Max)
		assert.Equal(t, uint64(4), sum(h.Buckets))
		for i := range h.Buckets {
			base := math.Exp2(math.Exp2(-float64(h.Scale)))
			lower := math.Pow(base, float64(i))
			assert.True(t, lower < 1 || lower < 3 && 1 < lower*base, "bucket %d begins at %v", i, lower)
		}
		assert.Equal(t, other, got[1].CounterKey)
		assert.Equal(t, 1e9, got[1].Min)
	})
	for _, v := range []float64{math.NaN(), math.Inf(1)} {
		assert.Error(t, f.Update(context.Background(), f.now, func(tx ledger.Tx) error { return tx.Measure(key, v) }))
	}
}

func sum(buckets map[int32]uint64) (n uint64) {
	for _, b := range buckets {
		n += b
	}
	return n
}

func tallies(t *testing.T, f *fixture) {
	n := 0
	add := func(change func(*ledger.Episode)) {
		n++
		e := bare(fmt.Sprint("e", n), at(n))
		e.SourceMetric = "m"
		change(e)
		f.put(e)
	}
	add(func(e *ledger.Episode) { e.NotifiedAt, e.EndedAt, e.Verdict = at(0), at(9), ledger.TruePositive })
	add(func(e *ledger.Episode) { e.NotifiedAt, e.EndedAt, e.Verdict = at(0), at(9), ledger.FalsePositive })
	add(func(e *ledger.Episode) { e.NotifiedAt, e.Verdict = at(0), ledger.FalsePositive })
	add(func(e *ledger.Episode) { e.NotifiedAt = at(0) })
	add(func(e *ledger.Episode) { e.Verdict = ledger.Expected; e.EndedAt = at(9) })
	add(func(*ledger.Episode) {})
	add(func(e *ledger.Episode) { e.Highest = alert.Critical })
	add(func(e *ledger.Episode) { e.SourceMetric = "other" })
	// Of what has ended and nobody judged, people were told of what was paged, and of what is low.
	add(func(e *ledger.Episode) { e.EndedAt = at(10) })
	add(func(e *ledger.Episode) { e.NotifiedAt, e.EndedAt = at(9), at(10) })
	add(func(e *ledger.Episode) { e.Highest, e.EndedAt = alert.Low, at(12) })
	// Of the paged ones that have ended nobody answered the last two; a verdict is no answer, but somebody has seen it.
	paged := func(change func(*ledger.Episode)) {
		add(func(e *ledger.Episode) {
			e.SourceMetric, e.NotifiedAt, e.EndedAt, e.EndedBy, e.Reason = "paged", at(0), at(9), ledger.EndedBySystem, alert.ReasonRecovered
			change(e)
		})
	}
	paged(func(e *ledger.Episode) { e.AcknowledgedAt = at(9) })
	paged(func(e *ledger.Episode) { e.InHand = true })
	paged(func(e *ledger.Episode) { e.EndedBy = ledger.EndedByPerson })
	paged(func(e *ledger.Episode) { e.Verdict = ledger.Expected })
	paged(func(e *ledger.Episode) { e.EndedAt = time.Time{} })
	paged(func(e *ledger.Episode) { e.NotifiedAt = time.Time{} })
	paged(func(*ledger.Episode) {})
	paged(func(e *ledger.Episode) { e.EndedAt = at(9).Add(time.Hour) })
	check := func(since time.Time, want ...ledger.Tally) {
		t.Helper()
		f.view(func(tx ledger.Tx) {
			got, err := tx.Tallies(since)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
	none := map[ledger.Verdict]int64{}
	critical := ledger.Tally{Rule: "r", Owner: "o", SourceMetric: "m", Severity: alert.Critical, Episodes: 1, Open: 1, OldestOpen: at(7), Verdicts: none}
	other := ledger.Tally{Rule: "r", Owner: "o", SourceMetric: "other", Severity: alert.High, Episodes: 1, Open: 1, OldestOpen: at(8), Verdicts: none}
	answered := ledger.Tally{
		Rule: "r", Owner: "o", SourceMetric: "paged", Severity: alert.High, Episodes: 8, Open: 1, OldestOpen: at(16),
		Notified: 7, NotifiedJudged: 1, NotifiedEnded: 6, Unacknowledged: 2, Transient: 3, Unjudged: 5, Verdicts: map[ledger.Verdict]int64{ledger.Expected: 1},
	}
	low := ledger.Tally{Rule: "r", Owner: "o", SourceMetric: "m", Severity: alert.Low, Episodes: 1, Unjudged: 1, Verdicts: none}
	check(time.Time{}, low, ledger.Tally{
		Rule: "r", Owner: "o", SourceMetric: "m", Severity: alert.High, Episodes: 8, Open: 3, OldestOpen: at(3),
		Notified: 5, NotifiedJudged: 3, NotifiedEnded: 3, Unacknowledged: 1, Unjudged: 1,
		Verdicts: map[ledger.Verdict]int64{ledger.TruePositive: 1, ledger.FalsePositive: 2, ledger.Expected: 1},
	}, critical, other, answered)
	check(at(4), low, ledger.Tally{
		Rule: "r", Owner: "o", SourceMetric: "m", Severity: alert.High, Episodes: 5, Open: 2, OldestOpen: at(4), Notified: 2, NotifiedEnded: 1, Unacknowledged: 1, Unjudged: 1,
		Verdicts: map[ledger.Verdict]int64{ledger.Expected: 1},
	}, critical, other, answered)
	check(at(11), low, answered)
	check(at(12), answered)
	check(at(20))
}
