package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest/pgtest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/sqlstore"
)

// fired is a judgement as a model server's alert brings it: ten labels, annotations, numbers.
func fired(n int) *alert.Alert {
	value, threshold := 0.97, 0.9
	labels := map[string]string{"instance": fmt.Sprint("vllm-", n)}
	for i := range 9 {
		labels[fmt.Sprint("label_", i)] = "some value"
	}
	return &alert.Alert{
		ID: fmt.Sprintf("%032x", n), Group: "vllm", Rule: fmt.Sprint("Rule", n%50), Owner: fmt.Sprint("team-", n%7),
		Severity: alert.Severities[n%4], State: alert.Firing, Reason: alert.ReasonThreshold, Labels: labels,
		Start: ledgertest.Epoch, Time: ledgertest.Epoch, ObservedAt: ledgertest.Epoch, Value: &value, Threshold: &threshold,
		SourceMetric: "vllm:kv_cache_usage_perc", SourceUnit: "1", Response: "Drain the replica, then add one.",
		Annotations: map[string]string{"summary": "KV cache 97% full", "runbook_url": "https://runbooks.example.com/kv"},
	}
}

func record(l ledger.Ledger, now time.Time, alerts ...*alert.Alert) error {
	return l.Update(context.Background(), now, func(tx ledger.Tx) error {
		for _, a := range alerts {
			if _, _, err := ledger.Record(tx, a); err != nil {
				return err
			}
		}
		return nil
	})
}

// BenchmarkUpdate opens one episode per update, each on the disk before it returns.
func BenchmarkUpdate(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkUpdate(b, sqlstore.SQLite, filepath.Join(b.TempDir(), "alerts")) })
	b.Run("postgres", func(b *testing.B) { benchmarkUpdate(b, sqlstore.Postgres, pgtest.Start(b, "fsync=on").Database()) })
}

