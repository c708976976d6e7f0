package sqlstore_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/sqlstore"
)

// file is a SQLite database for ledgertest.
type file string

func (path file) Open(t testing.TB) (ledger.Ledger, func()) {
	l := open(t, string(path))
	return l, func() { require.NoError(t, l.Close()) }
}

func open(t testing.TB, path string) *sqlstore.Ledger {
	t.Helper()
	l, err := sqlstore.Open(context.Background(), ledgertest.Epoch, sqlstore.Options{Driver: sqlstore.SQLite, DataSource: path})
	require.NoError(t, err)
	return l
}

func newFile(t testing.TB) ledgertest.Database { return file(filepath.Join(t.TempDir(), "alerts.db")) }

func TestConformance(t *testing.T) { ledgertest.Run(t, newFile) }

func TestProperties(t *testing.T) { ledgertest.RunProperties(t, newFile) }
