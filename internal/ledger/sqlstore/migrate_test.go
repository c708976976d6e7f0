package sqlstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

// The table of events is written anew by the fifth migration: what it held stays, and the numbers of events that
// retention had removed are not given out again.
func TestEventsOutliveTheirMigration(t *testing.T) {
	path := t.TempDir() + "/alerts.db"
	l := open(t, path)
	fill(t, l, 3)
	require.NoError(t, l.Update(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
		for range 3 {
			if err := tx.AppendEvent(&ledger.Event{EpisodeID: "e0", Name: "of an episode"}); err != nil {
				return err
			}
		}
		return nil
	}))
	require.NoError(t, l.Close())
	execute(t, path,
		"DELETE FROM goose_db_version WHERE version_id >= 5",
		"DROP TABLE explored", "DROP TABLE threshold_changes", "ALTER TABLE episodes DROP COLUMN trace", "ALTER TABLE episodes DROP COLUMN in_hand",
		"DELETE FROM events WHERE seq = 3",
	)
	l = open(t, path)
	defer func() { require.NoError(t, l.Close()) }()
	require.NoError(t, l.Update(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
		events, err := tx.EventsAfter(0, 10)
		require.NoError(t, err)
		require.Len(t, events, 2)
		assert.Equal(t, "e0", events[1].EpisodeID)
		next := &ledger.Event{Name: "of a rule"}
		require.NoError(t, tx.AppendEvent(next))
		assert.Equal(t, int64(4), next.Seq)
		return nil
	}))
}

// beforeAnswers winds a ledger back to what the sixth migration finds: rows without in_hand, whose numbers do not say who answered.
var beforeAnswers = []string{
	"UPDATE episodes SET tally = tally - 128 WHERE (tally & 128) > 0",
	"UPDATE episodes SET tally = tally + 32 WHERE in_hand > 0 AND acknowledged_at = 0 AND (tally & 32) = 0",
	"ALTER TABLE episodes DROP COLUMN in_hand",
	"DELETE FROM goose_db_version WHERE version_id >= 6",
}

// answerSome has episodes that end in every way that matters to whether anybody answered, all of them paged and gone within
// a minute.
func answerSome(t *testing.T, l ledger.Ledger) {
	now := ledgertest.Epoch
	n := 0
	ends := func(group string, first func(tx ledger.Tx, id string) error) {
		n++
		now = now.Add(time.Second)
		require.NoError(t, l.Update(context.Background(), now, func(tx ledger.Tx) error {
			e := &ledger.Episode{
				ID: fmt.Sprint("e", n), AlertID: fmt.Sprint("a", n), GroupID: group, Rule: "r", Severity: alert.High, Highest: alert.High, OpenedAt: now, NotifiedAt: now,
			}
			if err := tx.PutEpisode(e); err != nil {
				return err
			}
			if err := first(tx, e.ID); err != nil {
				return err
			}
			return ledger.End(tx, e.ID, alert.ReasonRecovered)
		}))
	}
	nothing := func(ledger.Tx, string) error { return nil }
	for _, group := range []string{"in hand", "taken back", "left alone"} {
		require.NoError(t, l.Update(context.Background(), now, func(tx ledger.Tx) error {
			return tx.PutGroup(&ledger.Group{ID: group, Key: group, OpenedAt: now, Tier: alert.High})
		}))
	}
	ends("in hand", func(tx ledger.Tx, id string) error { return ledger.Acknowledge(tx, id, "anna", "") })
	ends("in hand", nothing)
	ends("taken back", func(tx ledger.Tx, id string) error { return ledger.Acknowledge(tx, id, "anna", "") })
	ends("taken back", func(tx ledger.Tx, id string) error { return ledger.Unacknowledge(tx, id, "anna") })
	ends("left alone", nothing)
	ends("left alone", func(tx ledger.Tx, id string) error { return ledger.Resolve(tx, id, "anna", "") })
	ends("left alone", func(tx ledger.Tx, id string) error { return ledger.Judge(tx, id, ledger.Expected, "anna", "") })
	ends("", nothing)
}

func tallied(t *testing.T, l ledger.Ledger) (all []ledger.Tally) {
	require.NoError(t, l.View(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) (err error) {
		all, err = tx.Tallies(time.Time{})
		return err
	}))
	return all
}

// Who answered episodes of before is found out, and what was in hand counts as transient no more.
func TestAnswersOfOldEpisodes(t *testing.T) {
	path := t.TempDir() + "/alerts.db"
	l := open(t, path)
	answerSome(t, l)
	want := tallied(t, l)
	require.Len(t, want, 1)
	assert.Equal(t, int64(8), want[0].NotifiedEnded)
	assert.Equal(t, int64(3), want[0].Unacknowledged, "taken back, left alone, without a group")
	assert.Equal(t, int64(4), want[0].Transient, "these, and the judged one")
	require.NoError(t, l.Close())
	execute(t, path, beforeAnswers...)
	l = open(t, path)
	defer func() { require.NoError(t, l.Close()) }()
	assert.Equal(t, want, tallied(t, l))
}
