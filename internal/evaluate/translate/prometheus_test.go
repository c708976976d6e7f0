package translate

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// recorder is a sink, and a storage for Prometheus' endpoint, that writes down what it is given.
type recorder struct {
	// wants is nil for everything.
	wants func(string) bool
	// compact makes histograms equal that differ only in how they write down empty buckets.
	compact bool

	mu      sync.Mutex
	samples []string
}

func (r *recorder) Wants(name string) bool { return r.wants == nil || r.wants(name) }

func (r *recorder) Append(ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, _ int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.compact && h != nil {
		h = h.Copy().Compact(0)
	}
	r.samples = append(r.samples, written(ls, st, t, v, h, fh))
	return nil
}

// written tells apart what == does not: the bits of values, so that a stale marker is no other NaN.
func written(ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram) string {
	switch {
	case fh != nil:
		return fmt.Sprintf("%s st=%d t=%d float histogram %v", ls, st, t, fh)
	case h != nil:
		return fmt.Sprintf("%s st=%d t=%d sum=%x %+v", ls, st, t, math.Float64bits(h.Sum), *h)
	default:
		return fmt.Sprintf("%s st=%d t=%d %v %x", ls, st, t, v, math.Float64bits(v))
	}
}

func (r *recorder) sorted() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := slices.Clone(r.samples)
	slices.Sort(out)
	return out
}

func (r *recorder) AppenderV2(context.Context) storage.AppenderV2 { return recording{r} }

type recording struct{ *recorder }

func (r recording) Append(_ storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, _ storage.AOptions) (storage.SeriesRef, error) {
	// As Prometheus' storage does.
	if h != nil && h.Validate() != nil {
		return 0, h.Validate()
	}
	if name, twice := ls.HasDuplicateLabelNames(); twice {
		return 0, fmt.Errorf("label %q is there twice, or is empty: %w", name, tsdb.ErrInvalidSample)
	}
	return 1, r.recorder.Append(ls, st, t, v, h, fh, 0)
}
func (recording) Commit() error   { return nil }
func (recording) Rollback() error { return nil }

// endpoint is Prometheus' OTLP endpoint, configured as opts say, over a storage. deltas has it add up deltas.
type endpoint struct {
	handler http.Handler
	// said is what it answered to the last request, "" for OK.
	said string
}

func newEndpoint(opts Options, to storage.AppendableV2, deltas bool) *endpoint {
	otlp := config.DefaultOTLPConfig
	if opts.Strategy != "" {
		otlp.TranslationStrategy = otlptranslator.TranslationStrategyOption(opts.Strategy)
	}
	otlp.PromoteResourceAttributes = opts.Promote
	otlp.PromoteAllResourceAttributes = opts.PromoteAll
	otlp.IgnoreResourceAttributes = opts.Ignore
	otlp.PromoteScopeMetadata = opts.PromoteScope
	otlp.KeepIdentifyingResourceAttributes = opts.KeepIdentifying
	return &endpoint{handler: remote.NewOTLPWriteHandler(promslog.NewNopLogger(), prometheus.NewRegistry(), to,
		func() config.Config { return config.Config{OTLPConfig: otlp} },
		remote.OTLPOptions{ConvertDelta: deltas, LookbackDelta: opts.Lookback})}
}

func (e *endpoint) send(t require.TestingT, md pmetric.Metrics) {
	body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	require.NoError(t, err)
	req := httptest.NewRequest(http.MethodPost, "/api/v1/otlp/v1/metrics", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/x-protobuf")
	got := httptest.NewRecorder()
	e.handler.ServeHTTP(got, req)
	e.said = ""
	if got.Code != http.StatusOK {
		e.said = strings.TrimSpace(got.Body.String())
	}
}

// noon is the time of tests; what is recorded lies before it, and Prometheus' endpoint, which reads the clock, has it
// behind itself.
var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// storageOf opens Prometheus' own, with room for samples of any age in any order.
func storageOf(t testing.TB) *teststorage.TestStorage {
	return teststorage.New(t, func(o *tsdb.Options) { o.OutOfOrderTimeWindow = int64(100 * 365 * 24 * time.Hour / time.Millisecond) })
}

// stored is a sink over Prometheus' storage; a batch is committed at a time.
type stored struct {
	to  storage.AppendableV2
	app storage.AppenderV2
}

func (stored) Wants(string) bool { return true }

func (s *stored) Append(ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, _ int64) error {
	if s.app == nil {
		s.app = s.to.AppenderV2(context.Background())
	}
	_, err := s.app.Append(0, ls, st, t, v, h, fh, storage.AOptions{})
	return err
}

func (s *stored) commit(t require.TestingT) {
	if s.app != nil {
		require.NoError(t, s.app.Commit())
		s.app = nil
	}
}

// contents are all samples of a storage.
func contents(t require.TestingT, from storage.Queryable) []string {
	q, err := from.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer q.Close()
	var all []string
	set := q.Select(context.Background(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+"))
	for set.Next() {
		series := set.At()
		it := series.Iterator(nil)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			switch kind {
			case chunkenc.ValFloat:
				at, v := it.At()
				all = append(all, written(series.Labels(), it.AtST(), at, v, nil, nil))
			case chunkenc.ValHistogram:
				at, h := it.AtHistogram(nil)
				all = append(all, written(series.Labels(), it.AtST(), at, 0, h, nil))
			default:
				at, fh := it.AtFloatHistogram(nil)
				all = append(all, written(series.Labels(), it.AtST(), at, 0, nil, fh))
			}
		}
		require.NoError(t, it.Err())
	}
	require.NoError(t, set.Err())
	return all
}

// untaken removes what this translator drops and Prometheus' endpoint does not, so that the rest can be compared:
// points without a time, and numbers without a value, which become 0 there.
func untaken(md pmetric.Metrics) (removed int) {
	gone := func(none bool) bool {
		if none {
			removed++
		}
		return none
	}
	number := func(p pmetric.NumberDataPoint) bool {
		return gone(p.Timestamp() == 0 || p.ValueType() == pmetric.NumberDataPointValueTypeEmpty && !p.Flags().NoRecordedValue())
	}
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				switch m.Type() {
				case pmetric.MetricTypeGauge:
					m.Gauge().DataPoints().RemoveIf(number)
				case pmetric.MetricTypeSum:
					m.Sum().DataPoints().RemoveIf(number)
				case pmetric.MetricTypeHistogram:
					m.Histogram().DataPoints().RemoveIf(func(p pmetric.HistogramDataPoint) bool { return gone(p.Timestamp() == 0) })
				case pmetric.MetricTypeExponentialHistogram:
					m.ExponentialHistogram().DataPoints().RemoveIf(func(p pmetric.ExponentialHistogramDataPoint) bool { return gone(p.Timestamp() == 0) })
				case pmetric.MetricTypeSummary:
					m.Summary().DataPoints().RemoveIf(func(p pmetric.SummaryDataPoint) bool { return gone(p.Timestamp() == 0) })
				}
			}
		}
	}
	return removed
}

