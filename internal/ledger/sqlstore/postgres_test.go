package sqlstore_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest/pgtest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/sqlstore"
)

// server is a PostgreSQL database for ledgertest.
type server string

func (source server) Open(t testing.TB) (ledger.Ledger, func()) {
	l, err := sqlstore.Open(context.Background(), ledgertest.Epoch, sqlstore.Options{
		Driver: sqlstore.Postgres, DataSource: string(source),
	})
	require.NoError(t, err)
	return l, func() { require.NoError(t, l.Close()) }
}

func TestPostgresConformance(t *testing.T) {
	s := pgtest.Start(t)
	ledgertest.Run(t, func(testing.TB) ledgertest.Database { return server(s.Database()) })
}

func TestPostgresProperties(t *testing.T) {
	s := pgtest.Start(t)
	ledgertest.RunProperties(t, func(testing.TB) ledgertest.Database { return server(s.Database()) })
}

func openServer(t testing.TB, source string) *sqlstore.Ledger {
	t.Helper()
	l, err := sqlstore.Open(context.Background(), ledgertest.Epoch, sqlstore.Options{Driver: sqlstore.Postgres, DataSource: source})
	require.NoError(t, err)
	return l
}

func count(t testing.TB, l ledger.Ledger) (n int64) {
	t.Helper()
	require.NoError(t, l.View(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
		all, err := tx.Counters()
		for _, c := range all {
			n += c.N
		}
		return err
	}))
	return n
}

func add(l ledger.Ledger) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return l.Update(ctx, ledgertest.Epoch, func(tx ledger.Tx) error { return tx.Count(ledger.CounterKey{Metric: "n"}, 1) })
}

// The server is killed and comes back, again and again, while many write: what was said to be durable is there, and what
// was not is not, but for what was on its way when the server died. Reading and writing go on by themselves.
func TestPostgresGoesAndComesBack(t *testing.T) {
	s := pgtest.Start(t, "fsync=on")
	l := openServer(t, s.Database())
	defer func() { require.NoError(t, l.Close()) }()
	var durable, unknown atomic.Int64
	stop := make(chan struct{})
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := add(l); err == nil {
					durable.Add(1)
				} else {
					unknown.Add(1)
					assert.NotContains(t, err.Error(), "panic")
				}
			}
		})
	}
	for range 3 {
		before := durable.Load()
		require.Eventually(t, func() bool { return durable.Load() > before+50 }, 30*time.Second, time.Millisecond)
		s.Kill()
		require.Eventually(t, func() bool { return l.Healthy(context.Background()) != nil }, 10*time.Second, time.Millisecond)
		s.Run()
		require.Eventually(t, func() bool { return l.Healthy(context.Background()) == nil }, 30*time.Second, 10*time.Millisecond)
	}
	close(stop)
	work.Wait()
	n := count(t, l)
	t.Logf("%d durable, %d refused, %d counted", durable.Load(), unknown.Load(), n)
	assert.GreaterOrEqual(t, n, durable.Load(), "lost")
	assert.LessOrEqual(t, n, durable.Load()+8*3, "what was on its way at each kill, and no more")
	assert.Positive(t, unknown.Load())
}

// standing waits until a ledger's standing is as wanted.
func standing(t *testing.T, l *sqlstore.Ledger, what string, wanted func(ledger.Standing) bool) {
	t.Helper()
	require.Eventually(t, func() bool { return wanted(l.Standing()) }, 20*time.Second, time.Millisecond, what)
}

func leads(s ledger.Standing) bool { return s.Leads }

