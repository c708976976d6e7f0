package sqlstore_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/sqlstore"
)

func tryOpen(driver sqlstore.Driver, path string) error {
	l, err := sqlstore.Open(context.Background(), ledgertest.Epoch, sqlstore.Options{Driver: driver, DataSource: path})
	if err == nil {
		err = fmt.Errorf("it opened, and closed with: %v", l.Close())
	}
	return err
}

// Every error says what to do, and leaves the file as it was.
func TestRefusedFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	foreign := filepath.Join(dir, "foreign.db")
	execute(t, foreign, "CREATE TABLE theirs (x)", "INSERT INTO theirs VALUES (1)")
	newer := filepath.Join(dir, "newer.db")
	require.NoError(t, open(t, newer).Close())
	execute(t, newer, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")
	damaged := filepath.Join(dir, "damaged.db")
	l := open(t, damaged)
	fill(t, l, 200)
	require.NoError(t, l.Close())
	raw, err := os.ReadFile(damaged)
	require.NoError(t, err)
	for i := 4096; i < len(raw); i++ { // all pages but the first
		raw[i] = 0xa5
	}
	write("damaged.db", raw)

	for name, test := range map[string]struct {
		driver     sqlstore.Driver
		path, want string
	}{
		"another driver":       {"mysql", "mysql://u:secret@h/db", `driver "mysql" is not known: use "sqlite" or "postgres"`},
		"nothing":              {"sqlite", "", "must be the path of a file"},
		"memory":               {"sqlite", ":memory:", "must be the path of a file"},
		"options":              {"sqlite", "file:x.db?mode=memory", "must be the path of a file"},
		"directory":            {"sqlite", dir, "is a directory: name a file"},
		"missing directory":    {"sqlite", filepath.Join(dir, "no", "alerts.db"), "the directory does not exist: make it"},
		"not a database":       {"sqlite", write("text", bytes.Repeat([]byte("not a database\n"), 100)), "is not a SQLite database: name another file"},
		"of another program":   {"sqlite", foreign, "is a database of another program"},
		"of a newer Collector": {"sqlite", newer, "schema version 999 and this Collector knows versions up to "},
		"damaged":              {"sqlite", damaged, "the file is damaged: stop the Collector and restore it"},
	} {
		t.Run(name, func(t *testing.T) {
			before, _ := os.ReadFile(test.path)
			err := tryOpen(test.driver, test.path)
			assert.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), "secret")
			after, _ := os.ReadFile(test.path)
			assert.True(t, bytes.Equal(before, after), "the file was changed")
		})
	}
}

func execute(t testing.TB, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	for _, statement := range statements {
		_, err := db.Exec(statement)
		require.NoError(t, err, statement)
	}
	require.NoError(t, db.Close())
}

func fill(t testing.TB, l ledger.Ledger, n int) {
	t.Helper()
	require.NoError(t, l.Update(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
		for i := range n {
			e := &ledger.Episode{ID: fmt.Sprint("e", i), AlertID: fmt.Sprint("a", i), Note: string(bytes.Repeat([]byte("x"), 500))}
			if err := tx.PutEpisode(e); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestPathsAreTakenAsTheyAre(t *testing.T) {
	names := []string{"plain.db", "with space.db", "per%20cent.db", "hash#.db", "plus+&=.db", "größe.db"}
	if runtime.GOOS != "windows" {
		names = append(names, "question?mode=memory.db", `back\slash.db`)
	}
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		l := open(t, path)
		fill(t, l, 1)
		require.NoError(t, l.Close())
		info, err := os.Stat(path)
		require.NoError(t, err, name)
		if runtime.GOOS != "windows" {
			assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "it holds secrets")
		}
	}
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, files, len(names), "closing leaves the file and nothing else")
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	l := open(t, "./alerts.db")
	t.Chdir(t.TempDir()) // the ledger's file stays the same
	fill(t, l, 1)
	require.NoError(t, l.Healthy(context.Background()))
	require.NoError(t, l.Close())
}

func TestRemovedFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be removed")
	}
	path := filepath.Join(t.TempDir(), "alerts.db")
	l := open(t, path)
	defer func() { _ = l.Close() }()
	require.NoError(t, l.Healthy(context.Background()))
	require.NoError(t, os.Rename(path, path+".old"))
	assert.ErrorContains(t, l.Healthy(context.Background()), "has gone while in use; restart the Collector")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	assert.ErrorContains(t, l.Healthy(context.Background()), "was replaced while in use")
	require.NoError(t, os.Rename(path+".old", path))
	assert.NoError(t, l.Healthy(context.Background()))
}

func TestOpenEpisodesBoundObservations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.db")
	l := open(t, path)
	fill(t, l, 10)
	assert.Equal(t, 10, l.OpenEpisodes())
	require.NoError(t, l.Close())
	l = open(t, path)
	defer func() { require.NoError(t, l.Close()) }()
	assert.Equal(t, 10, l.OpenEpisodes(), "after reopening")
	require.NoError(t, l.Update(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
		return tx.PutEpisode(&ledger.Episode{ID: "e1", AlertID: "a1", EndedAt: ledgertest.Epoch})
	}))
	l.Observe(map[string]ledger.Observation{"e1": {}, "nobody": {}})
	assert.Equal(t, 9, l.OpenEpisodes())
}

// Two Collectors on one file are not meant to be, but a restart may overlap: each update counts once, and what one of
// them read before the other wrote is read again.
func TestTwoOnOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.db")
	ledgers := []*sqlstore.Ledger{open(t, path), open(t, path)}
	const callers, each = 4, 25
	var work sync.WaitGroup
	for _, l := range ledgers {
		for range callers {
			work.Go(func() {
				for range each {
					assert.NoError(t, l.Update(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
						n, err := tx.Cursor("n")
						if err != nil {
							return err
						}
						return tx.PutCursor("n", n+1)
					}))
				}
			})
		}
	}
	work.Wait()
	require.NoError(t, ledgers[0].View(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
		n, err := tx.Cursor("n")
		assert.Equal(t, int64(len(ledgers)*callers*each), n)
		return err
	}))
	for _, l := range ledgers {
		require.NoError(t, l.Close())
	}
}
