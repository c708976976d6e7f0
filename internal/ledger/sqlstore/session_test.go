package sqlstore

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

func TestPragmas(t *testing.T) {
	l := openFile(t, filepath.Join(t.TempDir(), "alerts.db"))
	check := func(tx *tx, pragma, want string) {
		var got string
		require.NoError(t, tx.session.conn.QueryRowContext(context.Background(), "PRAGMA "+pragma).Scan(&got))
		assert.Equal(t, want, got, pragma)
	}
	require.NoError(t, l.submit(context.Background(), l.requests, time.Unix(1, 0), func(tx *tx) error {
		check(tx, "journal_mode", "wal")
		check(tx, "synchronous", "2") // FULL
		check(tx, "foreign_keys", "1")
		check(tx, "busy_timeout", "5000")
		return nil
	}))
	require.NoError(t, l.View(context.Background(), time.Unix(1, 0), func(v ledger.Tx) error {
		check(v.(*tx), "query_only", "1")
		check(v.(*tx), "busy_timeout", "5000")
		return nil
	}))
}

// A query that runs for ever ends with its caller's context, and its connection goes on to serve.
func TestViewIsInterrupted(t *testing.T) {
	l := openFile(t, filepath.Join(t.TempDir(), "alerts.db"))
	for range 2 * readers {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		err := l.View(ctx, time.Unix(1, 0), func(v ledger.Tx) error {
			_, err := list(v.(*tx), scanInt, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
			return err
		})
		cancel()
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, l.View(context.Background(), time.Unix(1, 0), func(v ledger.Tx) error {
			_, err := v.Counters()
			return err
		}))
	}
}

// When the database itself fails in the middle of a group, nobody of it is told that all is well; the connection is
// given up, and the next update finds a new one.
func TestStatementOfABrokenDatabase(t *testing.T) { synctest.Test(t, statementOfABrokenDatabase) }

func statementOfABrokenDatabase(t *testing.T) {
	l := openFile(t, filepath.Join(t.TempDir(), "alerts.db"))
	held, queued, both := make(chan struct{}), make(chan struct{}), make(chan error, 2)
	go func() {
		both <- l.submit(context.Background(), l.requests, time.Unix(1, 0), func(tx *tx) error {
			close(held)
			<-queued
			return tx.PutSetting("first", "written")
		})
	}()
	<-held
	go func() {
		both <- l.submit(context.Background(), l.requests, time.Unix(1, 0), func(tx *tx) error {
			_, err := tx.session.conn.ExecContext(context.Background(), "PRAGMA max_page_count = 1") // no page more than it has
			require.NoError(t, err)
			return tx.PutSetting("second", strings.Repeat("x", 1<<20))
		})
	}()
	synctest.Wait() // the second waits behind the first
	close(queued)
	for range 2 {
		assert.ErrorContains(t, <-both, "the disk is full")
	}
	assert.NotNil(t, l.failure.Load())
	require.NoError(t, l.submit(context.Background(), l.requests, time.Unix(1, 0), func(tx *tx) error {
		value, err := tx.Setting("first")
		assert.Empty(t, value)
		if err != nil {
			return err
		}
		return tx.PutSetting("third", "written")
	}))
	assert.Nil(t, l.failure.Load())
	assert.NoError(t, l.Healthy(context.Background()))
}
