package translate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// names is a sink that wants some names and writes down what it gets.
func names(wanted ...string) *recorder {
	return &recorder{wants: func(name string) bool { return slices.Contains(wanted, name) }}
}

// zoo is a batch with a metric of each type, with one point each.
func zoo() pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "shop")
	rm.Resource().Attributes().PutStr("host.name", "a")
	ms := rm.ScopeMetrics().AppendEmpty().Metrics()
	add := func(name, unit string) pmetric.Metric {
		m := ms.AppendEmpty()
		m.SetName(name)
		m.SetUnit(unit)
		return m
	}
	gauge := add("room.temperature", "Cel").SetEmptyGauge().DataPoints().AppendEmpty()
	gauge.SetTimestamp(stamp(noon))
	gauge.SetDoubleValue(21)
	sum := add("requests", "").SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	counter := sum.DataPoints().AppendEmpty()
	counter.SetTimestamp(stamp(noon))
	counter.SetIntValue(5)
	h := add("latency", "s").SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	explicit := h.DataPoints().AppendEmpty()
	explicit.SetTimestamp(stamp(noon))
	explicit.ExplicitBounds().FromRaw([]float64{1, 2})
	explicit.BucketCounts().FromRaw([]uint64{1, 2, 3})
	explicit.SetCount(6)
	explicit.SetSum(12)
	e := add("size", "By").SetEmptyExponentialHistogram()
	e.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	native := e.DataPoints().AppendEmpty()
	native.SetTimestamp(stamp(noon))
	native.SetCount(1)
	native.Positive().BucketCounts().Append(1)
	summary := add("gc", "s").SetEmptySummary().DataPoints().AppendEmpty()
	summary.SetTimestamp(stamp(noon))
	summary.SetCount(4)
	summary.SetSum(2)
	quantile := summary.QuantileValues().AppendEmpty()
	quantile.SetQuantile(0.5)
	quantile.SetValue(0.1)
	return md
}

// series are the names and labels of what a sink got, without job.
func series(r *recorder) (all []string) {
	for _, s := range r.samples {
		name, _, _ := strings.Cut(s, " st=")
		name = strings.ReplaceAll(name, `, job="shop"`, "")
		all = append(all, strings.ReplaceAll(name, `__name__=`, ""))
	}
	slices.Sort(all)
	return all
}

func TestOnlyWantedNamesArrive(t *testing.T) {
	everything := []string{
		`{"gc_seconds", quantile="0.5"}`, `{"gc_seconds_count"}`, `{"gc_seconds_sum"}`,
		`{"latency_seconds_bucket", le="+Inf"}`, `{"latency_seconds_bucket", le="1"}`, `{"latency_seconds_bucket", le="2"}`,
		`{"latency_seconds_count"}`, `{"latency_seconds_sum"}`,
		`{"requests_total"}`, `{"room_temperature_celsius"}`, `{"size_bytes"}`, `{"target_info", host_name="a"}`,
	}
	all := &recorder{}
	New(Options{}, all).Consume(context.Background(), zoo(), noon)
	require.ElementsMatch(t, everything, series(all))
	for _, only := range everything {
		name := strings.Split(only, `"`)[1]
		t.Run(name, func(t *testing.T) {
			got := names(name)
			counts := New(Options{}, got).Consume(context.Background(), zoo(), noon)
			var want []string
			for _, s := range everything {
				if strings.HasPrefix(s, `{"`+name+`"`) {
					want = append(want, s)
				}
			}
			assert.Equal(t, want, series(got))
			assert.Equal(t, Counts{Appended: len(want)}, counts)
		})
	}
	none := names("latency_seconds", "latency", "gc_seconds_bucket", "size_bytes_count", "requests", "")
	assert.Zero(t, New(Options{}, none).Consume(context.Background(), zoo(), noon))
	assert.Empty(t, none.samples)
}

func TestStaleMarkersOfEveryType(t *testing.T) {
	md := zoo()
	flag := pmetric.DefaultDataPointFlags.WithNoRecordedValue(true)
	for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		switch m.Type() {
		case pmetric.MetricTypeGauge:
			m.Gauge().DataPoints().At(0).SetFlags(flag)
			empty := m.Gauge().DataPoints().AppendEmpty()
			empty.Attributes().PutStr("value", "none at all")
			empty.SetTimestamp(stamp(noon))
			empty.SetFlags(flag)
		case pmetric.MetricTypeSum:
			m.Sum().DataPoints().At(0).SetFlags(flag)
		case pmetric.MetricTypeHistogram:
			m.Histogram().DataPoints().At(0).SetFlags(flag)
		case pmetric.MetricTypeExponentialHistogram:
			m.ExponentialHistogram().DataPoints().At(0).SetFlags(flag)
		case pmetric.MetricTypeSummary:
			m.Summary().DataPoints().At(0).SetFlags(flag)
		}
	}
	sink := &values{}
	New(Options{}, sink).Consume(context.Background(), md, noon)
	stale := 0
	for _, s := range sink.of {
		name := s.ls.Get("__name__")
		if name == targetInfo {
			continue
		}
		stale++
		if s.h != nil {
			assert.Truef(t, value.IsStaleNaN(s.h.Sum), "%s", name)
			continue
		}
		assert.Truef(t, value.IsStaleNaN(s.v), "%s", name)
	}
	assert.Equal(t, 2+1+5+1+3, stale)
}

