package sqlstore_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest/pgtest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/sqlstore"
)

// busy lets something write all the time, and returns what stops it.
func busy(l ledger.Ledger) (stop func()) {
	stopping, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stopping:
				return
			default:
				_ = add(l)
			}
		}
	}()
	return func() { close(stopping); <-stopped }
}

// fillCounted writes episodes and as many counts, in the same transactions: a copy of half of one would show.
func fillCounted(t *testing.T, l ledger.Ledger, n int) {
	t.Helper()
	for i := range n {
		require.NoError(t, l.Update(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
			id := string(rune('a'+i/26)) + string(rune('a'+i%26))
			if err := tx.PutEpisode(&ledger.Episode{ID: id, AlertID: id, Rule: "r"}); err != nil {
				return err
			}
			return tx.Count(ledger.CounterKey{Metric: "episodes"}, 1)
		}))
	}
}

func restored(t *testing.T, l ledger.Ledger, n int) {
	t.Helper()
	require.NoError(t, l.View(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
		all, err := tx.Episodes(ledger.Query{})
		require.NoError(t, err)
		assert.Len(t, all, n)
		counters, err := tx.Counters()
		require.NoError(t, err)
		require.Equal(t, "episodes", counters[0].Metric)
		assert.EqualValues(t, n, counters[0].N)
		return nil
	}))
	fillCounted(t, l, n) // and it goes on: the same again
}

// What docs/ledger.md says of backups: made while the Collector writes, and restored.
func TestBackupOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.db")
	l := open(t, path)
	fillCounted(t, l, 50)
	stop := busy(l)
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	copied := filepath.Join(t.TempDir(), "copy.db")
	_, err = db.ExecContext(context.Background(), "VACUUM INTO ?", copied)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	stop()
	require.NoError(t, l.Close())
	back := open(t, copied)
	restored(t, back, 50)
	require.NoError(t, back.Close())
}

func TestBackupOfAServer(t *testing.T) {
	s := pgtest.Start(t)
	source := s.Database()
	l := openServer(t, source)
	fillCounted(t, l, 50)
	stop := busy(l)
	dump := filepath.Join(s.Dir(), "alerts.dump")
	s.Tool("pg_dump", "--format=custom", "--file="+dump, "--dbname="+pgtest.Name(source))
	stop()
	fillCounted(t, l, 60) // what came after the backup goes with the restore
	require.NoError(t, l.Close())
	s.Tool("pg_restore", "--clean", "--if-exists", "--dbname="+pgtest.Name(source), dump)
	back, err := sqlstore.Open(context.Background(), ledgertest.Epoch, sqlstore.Options{Driver: sqlstore.Postgres, DataSource: source})
	require.NoError(t, err)
	restored(t, back, 50)
	require.NoError(t, back.Close())
}
