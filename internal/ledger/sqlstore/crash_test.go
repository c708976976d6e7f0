package sqlstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/sqlstore"
)

// In a child process, these say what it is to do, and where.
const (
	envChild = "LEDGER_TEST_CHILD"
	envFile  = "LEDGER_TEST_FILE"
	envFirst = "LEDGER_TEST_FIRST"
)

func TestMain(m *testing.M) {
	if os.Getenv(envChild) != "" {
		writeForEver()
	}
	os.Exit(m.Run())
}

// writeForEver opens the ledger and writes numbered episodes from several goroutines, each with an event and a count;
// it prints a number when its update has been acknowledged. It ends by being killed.
func writeForEver() {
	fmt.Println("started")
	l, err := sqlstore.Open(context.Background(), ledgertest.Epoch, sqlstore.Options{
		Driver: sqlstore.SQLite, DataSource: os.Getenv(envFile),
	})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	first, _ := strconv.Atoi(os.Getenv(envFirst))
	const writers = 8
	var work sync.WaitGroup
	for w := range writers {
		work.Go(func() {
			for n := first + w; ; n += writers {
				err := l.Update(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
					id := strconv.Itoa(n)
					return errors.Join(
						tx.PutEpisode(&ledger.Episode{ID: id, AlertID: id, OpenedAt: ledgertest.Epoch}),
						tx.AppendEvent(&ledger.Event{EpisodeID: id}),
						tx.Count(ledger.CounterKey{Metric: "n"}, 1))
				})
				if err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				fmt.Println(n) // one write, so that lines do not mix
			}
		})
	}
	work.Wait()
}

// child starts this test binary as a writer and returns what it prints.
func child(t *testing.T, path string, first int) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envChild+"=1", envFile+"="+path, fmt.Sprint(envFirst, "=", first))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, bufio.NewScanner(out)
}

// Killed again and again while it writes, the ledger has everything that was acknowledged, and nothing by halves.
func TestKilledWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.db")
	kills := 10
	if testing.Short() {
		kills = 2
	}
	acknowledged := 0
	first := 0
	for range kills {
		cmd, lines := child(t, path, first)
		var last []int
		after := 50 + rand.IntN(400) // acknowledgements, so that the kill falls into the writing and not into the start
		for lines.Scan() && len(last) < after {
			line := lines.Text()
			require.NotContains(t, line, "error")
			if n, err := strconv.Atoi(line); err == nil {
				last = append(last, n)
			}
		}
		require.NoError(t, cmd.Process.Kill())
		for lines.Scan() { // what was acknowledged before the kill arrived
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				last = append(last, n)
			}
		}
		_ = cmd.Wait()
		acknowledged += len(last)

		l := open(t, path)
		require.NoError(t, l.View(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
			for _, n := range last {
				_, err := tx.Episode(strconv.Itoa(n))
				require.NoError(t, err, "episode %d was acknowledged and is lost", n)
			}
			counters, err := tx.Counters()
			require.NoError(t, err)
			require.Len(t, counters, 1)
			events, err := tx.EventsAfter(0, 1<<30)
			require.NoError(t, err)
			assert.EqualValues(t, l.OpenEpisodes(), counters[0].N, "all of an update or nothing")
			assert.Len(t, events, l.OpenEpisodes())
			assert.GreaterOrEqual(t, l.OpenEpisodes(), acknowledged)
			return nil
		}))
		for _, n := range last {
			first = max(first, n+100)
		}
		require.NoError(t, l.Close())
	}
	t.Logf("killed %d times: %d updates acknowledged, 0 lost", kills, acknowledged)
}

// Killed at any moment of its first start, the database can be opened afterwards.
func TestKilledWhileMigrating(t *testing.T) {
	kills := 40
	if testing.Short() {
		kills = 5
	}
	// How long a start takes here, so that the kills are spread over all of it.
	begin := func(path string) (*exec.Cmd, *bufio.Scanner) {
		cmd, lines := child(t, path, 0)
		require.True(t, lines.Scan())
		require.Equal(t, "started", lines.Text())
		return cmd, lines
	}
	cmd, lines := begin(filepath.Join(t.TempDir(), "alerts.db"))
	started := time.Now()
	require.True(t, lines.Scan())
	start := time.Since(started)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()

	unfinished := 0
	for i := range kills {
		path := filepath.Join(t.TempDir(), "alerts.db")
		cmd, lines := begin(path)
		killed := make(chan error, 1)
		time.AfterFunc(start*time.Duration(i)/time.Duration(kills), func() { killed <- cmd.Process.Kill() })
		require.NoError(t, <-killed)
		wrote := false
		for lines.Scan() {
			require.False(t, strings.HasPrefix(lines.Text(), "error"), lines.Text())
			wrote = true
		}
		_ = cmd.Wait()
		if !wrote {
			unfinished++
		}
		l := open(t, path)
		require.NoError(t, l.Update(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
			return tx.PutEpisode(&ledger.Episode{ID: "new", AlertID: "new"})
		}))
		require.NoError(t, l.Close())
	}
	t.Logf("killed %d times within %v, %d of them before the first update", kills, start, unfinished)
	assert.NotZero(t, unfinished, "no kill came early enough to test anything")
}
