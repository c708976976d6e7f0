package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest/pgtest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/sqlstore"
)

// TestManyEpisodes asks the page and the API of a collector whose ledger holds a lot of episodes, on both databases, and
// prints how long they and a collection of calibration metrics take. EPISODES=1000000 is what docs/ledger.md speaks of
// (`make many`); fewer only show that nothing fails.
func TestManyEpisodes(t *testing.T) {
	n := 20_000
	if text := os.Getenv("EPISODES"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	t.Run("sqlite", func(t *testing.T) {
		s, _, _ := prepare(t, kvRule)
		path := filepath.Join(s.dir, "alerts.db")
		last := fillLedger(t, sqlstore.Options{Driver: sqlstore.SQLite, DataSource: path}, "sqlite", path, n)
		s.askMany(t, n, last)
	})
	t.Run("postgres", func(t *testing.T) {
		server := pgtest.Start(t)
		s, _, _ := prepare(t, kvRule)
		source := server.Database()
		s.ledger = fmt.Sprintf("{driver: postgres, datasource: %q}", source)
		last := fillLedger(t, sqlstore.Options{Driver: sqlstore.Postgres, DataSource: source, ServerClock: true}, "pgx", source, n)
		s.askMany(t, n, last)
	})
}

// copies is how many times each of the episodes that deeds have made is in the ledger.
const copies = 1000

// fillLedger puts n episodes of 90 days into a ledger and returns the id of one of them. A thousandth of them is made by
// the deeds that components do, the rest are copies of these at other times: a million by deeds would take minutes.
func fillLedger(t *testing.T, options sqlstore.Options, driver, source string, n int) (last string) {
	t.Helper()
	began := time.Now()
	now := began.UTC()
	l, err := sqlstore.Open(t.Context(), now, options)
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	const rules, every = 200, 90 * 24 * time.Hour
	step := every / copies
	ids := make([]string, max(n/copies, 1))
	for i := range ids {
		rule := i % rules
		if i%5 == 0 {
			rule = 0 // one rule is noisier than all others
		}
		opened := now.Add(-step + time.Duration(random.Int64N(int64(step-time.Hour))))
		value, threshold, level := 0.9+0.1*random.Float64(), 0.9, 0.9+0.1*random.Float64()
		a := &alert.Alert{
			ID: fmt.Sprintf("%032x", i), Group: "serving", Rule: fmt.Sprintf("Rule%03d", rule), Owner: fmt.Sprintf("team-%02d", rule%20),
			Severity: alert.Severities[rule%3], State: alert.Firing, Reason: alert.ReasonThreshold, Start: opened, Time: opened, ObservedAt: opened,
			Labels: map[string]string{"job": "vllm", "instance": fmt.Sprint("vllm-", i), "model_name": "llama"}, Value: &value, Threshold: &threshold,
			FiringLevel: &level, SourceMetric: "vllm:kv_cache_usage_perc", SourceUnit: "1", Annotations: map[string]string{"summary": "KV cache full"},
		}
		at := opened
		do := func(fn func(tx ledger.Tx) error) { require.NoError(t, l.Update(t.Context(), at, fn)) }
		do(func(tx ledger.Tx) error {
			_, e, err := ledger.Record(tx, a)
			ids[i] = e.ID
			return err
		})
		do(func(tx ledger.Tx) error { return ledger.Notify(tx, ids[i], "oncall", ledger.DeliverPage, 1) })
		at = at.Add(time.Duration(random.IntN(30)) * time.Minute)
		if random.IntN(3) == 0 {
			do(func(tx ledger.Tx) error { return ledger.Acknowledge(tx, ids[i], "anna", "") })
		}
		a.State, a.Reason, a.Time = alert.Inactive, alert.ReasonRecovered, opened.Add(time.Hour)
		do(func(tx ledger.Tx) error {
			_, _, err := ledger.Record(tx, a)
			return err
		})
		if random.IntN(10) < 4 {
			verdict := ledger.FalsePositive
			if value > 0.97 {
				verdict = ledger.TruePositive
			}
			do(func(tx ledger.Tx) error { return ledger.Judge(tx, ids[i], verdict, "anna", "") })
		}
	}
	require.NoError(t, l.Close())
	db, err := sql.Open(driver, source)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	db.SetMaxOpenConns(1)
	if driver == "sqlite" { // nobody needs this to outlive a power loss
		for _, pragma := range []string{"synchronous = OFF", "cache_size = -2000000", "journal_mode = MEMORY"} {
			_, err := db.Exec("PRAGMA " + pragma)
			require.NoError(t, err)
		}
	}
	if n > copies {
		for k := 1; k < copies; k *= 2 { // doubled again and again, each time further back
			multiply(t, db, "episodes", k, min(k, copies-k), step)
			multiply(t, db, "events", k, min(k, copies-k), step)
		}
	}
	var count int
	require.NoError(t, db.QueryRow("SELECT count(*) FROM episodes").Scan(&count))
	require.InDelta(t, n, count, copies)
	if driver == "pgx" {
		_, err = db.Exec("ANALYZE")
		require.NoError(t, err)
	}
	t.Logf("%d episodes in %s", count, time.Since(began).Round(time.Second))
	return ids[len(ids)-1]
}

// multiply copies the rows of the newest `which` steps of time to before all that are there, k steps earlier.
func multiply(t *testing.T, db *sql.DB, table string, k, which int, step time.Duration) {
	t.Helper()
	rows, err := db.QueryContext(context.Background(), "SELECT * FROM "+table+" LIMIT 0")
	require.NoError(t, err)
	columns, err := rows.Columns()
	require.NoError(t, err)
	require.NoError(t, rows.Err())
	require.NoError(t, rows.Close())
	shift := fmt.Sprint(int64(k) * int64(step))
	var into, from []string
	for _, c := range columns {
		switch {
		case c == "seq":
			continue
		case table == "episodes" && (c == "id" || c == "alert_id"), c == "episode_id":
			from = append(from, fmt.Sprintf("%s || '_%d'", c, k))
		case strings.HasSuffix(c, "_at") || c == "at":
			from = append(from, fmt.Sprintf("CASE WHEN %s > 0 THEN %s - %s ELSE 0 END", c, c, shift))
		default:
			from = append(from, c)
		}
		into = append(into, c)
	}
	time0 := "opened_at"
	if table == "events" {
		time0 = "at"
	}
	newest := "SELECT max(" + time0 + ") FROM " + table
	_, err = db.ExecContext(context.Background(), fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s WHERE %s > (%s) - %d",
		table, strings.Join(into, ", "), strings.Join(from, ", "), table, time0, newest, int64(which)*int64(step)))
	require.NoError(t, err)
}