func benchmarkUpdate(b *testing.B, driver sqlstore.Driver, source string) {
	var next atomic.Int64
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			var commits atomic.Int64
			l, err := sqlstore.Open(context.Background(), ledgertest.Epoch, sqlstore.Options{
				Driver: driver, DataSource: source,
				OnCommit: func(int) func(error) { return func(error) { commits.Add(1) } },
			})
			require.NoError(b, err)
			defer l.Close()
			var done atomic.Int64
			var work sync.WaitGroup
			b.ResetTimer()
			for range callers {
				work.Go(func() {
					for done.Add(1) <= int64(b.N) {
						if err := record(l, ledgertest.Epoch, fired(int(next.Add(1)))); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			work.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
			b.ReportMetric(float64(commits.Load())/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

// BenchmarkRepetition is an update that finds nothing new: it does not reach the disk.
func BenchmarkRepetition(b *testing.B) {
	l := open(b, filepath.Join(b.TempDir(), "alerts.db"))
	defer l.Close()
	a := fired(1)
	require.NoError(b, record(l, ledgertest.Epoch, a))
	for b.Loop() {
		a.Time = a.Time.Add(time.Second)
		if err := record(l, ledgertest.Epoch, a); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStorm records 10,000 alerts at once: all opened, all repeated, all ended.
func BenchmarkStorm(b *testing.B) {
	const n = 10000
	for b.Loop() {
		l := open(b, filepath.Join(b.TempDir(), "alerts.db"))
		alerts := make([]*alert.Alert, n)
		for i := range alerts {
			alerts[i] = fired(i)
		}
		for _, phase := range []string{"open", "repeat", "end"} {
			start := time.Now()
			if err := record(l, ledgertest.Epoch, alerts...); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms/"+phase)
			for _, a := range alerts {
				a.Time = a.Time.Add(time.Second)
				if phase == "repeat" {
					a.State = alert.Inactive
				}
			}
		}
		require.NoError(b, l.Close())
	}
}

// BenchmarkOpen opens a ledger with 50,000 open episodes.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "alerts.db")
	l := open(b, path)
	for i := 0; i < 50000; i += 10000 {
		var some []*alert.Alert
		for n := range 10000 {
			some = append(some, fired(i+n))
		}
		require.NoError(b, record(l, ledgertest.Epoch, some...))
	}
	require.NoError(b, l.Close())
	for b.Loop() {
		l := open(b, path)
		if l.OpenEpisodes() != 50000 {
			b.Fatal("episodes are missing")
		}
		require.NoError(b, l.Close())
	}
}

// BenchmarkMillion reads from a record of 1,000,000 episodes over 90 days, a thousandth of them open: 50 rules, 7
// owners, 4 tiers, every second one notified, every tenth one judged. Filling it takes minutes.
func BenchmarkMillion(b *testing.B) {
	const n = 1000000
	l := open(b, filepath.Join(b.TempDir(), "alerts.db"))
	defer l.Close()
	day := 24 * time.Hour
	when := func(i int) time.Time { return ledgertest.Epoch.Add(time.Duration(i) * (90 * day / n)) }
	start := time.Now()
	for i := 0; i < n; i += 10000 {
		require.NoError(b, l.Update(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
			for j := i; j < i+10000; j++ {
				a := fired(j)
				e := &ledger.Episode{
					ID: fmt.Sprintf("%026d", j), AlertID: a.ID, GroupID: fmt.Sprint(j / 3), RuleGroup: a.Group, Rule: a.Rule, Owner: a.Owner,
					Severity: a.Severity, Highest: a.Severity, Labels: a.Labels, Annotations: a.Annotations, Response: a.Response,
					SourceMetric: a.SourceMetric, Value: a.Value, Threshold: a.Threshold, OpenedAt: when(j), JudgedAt: when(j),
				}
				if j%2 == 0 {
					e.NotifiedAt = when(j)
				}
				if j%10 == 0 {
					e.Verdict = ledger.Verdicts[j/10%4]
				}
				if j%1000 != 0 {
					e.EndedAt = when(j).Add(time.Hour)
				}
				if err := tx.PutEpisode(e); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	size, err := l.Size()
	require.NoError(b, err)
	b.Logf("filled in %v, %d MB", time.Since(start).Round(time.Second), size>>20)

	yes := true
	middle := &ledger.Episode{ID: fmt.Sprintf("%026d", n/2), OpenedAt: when(n / 2)}
	for _, test := range []struct {
		name string
		read func(ledger.Tx) (int, error)
	}{
		{"tallies of 90 days", tallies(time.Time{})},
		{"tallies of 30 days", tallies(ledgertest.Epoch.Add(60 * day))},
		{"first page", page(ledger.Query{Limit: 100})},
		{"page in the middle", page(ledger.Query{Limit: 100, After: middle})},
		{"open ones", page(ledger.Query{Limit: 1000, Open: &yes})},
		{"one rule", page(ledger.Query{Limit: 100, Rule: "Rule7", After: middle})},
		{"one owner and tier", page(ledger.Query{Limit: 100, Owner: "team-3", Severity: alert.Low})},
		{"judged", page(ledger.Query{Limit: 100, Verdict: ledger.Expected, Since: when(n / 3), Until: when(n / 2)})},
	} {
		b.Run(test.name, func(b *testing.B) {
			for b.Loop() {
				if err := l.View(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
					rows, err := test.read(tx)
					if err == nil && rows == 0 {
						err = errors.New("nothing was found")
					}
					return err
				}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("prune a day", func(b *testing.B) {
		for b.Loop() {
			start := time.Now()
			removed, err := l.Prune(context.Background(), ledgertest.Epoch, when(n/90).Add(time.Hour))
			require.NoError(b, err)
			if removed > 0 {
				b.ReportMetric(float64(removed)/time.Since(start).Seconds(), "removed/s")
			}
		}
	})
}

func tallies(since time.Time) func(ledger.Tx) (int, error) {
	return func(tx ledger.Tx) (int, error) {
		all, err := tx.Tallies(since)
		return len(all), err
	}
}

func page(q ledger.Query) func(ledger.Tx) (int, error) {
	return func(tx ledger.Tx) (int, error) {
		all, err := tx.Episodes(q)
		return len(all), err
	}
}
