package sqlstore

import (
	"fmt"
	"math"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const (
	keyColumns = "metric, rule, owner, source_metric, severity, value"

	countStatement = "INSERT INTO counters (" + keyColumns + ", n) VALUES (?, ?, ?, ?, ?, ?, ?) " +
		"ON CONFLICT (" + keyColumns + ") DO UPDATE SET n = counters.n + excluded.n"

	measureStatement = "INSERT INTO histograms (" + keyColumns + ", scale, zero, n, total, lowest, highest) " +
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?) " +
		"ON CONFLICT (" + keyColumns + ") DO UPDATE SET zero = histograms.zero + excluded.zero, n = histograms.n + 1, " +
		"total = histograms.total + excluded.total, " +
		"lowest = CASE WHEN excluded.lowest < histograms.lowest THEN excluded.lowest ELSE histograms.lowest END, " +
		"highest = CASE WHEN excluded.highest > histograms.highest THEN excluded.highest ELSE histograms.highest END " +
		"RETURNING id"

	bucketStatement = "INSERT INTO histogram_buckets (histogram_id, bucket, n) VALUES (?, ?, 1) " +
		"ON CONFLICT (histogram_id, bucket) DO UPDATE SET n = histogram_buckets.n + 1"
)

func keyArgs(k ledger.CounterKey, more ...any) []any {
	return append([]any{k.Metric, k.Rule, k.Owner, k.SourceMetric, int64(k.Severity), k.Value}, more...)
}

func keyInto(k *ledger.CounterKey, more ...any) []any {
	return append([]any{&k.Metric, &k.Rule, &k.Owner, &k.SourceMetric, &k.Severity, &k.Value}, more...)
}

func (t *tx) Count(key ledger.CounterKey, delta int64) error {
	if delta == 0 {
		return nil
	}
	return t.write(countStatement, keyArgs(key, delta)...)
}

// Measure adds a duration. The clock that durations are taken from may be set back: what would be negative is 0.
func (t *tx) Measure(key ledger.CounterKey, seconds float64) error {
	if math.IsNaN(seconds) || math.IsInf(seconds, 0) {
		return fmt.Errorf("%s: a duration must be a finite number (got %v)", key.Metric, seconds)
	}
	seconds = max(seconds, 0)
	bucket, zero := bucketOf(seconds)
	id, err := t.insert(measureStatement, keyArgs(key, int64(bucketScale), flag(zero), seconds, seconds, seconds)...)
	if err != nil || zero {
		return err
	}
	return t.write(bucketStatement, id, int64(bucket))
}

func (t *tx) Counters() ([]ledger.Counter, error) {
	return list(t, func(r row) (c ledger.Counter, err error) {
		err = r.Scan(keyInto(&c.CounterKey, &c.N)...)
		return c, err
	}, "SELECT "+keyColumns+", n FROM counters ORDER BY "+keyColumns)
}

func (t *tx) Histograms() ([]ledger.Histogram, error) {
	type bucket struct {
		histogram int64
		index     int32
		n         uint64
	}
	buckets, err := list(t, func(r row) (b bucket, err error) {
		err = r.Scan(&b.histogram, &b.index, &b.n)
		return b, err
	}, "SELECT histogram_id, bucket, n FROM histogram_buckets")
	if err != nil {
		return nil, err
	}
	of := map[int64]map[int32]uint64{}
	for _, b := range buckets {
		if of[b.histogram] == nil {
			of[b.histogram] = map[int32]uint64{}
		}
		of[b.histogram][b.index] = b.n
	}
	return list(t, func(r row) (h ledger.Histogram, err error) {
		var id int64
		err = r.Scan(keyInto(&h.CounterKey, &h.Scale, &h.Zero, &h.Count, &h.Sum, &h.Min, &h.Max, &id)...)
		h.Buckets = of[id]
		return h, err
	}, "SELECT "+keyColumns+", scale, zero, n, total, lowest, highest, id FROM histograms ORDER BY "+keyColumns)
}
