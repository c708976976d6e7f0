package calibrationreceiver

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/quality"
	"github.com/otelcol-escalation/otelcol-escalation/receiver/calibrationreceiver/internal/metadatatest"
)

// morning is what the golden files tell of: four alerts of one rule and one of another.
func morning(t testing.TB, l ledger.Ledger, epoch time.Time) {
	at := func(d time.Duration) time.Time { return epoch.Add(d) }
	end := func(a alert.Alert, when time.Time) {
		a.State, a.Reason, a.Time = alert.Inactive, alert.ReasonRecovered, when
		update(t, l, when, func(tx ledger.Tx) error {
			_, _, err := ledger.Record(tx, &a)
			return err
		})
	}
	// Paged after 1 s, acknowledged after 3 more minutes, judged real, resolved after 10 minutes.
	a := alert.Alert{ID: "a", Rule: "KVCacheNearlyFull", Severity: alert.Critical, Owner: "inference-platform"}
	id := fire(t, l, at(0), a)
	update(t, l, at(time.Second), func(tx ledger.Tx) error { return ledger.Notify(tx, id, "oncall", ledger.DeliverPage, 1) })
	update(t, l, at(time.Second), func(tx ledger.Tx) error { return ledger.Step(tx, id, 1, []string{"oncall"}, "first") })
	update(t, l, at(181*time.Second), func(tx ledger.Tx) error { return ledger.Acknowledge(tx, id, "anna", "") })
	update(t, l, at(200*time.Second), func(tx ledger.Tx) error { return ledger.Judge(tx, id, ledger.TruePositive, "anna", "") })
	end(a, at(10*time.Minute))
	// Three that recovered by themselves: false, false, expected.
	for i, v := range []ledger.Verdict{ledger.FalsePositive, ledger.FalsePositive, ledger.Expected} {
		b := alert.Alert{ID: "b" + string(v) + string(rune('0'+i)), Rule: "KVCacheNearlyFull", Severity: alert.Critical, Owner: "inference-platform"}
		id := fire(t, l, at(20*time.Minute), b)
		end(b, at(20*time.Minute+4*time.Second))
		update(t, l, at(21*time.Minute), func(tx ledger.Tx) error { return ledger.Judge(tx, id, v, "anna", "") })
	}
	// One is open.
	fire(t, l, at(30*time.Minute), alert.Alert{ID: "c", Rule: "SlowFirstToken", Severity: alert.High, Owner: "inference-platform"})
}

// newCollector collects from a ledger, and tells so many series apart.
func newCollector(l ledger.Ledger, window time.Duration, series int) *collector {
	return &collector{
		ledger: l, window: window, assessor: &quality.Assessor{Window: window, Limits: calibrate.DefaultLimits()}, admission: admission{limit: series},
	}
}

// collected is one collection of a ledger's metrics.
func collected(t testing.TB, l ledger.Ledger, now time.Time, window time.Duration) pmetric.Metrics {
	t.Helper()
	m := newCollector(l, window, 2000)
	s, err := m.read(context.Background(), now)
	require.NoError(t, err)
	md := s.metrics()
	described(t, md)
	return md
}

// described holds metrics against what the contract says they are, which names in other systems are made of.
func described(t testing.TB, md pmetric.Metrics) {
	t.Helper()
	for _, rm := range md.ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			instrument, known := alert.Instruments[m.Name()]
			require.True(t, known, "%s is not among alert.Instruments", m.Name())
			kind := alert.Gauge
			switch m.Type() {
			case pmetric.MetricTypeSum:
				kind = alert.UpDownSum
				if m.Sum().IsMonotonic() {
					kind = alert.Sum
				}
			case pmetric.MetricTypeExponentialHistogram:
				kind = alert.Distribution
			}
			assert.Equal(t, alert.Instrument{Unit: m.Unit(), Kind: kind}, instrument, m.Name())
		}
	}
}

// named returns the points of a gauge or sum by rule.
func named(md pmetric.Metrics, name string) map[string]float64 {
	values := map[string]float64{}
	for _, rm := range md.ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			if m.Name() != name {
				continue
			}
			var points pmetric.NumberDataPointSlice
			if m.Type() == pmetric.MetricTypeSum {
				points = m.Sum().DataPoints()
			} else {
				points = m.Gauge().DataPoints()
			}
			for _, p := range points.All() {
				rule, _ := p.Attributes().Get(alert.AttrRule)
				v := p.DoubleValue()
				if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
					v = float64(p.IntValue())
				}
				values[rule.Str()] += v
			}
		}
	}
	return values
}

// Ratios are taken over the window; what was judged before it no longer counts, and without a verdict there is no ratio.
func TestWindow(t *testing.T) {
	l := ledgertest.New(t)
	morning(t, l, ledgertest.Epoch)
	at := ledgertest.Epoch.Add(time.Hour)
	assert.Equal(t, map[string]float64{"KVCacheNearlyFull": 2. / 3}, named(collected(t, l, at, time.Hour), alert.MetricFalsePositiveRatio))
	assert.Equal(t, map[string]float64{"KVCacheNearlyFull": 1}, named(collected(t, l, at, 50*time.Minute), alert.MetricFalsePositiveRatio))
	late := collected(t, l, at, 35*time.Minute)
	for _, name := range []string{alert.MetricFalsePositiveRatio, alert.MetricFalsePositiveLower, alert.MetricFalsePositiveUpper} {
		assert.Empty(t, named(late, name), name)
	}
	assert.Equal(t, map[string]float64{"KVCacheNearlyFull": 4}, named(late, alert.MetricVerdicts), "a count of all time")
	assert.Equal(t, map[string]float64{"KVCacheNearlyFull": 0, "SlowFirstToken": 1}, named(late, alert.MetricOpenCount))
	assert.Equal(t, map[string]float64{"KVCacheNearlyFull": 0, "SlowFirstToken": 1800}, named(late, alert.MetricOpenAge))
	early := collected(t, l, ledgertest.Epoch, time.Hour)
	assert.Equal(t, 0., named(early, alert.MetricOpenAge)["SlowFirstToken"], "a clock that was set back")
}

