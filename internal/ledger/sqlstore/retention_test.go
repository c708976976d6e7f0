package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

// What must go and what must stay, by name.
func TestPrune(t *testing.T) {
	l := open(t, t.TempDir()+"/alerts.db")
	defer func() { require.NoError(t, l.Close()) }()
	now := ledgertest.Epoch
	cutoff := now.Add(-90 * 24 * time.Hour)
	before, after := cutoff.Add(-time.Second), cutoff
	key := ledger.CounterKey{Metric: "m"}
	const many = 450 // more than two chunks
	require.NoError(t, l.Update(context.Background(), now, func(tx ledger.Tx) error {
		put := func(id, group string, ended time.Time) error {
			return errors.Join(
				tx.PutEpisode(&ledger.Episode{ID: id, AlertID: id, GroupID: group, OpenedAt: before, EndedAt: ended}),
				tx.AppendEvent(&ledger.Event{EpisodeID: id, Note: id}))
		}
		for i := range many {
			if err := put(fmt.Sprint("goes ", i), "", before); err != nil {
				return err
			}
		}
		return errors.Join(
			put("stays: open", "", time.Time{}),
			put("stays: ended later", "", after),
			put("stays: its group is open", "stays: open group", before),
			put("stays: its group closed later", "stays: closed later", before),
			put("goes with its group", "goes: group", before),
			put("goes with its digest", "goes: digest group", before),
			tx.PutGroup(&ledger.Group{ID: "stays: open group", Key: "1"}),
			tx.PutGroup(&ledger.Group{ID: "stays: closed later", Key: "2", ClosedAt: after}),
			tx.PutGroup(&ledger.Group{ID: "goes: group", Key: "3", ClosedAt: before, DueAt: now}),
			tx.PutGroup(&ledger.Group{ID: "goes: digest group", Key: "4", ClosedAt: before, DigestID: "goes: digest"}),
			tx.PutDelivery(&ledger.Delivery{Topic: "stays: open group", Wanted: 1, Sent: 1, OrderedAt: before}),
			tx.PutDelivery(&ledger.Delivery{Topic: "goes: group", Destination: "settled", Wanted: 1, Sent: 1, OrderedAt: before}),
			tx.PutDelivery(&ledger.Delivery{Topic: "goes: group", Destination: "never accepted", Wanted: 1, OrderedAt: before}),
			tx.PutDelivery(&ledger.Delivery{Topic: "goes: digest", Wanted: 1, Sent: 1, OrderedAt: before}),
			tx.PutDelivery(&ledger.Delivery{Topic: "stays: a digest of today", Wanted: 1, Sent: 1, OrderedAt: after}),
			tx.PutExplored(&ledger.Explored{ID: "goes: silent", Rule: "r", OpenedAt: before}),
			tx.PutExplored(&ledger.Explored{ID: "stays: silent", Rule: "r", OpenedAt: after}),
			tx.PutChange(&ledger.Change{ID: "goes: change", Rule: "r", At: before}),
			tx.PutChange(&ledger.Change{ID: "stays: change", Rule: "r", At: after}),
			tx.AppendEvent(&ledger.Event{At: before, Note: "goes: of a rule"}),
			tx.AppendEvent(&ledger.Event{At: after, Note: "stays: of a rule"}),
			tx.Count(key, 7), tx.Measure(key, 7), tx.PutSetting("s", "v"),
		)
	}))
	removed, err := l.Prune(context.Background(), now, cutoff)
	require.NoError(t, err)
	assert.Equal(t, many+2, removed)
	removed, err = l.Prune(context.Background(), now, cutoff)
	require.NoError(t, err)
	assert.Zero(t, removed)

	require.NoError(t, l.View(context.Background(), now, func(tx ledger.Tx) error {
		episodes, err := tx.Episodes(ledger.Query{})
		require.NoError(t, err)
		var ids []string
		for _, e := range episodes {
			ids = append(ids, e.ID)
		}
		stay := []string{"stays: open", "stays: ended later", "stays: its group is open", "stays: its group closed later"}
		assert.ElementsMatch(t, stay, ids)
		events, err := tx.EventsAfter(0, 10000)
		require.NoError(t, err)
		var notes []string
		for _, e := range events {
			notes = append(notes, e.Note)
		}
		assert.ElementsMatch(t, append(stay, "stays: of a rule"), notes, "events go with their episodes")
		silent, err := tx.Explored("r", time.Time{}, 10)
		require.NoError(t, err)
		require.Len(t, silent, 1)
		assert.Equal(t, "stays: silent", silent[0].ID)
		moved, err := tx.Changes("r", time.Time{})
		require.NoError(t, err)
		require.Len(t, moved, 1)
		assert.Equal(t, "stays: change", moved[0].ID)
		for id, stays := range map[string]bool{"stays: open group": true, "stays: closed later": true, "goes: group": false, "goes: digest group": false} {
			_, err := tx.Group(id)
			assert.Equal(t, stays, err == nil, id)
		}
		for topic, want := range map[string]int{"stays: open group": 1, "stays: a digest of today": 1, "goes: group": 0, "goes: digest": 0} {
			deliveries, err := tx.Deliveries(topic)
			require.NoError(t, err)
			assert.Len(t, deliveries, want, topic)
		}
		counters, err := tx.Counters()
		require.NoError(t, err)
		assert.Equal(t, []ledger.Counter{{CounterKey: key, N: 7}}, counters, "counters outlast retention")
		histograms, err := tx.Histograms()
		require.NoError(t, err)
		assert.Len(t, histograms, 1)
		return nil
	}))
	// A number of an event that has gone is not given out again: a cursor may stand behind it.
	last := int64(many + 8)
	require.NoError(t, l.Update(context.Background(), now, func(tx ledger.Tx) error {
		e := &ledger.Event{EpisodeID: "stays: open"}
		err := tx.AppendEvent(e)
		assert.Equal(t, last+1, e.Seq)
		return err
	}))
}

// What webhooks have told is remembered for longer than their senders try again, and not for ever.
func TestPruneOfSeenEvents(t *testing.T) {
	l := open(t, t.TempDir()+"/alerts.db")
	defer func() { require.NoError(t, l.Close()) }()
	first := func(now time.Time, source, id string) (first bool) {
		require.NoError(t, l.Update(context.Background(), now, func(tx ledger.Tx) (err error) {
			first, err = tx.Once(source, id)
			return err
		}))
		return first
	}
	const threeDays = 3 * 24 * time.Hour
	now := ledgertest.Epoch
	assert.True(t, first(now, "pagerduty", "1"))
	assert.True(t, first(now.Add(threeDays), "slack", "1"), "another's event of the same id")
	for _, c := range []struct {
		later, retention time.Duration
		known            bool
	}{{49 * time.Hour, time.Hour, true}, {threeDays, time.Hour, true}, {threeDays + time.Second, 90 * 24 * time.Hour, true}, {threeDays + time.Second, time.Hour, false}} {
		_, err := l.Prune(context.Background(), now.Add(c.later), now.Add(c.later-c.retention))
		require.NoError(t, err)
		assert.Equal(t, c.known, !first(now.Add(c.later), "pagerduty", "1"), "%s later, retention %s", c.later, c.retention)
	}
	assert.False(t, first(now.Add(threeDays), "slack", "1"), "that one is newer")
}
