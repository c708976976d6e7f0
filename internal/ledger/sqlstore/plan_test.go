package sqlstore

import (
	"context"
	"maps"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// scanned may be read from the beginning: they are small, or all of them is the answer, or it ends at the limit.
var scanned = regexp.MustCompile(`^SCAN (counters|histograms|histogram_buckets|CONSTANT ROW|` +
	`episodes USING COVERING INDEX episodes_tally|episodes USING (COVERING )?INDEX episodes_(in_time|open))`)

// Every statement finds its rows by an index and in the right order, so that its cost does not grow with the record.
func TestEveryQueryUsesAnIndex(t *testing.T) {
	l := openFile(t, filepath.Join(t.TempDir(), "alerts.db"))
	yes, no := true, false
	var queries []ledger.Query
	for _, open := range []*bool{nil, &yes, &no} {
		for _, q := range []ledger.Query{
			{}, {Rule: "r"}, {Owner: "o"}, {Severity: alert.High}, {Verdict: ledger.Expected}, {Unjudged: true},
			{Rule: "r", Unjudged: true, Told: true, Highest: alert.High, Since: time.Unix(1, 0)},
			{AlertID: "a", Unjudged: true, Told: true, Since: time.Unix(1, 0)},
			{Rule: "r", Owner: "o"}, {Since: time.Unix(1, 0), Until: time.Unix(2, 0)},
		} {
			q.Open = open
			queries = append(queries, q)
			q.After = &ledger.Episode{ID: "e", OpenedAt: time.Unix(1, 0)}
			queries = append(queries, q)
		}
	}
	_, err := l.Prune(context.Background(), time.Unix(3, 0), time.Unix(2, 0))
	require.NoError(t, err)
	err = l.submit(context.Background(), l.requests, time.Unix(3, 0), func(tx *tx) error {
		for _, q := range queries {
			_, err := tx.Episodes(q)
			require.NoError(t, err)
		}
		for _, read := range []func() error{
			func() error { _, err := tx.GroupEpisodes("g"); return err },
			func() error { _, err := tx.DigestEpisodes("d"); return err },
			func() error { _, err := tx.DueGroups(1); return err },
			func() error { _, err := tx.NextGroupDue(); return err },
			func() error { _, err := tx.Deliveries("t"); return err },
			func() error { _, err := tx.DueDeliveries(1); return err },
			func() error { _, err := tx.NextDeliveryDue(); return err },
			func() error { _, err := tx.EpisodeEvents("e"); return err },
			func() error { _, err := tx.EventsAfter(1, 1); return err },
			func() error { _, err := tx.Samples("r", time.Unix(1, 0)); return err },
			func() error { _, err := tx.Explored("r", time.Unix(1, 0), 1); return err },
			func() error { _, err := tx.Changes("r", time.Unix(1, 0)); return err },
			func() error { _, err := tx.Changes("", time.Unix(1, 0)); return err },
			func() error { _, err := tx.Misses("r", time.Unix(1, 0)); return err },
			func() error { _, err := tx.Misses("", time.Unix(1, 0)); return err },
			func() error { _, err := tx.Counters(); return err },
			func() error { _, err := tx.Histograms(); return err },
			func() error { _, err := tx.Tallies(time.Unix(1, 0)); return err },
		} {
			require.NoError(t, read())
		}
		for _, find := range []func() error{
			func() error { _, err := tx.Episode("e"); return err },
			func() error { _, err := tx.LastEpisode("a"); return err },
			func() error { _, err := tx.LastExplored("a"); return err },
			func() error { _, err := tx.LastChange("r", alert.High, ""); return err },
			func() error { _, err := tx.Group("g"); return err },
			func() error { _, err := tx.OpenGroup("k"); return err },
			func() error { _, err := tx.Delivery("t", "d"); return err },
		} {
			require.ErrorIs(t, find(), ledger.ErrNotFound)
		}
		for query := range tx.session.statements {
			if !strings.Contains(query, "SELECT") && !strings.Contains(query, "DELETE") {
				continue
			}
			for _, step := range plan(t, tx, query) {
				if strings.Contains(step, "SCAN") {
					assert.Regexp(t, scanned, step, query)
				}
				// A digest's groups are few, and all of them the answer; so are the episodes of one alert.
				if !strings.Contains(query, "group_id IN") && !strings.Contains(query, "alert_id = ? AND") {
					assert.NotContains(t, step, "TEMP B-TREE", query)
				}
			}
		}
		return nil
	})
	require.NoError(t, err)
}

func plan(t *testing.T, tx *tx, query string) (steps []string) {
	args := make([]any, strings.Count(query, "?"))
	if strings.Contains(query, "?2") {
		args = args[:2]
	}
	rows, err := tx.session.conn.QueryContext(context.Background(), "EXPLAIN QUERY PLAN "+query, args...)
	require.NoError(t, err, query)
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		require.NoError(t, rows.Scan(&id, &parent, &unused, &step))
		steps = append(steps, step)
	}
	require.NoError(t, rows.Err())
	return steps
}

func openFile(t testing.TB, path string) *Ledger {
	t.Helper()
	l, err := Open(context.Background(), time.Unix(0, 0), Options{Driver: SQLite, DataSource: path})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// Of several conditions the one that selects the fewest decides which index is used: the open ones are few, and so are a
// rule's beside a tier's.
func TestTheNarrowestIndexIsUsed(t *testing.T) {
	l := openFile(t, filepath.Join(t.TempDir(), "alerts.db"))
	yes, no := true, false
	planned := 0
	for index, queries := range map[string][]ledger.Query{
		"episodes_open": {
			{Open: &yes}, {Open: &yes, Severity: alert.High}, {Open: &yes, Rule: "r", Owner: "o", Unjudged: true, Since: time.Unix(1, 0)},
		},
		"episodes_of_alert": {{AlertID: "a", Open: &no, Unjudged: true, Since: time.Unix(1, 0)}},
		"episodes_of_rule": {
			{Rule: "r", Owner: "o"}, {Rule: "r", Owner: "o", Highest: alert.High, Open: &no, Unjudged: true, Told: true, Since: time.Unix(1, 0)},
			{Rule: "r", Severity: alert.Low, Verdict: ledger.Expected},
		},
		"episodes_of_owner":   {{Owner: "o", Severity: alert.Low}, {Owner: "o", Unjudged: true, Open: &no}},
		"episodes_of_verdict": {{Unjudged: true, Severity: alert.Low}, {Verdict: ledger.Expected, Since: time.Unix(1, 0)}},
	} {
		for _, q := range queries {
			err := l.submit(context.Background(), l.requests, time.Unix(3, 0), func(tx *tx) error {
				before := maps.Clone(tx.session.statements)
				_, err := tx.Episodes(q)
				for query := range tx.session.statements {
					if _, known := before[query]; !known {
						planned++
						assert.Regexp(t, "INDEX "+index+`\b`, strings.Join(plan(t, tx, query), "; "), query)
					}
				}
				return err
			})
			require.NoError(t, err)
		}
	}
	assert.Equal(t, 11, planned)
}