func wire(t require.TestingT, md pmetric.Metrics) string {
	b, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
	require.NoError(t, err)
	return string(b)
}

func copyOf(md pmetric.Metrics) pmetric.Metrics {
	to := pmetric.NewMetrics()
	md.CopyTo(to)
	return to
}

// configurations are all strategies, each with nothing promoted, some attributes, and everything.
func configurations() []Options {
	var all []Options
	for _, strategy := range []otlptranslator.TranslationStrategyOption{
		otlptranslator.UnderscoreEscapingWithSuffixes, otlptranslator.UnderscoreEscapingWithoutSuffixes,
		otlptranslator.NoUTF8EscapingWithSuffixes, otlptranslator.NoTranslation,
	} {
		all = append(all,
			Options{Strategy: string(strategy)},
			Options{Strategy: string(strategy), Promote: []string{"service.version", "host.name", "k8s.pod.name"}, Lookback: time.Minute},
			Options{Strategy: string(strategy), PromoteAll: true, Ignore: []string{"host.name"}, PromoteScope: true, KeepIdentifying: true})
	}
	return all
}

func (o Options) String() string {
	switch {
	case o.PromoteAll:
		return string(o.strategy()) + "/all"
	case len(o.Promote) > 0:
		return string(o.strategy()) + "/some"
	}
	return string(o.strategy()) + "/none"
}

// singles takes a batch apart into batches of one point.
func singles(md pmetric.Metrics) (all []pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				for n := range points(m) {
					one := pmetric.NewMetrics()
					toResource := one.ResourceMetrics().AppendEmpty()
					rm.Resource().CopyTo(toResource.Resource())
					toScope := toResource.ScopeMetrics().AppendEmpty()
					sm.Scope().CopyTo(toScope.Scope())
					toScope.SetSchemaUrl(sm.SchemaUrl())
					to := toScope.Metrics().AppendEmpty()
					m.CopyTo(to)
					keep(to, n)
					all = append(all, one)
				}
			}
		}
	}
	return all
}

func points(m pmetric.Metric) int {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints().Len()
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints().Len()
	case pmetric.MetricTypeHistogram:
		return m.Histogram().DataPoints().Len()
	case pmetric.MetricTypeExponentialHistogram:
		return m.ExponentialHistogram().DataPoints().Len()
	case pmetric.MetricTypeSummary:
		return m.Summary().DataPoints().Len()
	}
	return 0
}

// keep removes all points but the nth.
func keep(m pmetric.Metric, n int) {
	other := func() bool { n--; return n != -1 }
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		m.Gauge().DataPoints().RemoveIf(func(pmetric.NumberDataPoint) bool { return other() })
	case pmetric.MetricTypeSum:
		m.Sum().DataPoints().RemoveIf(func(pmetric.NumberDataPoint) bool { return other() })
	case pmetric.MetricTypeHistogram:
		m.Histogram().DataPoints().RemoveIf(func(pmetric.HistogramDataPoint) bool { return other() })
	case pmetric.MetricTypeExponentialHistogram:
		m.ExponentialHistogram().DataPoints().RemoveIf(func(pmetric.ExponentialHistogramDataPoint) bool { return other() })
	case pmetric.MetricTypeSummary:
		m.Summary().DataPoints().RemoveIf(func(pmetric.SummaryDataPoint) bool { return other() })
	}
}

func only(samples []string, which func(string) bool) []string {
	return slices.DeleteFunc(append([]string{}, samples...), func(s string) bool { return !which(s) })
}

// nameOf is the metric name of a written sample.
func nameOf(sample string) string {
	_, rest, _ := strings.Cut(sample, `__name__="`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

func (r *recorder) names() []string {
	seen := map[string]bool{}
	for _, s := range r.samples {
		seen[nameOf(s)] = true
	}
	return slices.Sorted(maps.Keys(seen))
}
