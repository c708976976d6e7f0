package calibrationreceiver

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/pmetrictest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/sqlstore"
)

// fortnight is the morning and the thirteen days after it: rules of other owners and on other metrics, a threshold that could be better, a
// band, an alert that flaps, one that nobody answers, incidents that no alert caught, and a budget.
func fortnight(t testing.TB, l ledger.Ledger, epoch time.Time) (now time.Time) {
	morning(t, l, epoch)
	n := 0
	fires := func(at time.Time, rule, owner, source string, threshold, level float64) (id string) {
		n++
		update(t, l, at, func(tx ledger.Tx) error {
			_, e, err := ledger.Record(tx, &alert.Alert{
				ID: fmt.Sprint(rule, n), Group: "g", Rule: rule, Owner: owner, SourceMetric: source, SourceUnit: "By", Severity: alert.High, State: alert.Firing,
				Time: at, Start: at, Reason: alert.ReasonThreshold, Value: &level, Threshold: &threshold, FiringLevel: &level,
			})
			if err != nil {
				return err
			}
			id = e.ID
			return ledger.Notify(tx, id, "oncall", ledger.DeliverPage, 1)
		})
		return id
	}
	judged := func(day float64, rule string, threshold, level float64, v ledger.Verdict) {
		at := epoch.Add(time.Duration(day * 24 * float64(time.Hour)))
		id := fires(at, rule, "hardware", "hw.memory", threshold, level)
		update(t, l, at.Add(time.Minute), func(tx ledger.Tx) error { return ledger.Resolve(tx, id, "anna", "") })
		update(t, l, at.Add(2*time.Minute), func(tx ledger.Tx) error { return ledger.Judge(tx, id, v, "anna", "") })
	}
	for i := range 20 {
		judged(1+float64(i)/2, "MemoryHigh", 100, 101+float64(i), ledger.FalsePositive)
	}
	for i := range 4 {
		judged(11+float64(i)/4, "MemoryHigh", 100, 180, ledger.TruePositive)
	}
	judged(2, "OutsideBand", 90, 95, ledger.FalsePositive)
	judged(3, "OutsideBand", 10, 5, ledger.TruePositive)

	now = epoch.Add(13 * 24 * time.Hour)
	alone := fires(now.Add(-time.Hour), "NobodyCame", "night", "queue.length", 5, 6)
	update(t, l, now.Add(-50*time.Minute), func(tx ledger.Tx) error { return ledger.End(tx, alone, alert.ReasonSeriesGone) })
	flaps := fires(now.Add(-time.Minute), "Flaps", "night", "queue.length", 5, 6)
	update(t, l, now, func(tx ledger.Tx) error {
		if err := ledger.NoticeFlapping(tx, flaps); err != nil {
			return err
		}
		for _, rule := range []string{"MemoryHigh", "NeverFired"} {
			if _, err := ledger.Report(tx, &ledger.Miss{Rule: rule, At: now.Add(-2 * time.Hour), By: "anna"}); err != nil {
				return err
			}
		}
		text, err := json.Marshal(map[string]escalate.Budget{"night": {Pages: 2, Within: 12 * time.Hour}})
		if err != nil {
			return err
		}
		if err := tx.PutGroup(&ledger.Group{ID: "g", Key: "g", Owner: "night", PagedAt: now.Add(-time.Hour)}); err != nil {
			return err
		}
		return tx.PutSetting(ledger.SettingBudgets, string(text))
	})
	return now
}

func TestMetrics(t *testing.T) {
	l := ledgertest.New(t)
	assert.Zero(t, collected(t, l, ledgertest.Epoch, time.Hour).ResourceMetrics().Len(), "nothing happened, nothing to tell")
	now := fortnight(t, l, ledgertest.Epoch)
	file := filepath.Join("testdata", "metrics.yaml")
	got := collected(t, l, now, 30*24*time.Hour)
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, golden.WriteMetricsToFile(file, got, golden.SkipMetricTimestampNormalization()))
	}
	want, err := golden.ReadMetrics(file)
	require.NoError(t, err)
	require.NoError(t, pmetrictest.CompareMetrics(want, got, pmetrictest.IgnoreMetricDataPointsOrder(), pmetrictest.IgnoreMetricsOrder()))

	// Every metric that has a name occurs, and the README says what it means.
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, name := range metricNames(t) {
		found := false
		for _, m := range got.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			found = found || m.Name() == name
		}
		assert.True(t, found, name)
		short := name
		for _, prefix := range []string{"alert.false_positive", "alert.suggestion"} { // several in a row
			if rest, ok := strings.CutPrefix(name, prefix); ok {
				short = rest
			}
		}
		assert.Contains(t, string(readme), short+"`", name)
	}
	sound(t, got)
}