type values struct{ of []got }

type got struct {
	ls labels.Labels
	t  int64
	v  float64
	h  *histogram.Histogram
}

func (*values) Wants(string) bool { return true }
func (s *values) Append(ls labels.Labels, _, t int64, v float64, h *histogram.Histogram, _ *histogram.FloatHistogram, _ int64) error {
	s.of = append(s.of, got{ls, t, v, h})
	return nil
}

func gauges(name string, points ...func(pmetric.NumberDataPoint)) pmetric.Metrics {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(name)
	slice := m.SetEmptyGauge().DataPoints()
	for _, set := range points {
		p := slice.AppendEmpty()
		p.SetTimestamp(stamp(noon))
		set(p)
	}
	return md
}

func integer(v int64) func(pmetric.NumberDataPoint) {
	return func(p pmetric.NumberDataPoint) { p.SetIntValue(v) }
}

func double(v float64) func(pmetric.NumberDataPoint) {
	return func(p pmetric.NumberDataPoint) { p.SetDoubleValue(v) }
}

// DCGM's blank readings (dcgm_structs.h: DCGM_INT64_BLANK and the three above it) are no readings; the same number of
// anything else is one.
func TestBlankReadingsAreMissing(t *testing.T) {
	blanks := []func(pmetric.NumberDataPoint){
		integer(0x7ffffffffffffff0), integer(0x7ffffffffffffff1), integer(0x7ffffffffffffff2), integer(0x7ffffffffffffff3),
		integer(math.MaxInt64), double(9223372036854775794), double(9223372036854775808),
	}
	readings := []func(pmetric.NumberDataPoint){
		integer(0), integer(0x7fffffffffffffef), integer(math.MinInt64), double(90), double(math.Nextafter(1<<63, 0)), double(math.Nextafter(1<<63, math.Inf(1))),
	}
	sink := &recorder{}
	tr := New(Options{}, sink)
	assert.Equal(t, Counts{Missing: len(blanks)}, tr.Consume(context.Background(), gauges("DCGM_FI_DEV_GPU_TEMP", blanks...), noon))
	assert.Equal(t, Counts{Appended: len(readings)}, tr.Consume(context.Background(), gauges("DCGM_FI_DEV_GPU_TEMP", readings...), noon))
	assert.Equal(t, Counts{Appended: len(blanks)}, tr.Consume(context.Background(), gauges("bytes", blanks...), noon))
	assert.Equal(t, Counts{Missing: 1}, tr.Consume(context.Background(), gauges("bytes", func(pmetric.NumberDataPoint) {}), noon), "no value at all")
}

func TestPointsOutOfTime(t *testing.T) {
	at := func(d time.Duration) func(pmetric.NumberDataPoint) {
		return func(p pmetric.NumberDataPoint) { p.SetIntValue(1); p.SetTimestamp(stamp(noon.Add(d))) }
	}
	raw := func(ns pcommon.Timestamp) func(pmetric.NumberDataPoint) {
		return func(p pmetric.NumberDataPoint) { p.SetIntValue(1); p.SetTimestamp(ns) }
	}
	md := gauges("x", at(0), at(-time.Hour), at(-time.Hour-1), at(time.Minute), at(time.Minute+1), raw(0), raw(1), raw(math.MaxInt64+1), raw(math.MaxUint64))
	got := &recorder{wants: func(name string) bool { return name != targetInfo }}
	bounded := New(Options{MaxAge: time.Hour, MaxFuture: time.Minute}, got)
	assert.Equal(t, Counts{Appended: 3, Old: 2, Future: 3, NoTime: 1}, bounded.Consume(context.Background(), md, noon))
	assert.Equal(t, 6, bounded.Consume(context.Background(), md, noon).Dropped())
	unbounded := New(Options{}, got)
	assert.Equal(t, Counts{Appended: 6, Future: 2, NoTime: 1}, unbounded.Consume(context.Background(), md, noon))
}