// Of several Collectors on one database one leads, and hears of what the others commit; when it has gone, another leads. In
// another schema is another ledger.
func TestPostgresOneLeads(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	source := s.Database()
	one := openServer(t, source)
	assert.Equal(t, ledger.Standing{Shared: true, Leads: true}, one.Standing())
	two := openServer(t, source)
	assert.Equal(t, ledger.Standing{Shared: true}, two.Standing())
	changed := one.Changed()
	require.NoError(t, add(two))
	standing(t, one, "a commit of the other", func(s ledger.Standing) bool { return s.Others == 1 })
	<-changed
	assert.EqualValues(t, 1, count(t, one))
	assert.Zero(t, two.Standing().Others, "its own")

	s.Exec(source, "CREATE SCHEMA other")
	other := openServer(t, source+" search_path=other") // a ledger of its own
	assert.True(t, other.Standing().Leads)
	assert.Zero(t, count(t, other))
	require.NoError(t, other.Close())

	changed = two.Changed()
	require.NoError(t, one.Close())
	standing(t, two, "it follows", leads)
	<-changed
	one = openServer(t, source)
	assert.False(t, one.Standing().Leads)
	s.Exec(source, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 3 AND granted")
	standing(t, one, "the leader was cut off", leads)
	asks := func(l *sqlstore.Ledger) (leads bool) {
		require.NoError(t, l.View(t.Context(), ledgertest.Epoch, func(tx ledger.Tx) (err error) {
			leads, err = tx.Leads()
			return err
		}))
		return leads
	}
	assert.True(t, asks(one))
	assert.False(t, asks(two))
	standing(t, two, "it knows", func(s ledger.Standing) bool { return !s.Leads })
	require.NoError(t, add(two), "and goes on writing")
	require.NoError(t, one.Close())
	require.NoError(t, two.Close())
}

// What another Collector opens can be observed here, and what it ends cannot any more.
func TestPostgresObservesOthersEpisodes(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	source := s.Database()
	one, two := openServer(t, source), openServer(t, source)
	defer func() { require.NoError(t, one.Close()); require.NoError(t, two.Close()) }()
	e := &ledger.Episode{ID: "e", AlertID: "a", Rule: "r", Owner: "o", Severity: alert.High, OpenedAt: ledgertest.Epoch, JudgedAt: ledgertest.Epoch}
	put := func(l *sqlstore.Ledger) {
		require.NoError(t, l.Update(t.Context(), ledgertest.Epoch, func(tx ledger.Tx) error { return tx.PutEpisode(e) }))
	}
	read := func() (got *ledger.Episode) {
		require.NoError(t, two.View(t.Context(), ledgertest.Epoch, func(tx ledger.Tx) (err error) {
			got, err = tx.Episode("e")
			return err
		}))
		return got
	}
	put(one)
	read()
	assert.Equal(t, 1, two.OpenEpisodes())
	value := 0.97
	two.Observe(map[string]ledger.Observation{"e": {Value: &value, JudgedAt: ledgertest.Epoch.Add(time.Minute)}})
	assert.Equal(t, &value, read().Value)
	e.EndedAt = ledgertest.Epoch.Add(time.Hour)
	put(one)
	read()
	assert.Zero(t, two.OpenEpisodes())
}

// The server's clock decides where it is asked to, however wrong the caller's is.
func TestPostgresClock(t *testing.T) {
	s := pgtest.Start(t)
	l, err := sqlstore.Open(context.Background(), ledgertest.Epoch, sqlstore.Options{Driver: sqlstore.Postgres, DataSource: s.Database(), ServerClock: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	for _, wrong := range []time.Duration{-time.Hour, 0, time.Hour} {
		check := func(tx ledger.Tx) error {
			assert.WithinDuration(t, time.Now(), tx.Now(), 5*time.Second)
			return tx.PutSetting("clock", tx.Now().String())
		}
		require.NoError(t, l.Update(context.Background(), time.Now().Add(wrong), check))
		require.NoError(t, l.View(context.Background(), time.Now().Add(wrong), func(tx ledger.Tx) error {
			assert.WithinDuration(t, time.Now(), tx.Now(), 5*time.Second)
			return nil
		}))
	}
}

func TestPostgresRefusals(t *testing.T) {
	s := pgtest.Start(t)
	foreign := s.Database()
	s.Exec(foreign, "CREATE TABLE customers (id int)")
	newer := s.Database()
	require.NoError(t, openServer(t, newer).Close())
	s.Exec(newer, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)")
	for want, source := range map[string]string{
		"holds tables of another program":     foreign,
		"a newer Collector has written it":    newer,
		"there is no such database":           strings.Replace(foreign, "dbname=d1", "dbname=nowhere", 1),
		"the server cannot be reached":        "host=" + t.TempDir() + " user=ledger password=secret dbname=d1",
		"the server refuses user or password": strings.Replace(foreign, "user=ledger", "user=nobody password=secret", 1),
	} {
		_, err := sqlstore.Open(context.Background(), ledgertest.Epoch, sqlstore.Options{Driver: sqlstore.Postgres, DataSource: source})
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "secret")
	}
	for _, source := range []string{"", "alerts.db", "postgres://u:secret@host:port/db", "mysql://u:secret@host/db"} {
		err := sqlstore.Options{Driver: sqlstore.Postgres, DataSource: source}.Validate()
		require.ErrorContains(t, err, "must be a connection string", source)
		assert.NotContains(t, err.Error(), "secret")
	}
}

// What somebody writes by hand, or a successor does, wakes who waits for changes.
func TestPostgresTellsOfChanges(t *testing.T) {
	s := pgtest.Start(t)
	source := s.Database()
	l := openServer(t, source)
	defer func() { require.NoError(t, l.Close()) }()
	changed := l.Changed()
	s.Exec(source, "SELECT pg_notify('otelcol_escalation_ledger', 'by hand')")
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Fatal("not told")
	}
}

// Long text, as senders may choose it, is no reason to lose a transition.
func TestPostgresTakesLongText(t *testing.T) {
	s := pgtest.Start(t)
	l := openServer(t, s.Database())
	defer func() { require.NoError(t, l.Close()) }()
	text := ""
	for i := range 20_000 { // nothing that compresses well
		text += strconv.FormatInt(int64(i*7919), 36)
	}
	name := text[:512] // the longest that comes from telemetry
	require.NoError(t, l.Update(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
		e := &ledger.Episode{ID: "e", AlertID: name, Rule: name, RuleGroup: name, Owner: name, SourceMetric: name, Note: text, Labels: map[string]string{"a": text}, OpenedAt: ledgertest.Epoch}
		return tx.PutEpisode(e)
	}))
}

// The sixth migration, as on SQLite.
func TestPostgresAnswersOfOldEpisodes(t *testing.T) {
	s := pgtest.Start(t)
	source := s.Database()
	l := openServer(t, source)
	answerSome(t, l)
	want := tallied(t, l)
	require.Len(t, want, 1)
	assert.Equal(t, int64(3), want[0].Unacknowledged)
	require.NoError(t, l.Close())
	for _, statement := range beforeAnswers {
		s.Exec(pgtest.Name(source), statement)
	}
	l = openServer(t, source)
	defer func() { require.NoError(t, l.Close()) }()
	assert.Equal(t, want, tallied(t, l))
}
