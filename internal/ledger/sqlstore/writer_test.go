package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/sqlstore"
)

var errWanted = errors.New("wanted")

// Updates as the tests name them.
const (
	writes         = "writes"
	reads          = "reads"
	fails          = "fails"
	writesAndFails = "writes and fails"
)

// group runs updates so that they share a transaction, in their order: the first waits until all others have queued up.
// It returns how often each ran, and the sizes of the commits.
func group(t *testing.T, updates []string) (runs, commits []int) {
	synctest.Test(t, func(t *testing.T) {
		l, err := sqlstore.Open(context.Background(), ledgertest.Epoch, sqlstore.Options{
			Driver: sqlstore.SQLite, DataSource: filepath.Join(t.TempDir(), "alerts.db"),
			OnCommit: func(updates int) func(error) {
				commits = append(commits, updates)
				return func(error) {}
			},
		})
		require.NoError(t, err)
		defer func() { require.NoError(t, l.Close()) }()
		runs = make([]int, len(updates))
		queued := make(chan struct{})
		var work sync.WaitGroup
		for i, what := range updates {
			work.Go(func() {
				err := l.Update(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
					if runs[i]++; i == 0 && runs[i] == 1 {
						<-queued
					}
					_, err := tx.Setting("0")
					if what == writes || what == writesAndFails {
						err = errors.Join(err, tx.PutSetting(fmt.Sprint(i), what))
					}
					if what == fails || what == writesAndFails {
						err = errors.Join(err, errWanted)
					}
					return err
				})
				if what == fails || what == writesAndFails {
					assert.ErrorIs(t, err, errWanted)
				} else {
					assert.NoError(t, err)
				}
			})
			synctest.Wait()
		}
		close(queued)
		work.Wait()
		require.NoError(t, l.View(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
			for i, what := range updates {
				value, err := tx.Setting(fmt.Sprint(i))
				require.NoError(t, err)
				assert.Equal(t, what == writes, value != "", "update %d", i)
			}
			return nil
		}))
	})
	return runs, commits
}

func TestGroups(t *testing.T) {
	for name, test := range map[string]struct {
		updates       []string
		runs, commits []int
	}{
		"all write":                  {[]string{writes, writes, writes}, []int{1, 1, 1}, []int{3}},
		"none writes":                {[]string{reads, reads, fails}, []int{1, 1, 1}, nil},
		"one fails before it writes": {[]string{writes, fails, writes}, []int{1, 1, 1}, []int{2}},
		"the first writer fails":     {[]string{reads, writesAndFails, writes}, []int{1, 1, 1}, []int{1}},
		// Who ran before it runs again, who comes after it has the next commit.
		"a later one fails": {[]string{writes, reads, writesAndFails, writes, writes}, []int{2, 2, 1, 1, 1}, []int{1, 2}},
		"several fail": {
			[]string{writes, writesAndFails, writesAndFails, writes, writesAndFails, writes},
			[]int{2, 1, 1, 2, 1, 1}, []int{1, 1, 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			runs, commits := group(t, test.updates)
			assert.Equal(t, test.runs, runs)
			assert.Equal(t, test.commits, commits)
		})
	}
}

// Callers who leave in the middle of whatever they do disturb nobody: an interrupted statement of a reader, an update
// whose caller has gone.
func TestCallersLeave(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "alerts.db"))
	defer func() { require.NoError(t, l.Close()) }()
	fill(t, l, 500)
	var work sync.WaitGroup
	for range 6 {
		work.Go(func() {
			for range 40 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(3000))*time.Microsecond)
				err := l.View(ctx, ledgertest.Epoch, func(tx ledger.Tx) error {
					all, err := tx.Episodes(ledger.Query{})
					if err == nil {
						assert.Len(t, all, 500)
					}
					return err
				})
				if err != nil {
					assert.ErrorIs(t, err, context.DeadlineExceeded)
				}
				err = l.Update(ctx, ledgertest.Epoch, func(tx ledger.Tx) error {
					return tx.Count(ledger.CounterKey{Metric: "left"}, 1)
				})
				if err != nil {
					assert.ErrorIs(t, err, context.DeadlineExceeded)
				}
				cancel()
			}
		})
	}
	const staying = 100
	work.Go(func() {
		for range staying {
			assert.NoError(t, l.Update(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
				return tx.Count(ledger.CounterKey{Metric: "stayed"}, 1)
			}))
		}
	})
	work.Wait()
	require.NoError(t, l.View(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
		counters, err := tx.Counters()
		for _, c := range counters {
			if c.Metric == "stayed" {
				assert.EqualValues(t, staying, c.N)
			}
		}
		return err
	}))
	require.NoError(t, l.Healthy(context.Background()))
}