// A point that this project has tagged is the same series as one that it has not; on what this project emits the same
// attributes say what it is about.
func TestTagsAreNoLabels(t *testing.T) {
	tagged := func(p pmetric.NumberDataPoint) {
		p.SetIntValue(1)
		p.Attributes().PutStr(alert.AttrRule, "Hot")
		p.Attributes().PutStr("host", "a")
		p.Attributes().PutStr(alert.AttrSeverity, "critical")
		p.Attributes().PutStr(alert.AttrOwner, "ops")
	}
	sink := &values{}
	tr := New(Options{}, sink)
	tr.Consume(context.Background(), gauges("temperature", tagged), noon)
	tr.Consume(context.Background(), gauges(alert.MetricState, tagged), noon)
	require.Len(t, sink.of, 2)
	assert.Equal(t, `{__name__="temperature", host="a"}`, sink.of[0].ls.String())
	assert.Equal(t, `{__name__="alert_state", alert_owner_name="ops", alert_rule_name="Hot", alert_severity="critical", host="a"}`, sink.of[1].ls.String())
}

// target_info is wanted for itself: of each resource, however little else is wanted of it, over all of its times.
func TestTargetInfo(t *testing.T) {
	md := zoo()
	late := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().AppendEmpty()
	late.SetTimestamp(stamp(noon.Add(-3 * time.Minute)))
	got := names(targetInfo)
	tr := New(Options{}, got)
	assert.Equal(t, Counts{Appended: 3}, tr.Consume(context.Background(), md, noon))
	var times []int64
	for _, s := range got.samples {
		var at int64
		_, rest, _ := strings.Cut(s, " t=")
		_, err := fmt.Sscanf(rest, "%d 1 ", &at)
		require.NoError(t, err)
		times = append(times, (at-noon.UnixMilli())/1000)
	}
	assert.Equal(t, []int64{-180, -30, 0}, times)

	late.SetTimestamp(1)
	got.samples = nil
	assert.Equal(t, maxTargets+1, tr.Consume(context.Background(), md, noon).Appended, "a wrong clock makes many, but not millions")
}

// What the sink wants may change; then what was remembered is forgotten.
func TestReselect(t *testing.T) {
	wanted := "requests_total"
	got := &recorder{wants: func(name string) bool { return name == wanted }}
	tr := New(Options{}, got)
	assert.Equal(t, 1, tr.Consume(context.Background(), zoo(), noon).Appended)
	wanted = "size_bytes"
	tr.Reselect()
	got.samples = nil
	assert.Equal(t, 1, tr.Consume(context.Background(), zoo(), noon).Appended)
	assert.Equal(t, []string{`{"size_bytes"}`}, series(got))
	_, _, ok := tr.TypeOf("requests_total")
	assert.False(t, ok)
	wanted = targetInfo
	tr.Reselect()
	assert.Equal(t, 1, tr.Consume(context.Background(), zoo(), noon).Appended)
}

func TestTypesAndBounds(t *testing.T) {
	tr := New(Options{}, &recorder{})
	_, _, ok := tr.TypeOf("requests_total")
	assert.False(t, ok, "nothing has been seen")
	tr.Consume(context.Background(), zoo(), noon)
	tr.Consume(context.Background(), sumOf(step{0, 10, 1}), noon)
	for name, want := range map[string]Family{
		"room_temperature_celsius": {"room_temperature_celsius", KindGauge, "Cel"},
		"requests_total":           {"requests_total", KindCounter, ""},
		"latency_seconds_bucket":   {"latency_seconds", KindHistogram, "s"},
		"latency_seconds_sum":      {"latency_seconds", KindHistogram, "s"},
		"latency_seconds":          {"latency_seconds", KindHistogram, "s"},
		"size_bytes":               {"size_bytes", KindNativeHistogram, "By"},
		"gc_seconds":               {"gc_seconds", KindSummary, "s"},
		"gc_seconds_count":         {"gc_seconds", KindSummary, "s"},
	} {
		kind, unit, ok := tr.TypeOf(name)
		assert.True(t, ok, name)
		assert.Equal(t, want.Kind, kind, name)
		assert.Equal(t, want.Unit, unit, name)
		assert.Equal(t, want, tr.Types()[name])
	}
	upDown := sumOf(step{0, 10, 1})
	upDown.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().SetIsMonotonic(false)
	tr.Consume(context.Background(), upDown, noon)
	kind, _, _ := tr.TypeOf("requests")
	assert.Equal(t, KindGauge, kind, "what can fall is no counter")
	scraped := sumOf(step{0, 10, 1})
	m := scraped.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
	m.SetName("untyped")
	m.Sum().DataPoints().MoveAndAppendTo(m.SetEmptyGauge().DataPoints())
	m.Metadata().PutStr(TypeKey, TypeUnknown)
	tr.Consume(context.Background(), scraped, noon)
	kind, _, _ = tr.TypeOf("untyped")
	assert.Equal(t, KindUnknown, kind, "a scrape that did not say")

	for name, want := range map[string]bool{"latency_seconds_bucket": true, "latency_seconds": true, "size_bytes": false, "no_such": false} {
		bound, ok := tr.LastBound(name)
		assert.Equal(t, want, ok, name)
		if ok {
			assert.Equal(t, 2.0, bound)
		}
	}
	wider := zoo()
	wider.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(2).Histogram().DataPoints().At(0).ExplicitBounds().FromRaw([]float64{1, 50, math.Inf(1)})
	tr.Consume(context.Background(), wider, noon)
	tr.Consume(context.Background(), zoo(), noon)
	bound, _ := tr.LastBound("latency_seconds_bucket")
	assert.Equal(t, 50.0, bound, "the highest, and a finite one")
}