// metricNames are the calibration metrics among the names of the contract.
func metricNames(t testing.TB) (all []string) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", "internal", "alert", "names.go"), nil, 0)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Metric") {
			return true
		}
		name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		require.NoError(t, err)
		if name != alert.MetricState && name != alert.MetricExplore {
			all = append(all, name)
		}
		return true
	})
	require.Greater(t, len(all), 20)
	return all
}

type failing interface {
	Errorf(format string, args ...any)
	FailNow()
}

// sound checks what holds for any collection: numbers are finite, ratios are ratios within their bounds and have their coverage
// beside them, sums and distributions are cumulative and have begun before now, and no series stands twice.
func sound(t failing, md pmetric.Metrics) {
	ratios := map[string]map[string]float64{}
	seen := map[string]bool{}
	once := func(metric string, attrs pcommon.Map) string {
		text, err := json.Marshal(attrs.AsRaw())
		require.NoError(t, err)
		require.False(t, seen[metric+string(text)], "%s %s stands twice", metric, text)
		seen[metric+string(text)] = true
		return string(text)
	}
	begun := func(start, now pcommon.Timestamp) {
		require.NotZero(t, start)
		require.LessOrEqual(t, start, now)
	}
	for _, rm := range md.ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			numbers := pmetric.NewNumberDataPointSlice()
			switch m.Type() {
			case pmetric.MetricTypeSum:
				require.Equal(t, pmetric.AggregationTemporalityCumulative, m.Sum().AggregationTemporality())
				require.Equal(t, m.Name() != alert.MetricVerdicts, m.Sum().IsMonotonic(), m.Name())
				numbers = m.Sum().DataPoints()
				for _, p := range numbers.All() {
					begun(p.StartTimestamp(), p.Timestamp())
					require.False(t, m.Sum().IsMonotonic() && p.IntValue() < 0, m.Name())
				}
			case pmetric.MetricTypeGauge:
				numbers = m.Gauge().DataPoints()
			case pmetric.MetricTypeExponentialHistogram:
				require.Equal(t, pmetric.AggregationTemporalityCumulative, m.ExponentialHistogram().AggregationTemporality())
				require.Equal(t, "s", m.Unit())
				for _, p := range m.ExponentialHistogram().DataPoints().All() {
					once(m.Name(), p.Attributes())
					begun(p.StartTimestamp(), p.Timestamp())
					total := p.ZeroCount()
					for _, n := range p.Positive().BucketCounts().All() {
						total += n
					}
					require.Equal(t, p.Count(), total)
					require.LessOrEqual(t, p.Positive().BucketCounts().Len(), maxBuckets)
				}
			default:
				require.Fail(t, "a kind of its own: "+m.Name())
			}
			values := map[string]float64{}
			for _, p := range numbers.All() {
				v := p.DoubleValue()
				require.False(t, math.IsNaN(v) || math.IsInf(v, 0), m.Name())
				if strings.HasSuffix(m.Name(), "ratio") || slices.Contains([]string{alert.MetricPrecision, alert.MetricRecall, alert.MetricVerdictCoverage, alert.MetricSuggestionPrecision, alert.MetricSuggestionRecall}, m.Name()) {
					require.True(t, 0 <= v && v <= 1, m.Name())
					require.Equal(t, "1", m.Unit(), m.Name())
				}
				if strings.HasPrefix(m.Name(), "alert.threshold.") {
					require.Empty(t, m.Unit(), "alert.source.unit says it")
				}
				values[once(m.Name(), p.Attributes())] = v
			}
			ratios[m.Name()] = values
		}
	}
	for key, ratio := range ratios[alert.MetricFalsePositiveRatio] {
		for _, beside := range []string{alert.MetricFalsePositiveLower, alert.MetricFalsePositiveUpper, alert.MetricPrecision, alert.MetricVerdictCoverage} {
			require.Contains(t, ratios[beside], key, beside)
		}
		require.LessOrEqual(t, ratios[alert.MetricFalsePositiveLower][key], ratio)
		require.GreaterOrEqual(t, ratios[alert.MetricFalsePositiveUpper][key], ratio)
		require.InDelta(t, 1, ratio+ratios[alert.MetricPrecision][key], 1e-12)
	}
}

