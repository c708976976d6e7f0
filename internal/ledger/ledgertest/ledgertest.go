// Package ledgertest holds what every ledger must do, as tests, and a ledger for the tests of other packages.
package ledgertest

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/sqlstore"
)

// Epoch is when time begins in a ledger that New makes.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// New returns an empty ledger in a file of its own. It is closed and removed when the test ends.
func New(t testing.TB) ledger.Ledger {
	t.Helper()
	l, err := sqlstore.Open(context.Background(), Epoch, sqlstore.Options{
		Driver: sqlstore.SQLite, DataSource: filepath.Join(t.TempDir(), "alerts.db"),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}