// Names without end cost no memory without end, and are all taken.
func TestDecisionsAreBounded(t *testing.T) {
	got := &recorder{}
	tr := New(Options{Names: 10}, got)
	for i := range 1000 {
		assert.Equal(t, 1, tr.Consume(context.Background(), gauges(fmt.Sprintf("n%d", i), integer(1)), noon).Appended)
		assert.LessOrEqual(t, len(tr.choices.byName), 10)
	}
	assert.Equal(t, 1, tr.Consume(context.Background(), gauges(strings.Repeat("long", 1000), integer(1)), noon).Appended)
	assert.Len(t, tr.Types(), 10)
	assert.Len(t, got.samples, 1001)
}

func TestRefusedSamplesAreCounted(t *testing.T) {
	tr := New(Options{}, refusing{})
	assert.Equal(t, Counts{Refused: 12}, tr.Consume(context.Background(), zoo(), noon))
}

type refusing struct{}

func (refusing) Wants(string) bool { return true }
func (refusing) Append(labels.Labels, int64, int64, float64, *histogram.Histogram, *histogram.FloatHistogram, int64) error {
	return errors.New("no room")
}

func TestConsumedByManyAtOnce(t *testing.T) {
	wants := &sync.Map{}
	got := &recorder{wants: func(name string) bool { _, not := wants.Load(name); return !not }}
	tr := New(Options{Streams: 10_000}, got)
	const writers, rounds = 8, 50
	var done sync.WaitGroup
	for w := range writers {
		done.Go(func() {
			for i := range rounds {
				md := zoo()
				delta := sumOf(step{start: i * 10, at: i*10 + 10, value: 1})
				delta.ResourceMetrics().At(0).Resource().Attributes().PutInt("writer", int64(w))
				delta.ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
				assert.Equal(t, 12+1, tr.Consume(context.Background(), md, noon).Appended)
				tr.TypeOf("requests_total")
				tr.LastBound("latency_seconds_bucket")
				if i%10 == 0 {
					tr.Reselect()
					tr.Types()
				}
			}
		})
	}
	done.Wait()
	assert.Len(t, got.samples, writers*rounds*13)
	assert.EqualValues(t, writers, tr.deltas.count.Load())
	counted := 0
	for _, s := range got.samples {
		if s == line(0, rounds*10, rounds) {
			counted++
		}
	}
	assert.Equal(t, writers, counted, "every writer's deltas are all in its sum")
}

func TestOptionsAreValidated(t *testing.T) {
	for _, good := range append(configurations(), Options{}) {
		assert.NoError(t, good.Validate())
	}
	for want, bad := range map[string]Options{
		"translation strategy must be one of": {Strategy: "None"},
		"are promoted already":                {PromoteAll: true, Promote: []string{"a"}},
		"can be ignored only where":           {Ignore: []string{"a"}},
		`resource attribute "___" cannot`:     {Promote: []string{"___"}},
	} {
		assert.ErrorContains(t, bad.Validate(), want)
	}
}

// FuzzConsume feeds what a sender could send.
func FuzzConsume(f *testing.F) {
	for _, md := range []pmetric.Metrics{zoo(), sumOf(step{0, 10, 5}, step{10, 20, 1})} {
		b, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
		require.NoError(f, err)
		f.Add(b, uint8(0))
		f.Add(b, uint8(5))
	}
	all := configurations()
	f.Fuzz(func(t *testing.T, b []byte, which uint8) {
		md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(b)
		if err != nil {
			return
		}
		sink := &recorder{}
		opts := all[int(which)%len(all)]
		if which >= 128 {
			opts.MaxAge, opts.MaxFuture = time.Hour, time.Minute
		}
		tr := New(opts, sink)
		before := wire(t, md)
		first := tr.Consume(context.Background(), md, noon)
		tr.Consume(context.Background(), md, noon)
		if before != wire(t, md) {
			t.Fatal("the batch was changed")
		}
		if first.Appended > len(sink.samples) {
			t.Fatal("more counted than appended")
		}
	})
}
