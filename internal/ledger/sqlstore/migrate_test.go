package sqlstore_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
		"DROP TABLE explored", "DROP TABLE threshold_changes", "ALTER TABLE episodes DROP COLUMN trace",
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