// A verdict that is changed moves from one count to the other.
func TestVerdictMoves(t *testing.T) {
	l := ledgertest.New(t)
	id := fire(t, l, ledgertest.Epoch, alert.Alert{ID: "a"})
	for _, v := range []ledger.Verdict{ledger.FalsePositive, ledger.TruePositive} {
		update(t, l, ledgertest.Epoch, func(tx ledger.Tx) error { return ledger.Judge(tx, id, v, "anna", "") })
	}
	md := collected(t, l, ledgertest.Epoch, time.Hour)
	assert.Equal(t, map[string]float64{"KVCacheNearlyFull": 1}, named(md, alert.MetricVerdicts))
	assert.Equal(t, map[string]float64{"KVCacheNearlyFull": 0}, named(md, alert.MetricFalsePositiveRatio))
}

// However wide a distribution, a point holds every value once, in a bucket that contains the finer one, and spans no more
// than 160 buckets.
func TestHistogramScales(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := ledger.Histogram{
			Scale:   rapid.Int32Range(-4, 20).Draw(t, "scale"),
			Buckets: rapid.MapOf(rapid.Int32(), rapid.Uint64Range(1, 1000)).Draw(t, "buckets"),
		}
		h.Zero = rapid.Uint64Range(0, 10).Draw(t, "zero")
		want := map[int64]uint64{}
		for _, n := range h.Buckets {
			h.Count += n
		}
		h.Count += h.Zero
		point := pmetric.NewExponentialHistogramDataPoint()
		fill(point, &h)
		counts := point.Positive().BucketCounts()
		require.LessOrEqual(t, counts.Len(), maxBuckets)
		total := point.ZeroCount()
		for _, n := range counts.All() {
			total += n
		}
		require.Equal(t, point.Count(), total)
		// A bucket (base^i, base^(i+1)] of scale s lies in bucket floor(i/2^d) of scale s-d.
		shift := h.Scale - point.Scale()
		require.GreaterOrEqual(t, shift, int32(0))
		for i, n := range h.Buckets {
			wide := int64(i)
			for range shift {
				if wide < 0 {
					wide--
				}
				wide /= 2
			}
			want[wide] += n
		}
		got := map[int64]uint64{}
		for i, n := range counts.All() {
			if n > 0 {
				got[int64(point.Positive().Offset())+int64(i)] = n
			}
		}
		require.Equal(t, want, got)
	})
}

// The first collection is at the start, the next ones follow every interval; one that fails is left out.
func TestCollectionTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fragile{Ledger: ledgertest.New(t)}
		fire(t, l, time.Now(), alert.Alert{ID: "a"})
		own := componenttest.NewTelemetry()
		obs, err := newObsreport(settings(own))
		require.NoError(t, err)
		sink := new(consumertest.MetricsSink)
		logged, lines := observer.New(zap.InfoLevel)
		statuses := make(chan *componentstatus.Event, 10)
		h := &health{logger: zap.New(logged), report: func(e *componentstatus.Event) { statuses <- e }}
		var refusing atomic.Bool
		next, err := consumer.NewMetrics(func(ctx context.Context, md pmetric.Metrics) error {
			if refusing.Load() {
				return errLedger
			}
			return sink.ConsumeMetrics(ctx, md)
		})
		require.NoError(t, err)
		m := &collector{ledger: l, next: next, obs: obs, health: h, interval: time.Minute, window: time.Hour, assessor: &quality.Assessor{Window: time.Hour, Limits: calibrate.DefaultLimits()}, admission: admission{limit: 10}}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { m.run(ctx); close(done) }()
		after := func(d time.Duration) int {
			time.Sleep(d)
			synctest.Wait()
			return len(sink.AllMetrics())
		}
		start := time.Now()
		assert.Equal(t, 1, after(0))
		assert.Equal(t, 1, after(time.Minute-time.Nanosecond))
		assert.Equal(t, 2, after(time.Nanosecond))
		assert.Equal(t, 7, after(5*time.Minute))
		points := sink.AllMetrics()[6].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints()
		assert.Equal(t, start.Add(6*time.Minute).UTC(), points.At(0).Timestamp().AsTime())

		l.views.Store(true)
		assert.Equal(t, 7, after(3*time.Minute))
		event := <-statuses
		assert.Equal(t, componentstatus.StatusRecoverableError, event.Status())
		assert.ErrorIs(t, event.Err(), errLedger)
		assert.Empty(t, statuses, "once per change")
		l.views.Store(false)
		assert.Equal(t, 8, after(time.Minute))
		assert.Equal(t, componentstatus.StatusOK, (<-statuses).Status())
		assert.Equal(t, 2, lines.Len(), "one line when it breaks, one when it works")

		refusing.Store(true)
		assert.Equal(t, 8, after(time.Minute))
		cancel()
		<-done
		metadatatest.AssertEqualReceiverCalibrationCollections(t, own, collections(8, 3, 1), ignoreTime)
		require.NoError(t, own.Shutdown(context.Background()))
	})
}