// askMany starts a collector on a full ledger and asks it for everything that people look at.
func (s *settings) askMany(t *testing.T, n int, id string) {
	t.Helper()
	launch(t, s.dir, s.health, s.whole())
	get := func(path string) (took time.Duration, size int) {
		began := time.Now()
		resp, err := http.Get("http://" + s.page + path)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		_ = resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode, "%s: %s", path, body)
		if strings.HasPrefix(path, "/api/") {
			require.True(t, json.Valid(body), path)
		}
		return time.Since(began), len(body)
	}
	worst := time.Duration(0)
	for _, path := range manyPaths(id) {
		first, _ := get(path)
		var rest []time.Duration
		size := 0
		for range 9 {
			var took time.Duration
			took, size = get(path)
			rest = append(rest, took)
		}
		slices.Sort(rest)
		worst = max(worst, rest[len(rest)/2])
		figures("%d episodes: %-60s first %7s, then median %7s, max %7s, %d kB", n, path, first.Round(time.Millisecond),
			rest[len(rest)/2].Round(time.Millisecond), rest[len(rest)-1].Round(time.Millisecond), size/1000)
	}
	eventually(t, "calibration metrics", func() bool { return s.own(t, "otelcol_receiver_calibration_collections") > 5 })
	figures("%d episodes: worst median of the page and the API %s", n, worst.Round(time.Millisecond))
	sum, count := s.own(t, "otelcol_receiver_calibration_collection_duration_sum"), s.own(t, "otelcol_receiver_calibration_collection_duration_count")
	figures("%d episodes: a collection of calibration metrics takes %.3f s (mean of %g)", n, sum/count, count)
}

// manyPaths are what people look at.
func manyPaths(id string) []string {
	rule := url.PathEscape("Rule000")
	return []string{
		"/", "/?owner=team-03", "/?rule=" + rule, "/?q=vllm-7", "/judge", "/judge?owner=team-03&severity=high", "/judge?rule=" + rule, "/owners", "/missed", "/alerts/" + id, "/silences", "/rules", "/rules?owner=team-03", "/rules/" + rule, "/rules/Rule007",
		"/api/v1/alerts", "/api/v1/alerts?open=false&verdict=none&limit=100", "/api/v1/alerts?verdict=false_positive&owner=team-03",
		"/api/v1/alerts?rule=" + rule + "&verdict=none", "/api/v1/alerts?severity=low&owner=team-02", "/api/v1/alerts/" + id,
		"/api/v1/owners", "/api/v1/rules", "/api/v1/rules/" + rule, "/api/v1/rules/Rule007",
	}
}