// Whatever the ledger holds, numbers that are none included, a collection is sound; so it is where most of it is told together.
func TestMetricsAreSound(t *testing.T) {
	l, n := ledgertest.New(t), 0 // it fills from check to check
	now := ledgertest.Epoch.Add(time.Hour)
	rapid.Check(t, func(rt *rapid.T) {
		value := func(name string) *float64 {
			v := rapid.SampledFrom([]float64{0, 1, -1, 0.5, 1e308, -1e308, math.NaN(), math.Inf(1), math.Inf(-1), math.SmallestNonzeroFloat64}).Draw(rt, name)
			return &v
		}
		for range rapid.IntRange(0, 4).Draw(rt, "episodes") {
			n++
			at := now.Add(-time.Duration(rapid.IntRange(0, 100).Draw(rt, "ago")) * time.Minute)
			a := alert.Alert{
				ID: fmt.Sprint(n), Rule: rapid.SampledFrom([]string{"a", "b", "", "\xff"}).Draw(rt, "rule"), Owner: rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "owner"),
				Severity: rapid.SampledFrom(alert.Severities[:]).Draw(rt, "tier"), State: alert.Firing, Time: at, Value: value("value"), Threshold: value("threshold"), FiringLevel: value("level"),
			}
			var id string
			update(t, l, at, func(tx ledger.Tx) error {
				_, e, err := ledger.Record(tx, &a)
				if err == nil {
					id = e.ID
				}
				return err
			})
			for _, deed := range rapid.SliceOfN(rapid.IntRange(0, 4), 0, 4).Draw(rt, "deeds") {
				update(t, l, now, func(tx ledger.Tx) error {
					switch deed {
					case 0:
						return ledger.Notify(tx, id, "x", ledger.DeliverPage, 1)
					case 1:
						return ledger.Judge(tx, id, rapid.SampledFrom(ledger.Verdicts[:]).Draw(rt, "verdict"), "anna", "")
					case 2:
						return ledger.Resolve(tx, id, "anna", "")
					case 3:
						return ledger.Step(tx, id, 1, []string{"x"}, "first")
					default:
						_, err := ledger.Report(tx, &ledger.Miss{Rule: a.Rule, At: at})
						return err
					}
				})
			}
		}
		for _, limit := range []int{100, 1} {
			m := newCollector(l, time.Duration(rapid.IntRange(1, 200).Draw(rt, "window"))*time.Minute, limit)
			for range 2 {
				s, err := m.read(t.Context(), now)
				require.NoError(rt, err)
				sound(rt, s.metrics())
			}
		}
	})
}

// Sums and distributions go on over a restart, from the same start.
func TestStartTimeSurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.db")
	open := func(now time.Time) *sqlstore.Ledger {
		l, err := sqlstore.Open(t.Context(), now, sqlstore.Options{Driver: sqlstore.SQLite, DataSource: path})
		require.NoError(t, err)
		return l
	}
	starts := func(md pmetric.Metrics) (all []time.Time) {
		for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			switch m.Type() {
			case pmetric.MetricTypeSum:
				all = append(all, m.Sum().DataPoints().At(0).StartTimestamp().AsTime())
			case pmetric.MetricTypeExponentialHistogram:
				all = append(all, m.ExponentialHistogram().DataPoints().At(0).StartTimestamp().AsTime())
			}
		}
		return all
	}
	l := open(ledgertest.Epoch)
	morning(t, l, ledgertest.Epoch)
	before := collected(t, l, ledgertest.Epoch.Add(time.Hour), 24*time.Hour)
	require.NoError(t, l.Close())
	l = open(ledgertest.Epoch.Add(2 * time.Hour))
	defer func() { require.NoError(t, l.Close()) }()
	after := collected(t, l, ledgertest.Epoch.Add(3*time.Hour), 24*time.Hour)
	require.Len(t, starts(before), 6)
	for _, one := range append(starts(before), starts(after)...) {
		assert.Equal(t, ledgertest.Epoch.UTC(), one)
	}
	for _, name := range []string{alert.MetricEpisodes, alert.MetricVerdicts, alert.MetricEscalations} {
		assert.Equal(t, named(before, name), named(after, name), name)
	}
}
