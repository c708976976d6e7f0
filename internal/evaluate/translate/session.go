package translate

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// wear is how many points a converter is used for: it remembers every attribute name that it has met.
const wear = 20_000

// session is one batch on its way: what is wanted of it is copied and given to the library, which appends to out. It is
// used by one goroutine at a time.
type session struct {
	t         *Translator
	out       *appender
	converter *prometheusremotewrite.PrometheusConverter
	used      int

	counts         Counts
	now            int64
	oldest, newest int64
	// missed are the streams of this batch that were not known: all of their points go to the library, so that they stay
	// in order.
	missed map[uint64]struct{}
}

func newSession(t *Translator) *session {
	out := &appender{t: t}
	return &session{t: t, out: out, converter: prometheusremotewrite.NewPrometheusConverter(out), missed: map[uint64]struct{}{}}
}

func (s *session) worn() bool { return s.used > wear }

func (s *session) take(md pmetric.Metrics, now time.Time) Counts {
	s.counts = Counts{}
	s.now = now.UnixNano()
	s.oldest, s.newest = 1, math.MaxInt64
	if s.t.opts.MaxAge > 0 {
		s.oldest = max(1, s.now-int64(s.t.opts.MaxAge))
	}
	if s.t.opts.MaxFuture > 0 {
		s.newest = s.now + int64(s.t.opts.MaxFuture)
	}
	s.out.begin(now, &s.counts)
	settings := s.t.settings
	settings.DisableTargetInfo = true
	if wanted := s.metrics(md); wanted.ResourceMetrics().Len() > 0 {
		s.convert(wanted, settings)
	}
	if s.t.choices.wantsTarget() {
		settings.DisableTargetInfo = false
		s.out.only = targetInfo
		s.convert(s.targets(md), settings)
	}
	s.used += len(s.out.pending)
	s.out.end()
	clear(s.missed)
	return s.counts
}

// convert has the library append what it is given. Its errors speak of metrics or resources that it left out; everything
// else has been appended.
func (s *session) convert(md pmetric.Metrics, settings prometheusremotewrite.Settings) {
	_, err := s.converter.FromMetrics(context.Background(), md, settings)
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		s.counts.Untranslatable += leaves(joined.Unwrap())
		return
	}
	s.counts.Untranslatable++
}

// leaves counts errors that were joined one by one.
func leaves(errs []error) int {
	n := 0
	for _, err := range errs {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			n += leaves(joined.Unwrap())
		} else {
			n++
		}
	}
	return n
}

// metrics appends what is wanted of streams that are known, and copies the rest, with its resources and scopes.
func (s *session) metrics(md pmetric.Metrics) pmetric.Metrics {
	wanted := pmetric.NewMetrics()
	for _, rm := range md.ResourceMetrics().All() {
		var resource pmetric.ResourceMetrics
		haveResource := false
		for _, sm := range rm.ScopeMetrics().All() {
			var scope pmetric.ScopeMetrics
			haveScope := false
			o := origin{resource: rm.Resource(), scope: sm}
			for _, m := range sm.Metrics().All() {
				c := s.t.choice(m)
				if c.wanted == 0 {
					continue
				}
				copied := pmetric.NewMetric()
				if !s.metric(m, copied, c, &o) {
					continue
				}
				if !haveResource {
					resource, haveResource = wanted.ResourceMetrics().AppendEmpty(), true
					s.resource(rm, resource)
				}
				if !haveScope {
					scope, haveScope = resource.ScopeMetrics().AppendEmpty(), true
					if s.t.opts.PromoteScope {
						sm.Scope().CopyTo(scope.Scope())
						scope.SetSchemaUrl(sm.SchemaUrl())
					}
				}
				copied.MoveTo(scope.Metrics().AppendEmpty())
			}
		}
	}
	return wanted
}

// resource copies a resource without attributes that have no valid character in their name: the library would leave out
// all that comes from it.
func (s *session) resource(from, to pmetric.ResourceMetrics) {
	from.Resource().CopyTo(to.Resource())
	to.Resource().Attributes().RemoveIf(func(key string, _ pcommon.Value) bool { return !s.t.nameable(key) })
}

// targets makes, of each resource, a metric whose points span the times of all of the resource's points: that is what
// the library makes target_info's samples from.
func (s *session) targets(md pmetric.Metrics) pmetric.Metrics {
	targets := pmetric.NewMetrics()
	for _, rm := range md.ResourceMetrics().All() {
		earliest, latest := uint64(math.MaxUint64), uint64(0)
		note := func(at pcommon.Timestamp) {
			if s.inTime(at) {
				earliest, latest = min(earliest, uint64(at)), max(latest, uint64(at))
			}
		}
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				eachTime(m, note)
			}
		}
		if latest == 0 {
			continue
		}
		// The library makes a sample for every half of the lookback between the two: two points with wrong clocks must
		// not make millions.
		if step := uint64(s.t.opts.Lookback / 2); step > 0 && (latest-earliest)/step > maxTargets {
			earliest = latest - maxTargets*step
		}
		target := targets.ResourceMetrics().AppendEmpty()
		s.resource(rm, target)
		span := target.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		span.SetName("target_times") // the appender lets through target_info only
		points := span.SetEmptyGauge().DataPoints()
		points.AppendEmpty().SetTimestamp(pcommon.Timestamp(earliest))
		points.AppendEmpty().SetTimestamp(pcommon.Timestamp(latest))
	}
	return targets
}

// maxTargets is how many samples of a resource's target_info a batch can make: two days' at Prometheus' default lookback.
const maxTargets = 1200

func eachTime(m pmetric.Metric, note func(pcommon.Timestamp)) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			note(p.Timestamp())
		}
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			note(p.Timestamp())
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			note(p.Timestamp())
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			note(p.Timestamp())
		}
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			note(p.Timestamp())
		}
	}
}

func (s *session) inTime(at pcommon.Timestamp) bool {
	return at <= math.MaxInt64 && int64(at) >= s.oldest && int64(at) <= s.newest
}

// timed says whether a point's time can be taken, and counts it where not.
func (s *session) timed(at pcommon.Timestamp) bool {
	switch {
	case s.inTime(at):
		return true
	case at == 0:
		s.counts.NoTime++
	case at > math.MaxInt64 || int64(at) > s.newest:
		s.counts.Future++
	default:
		s.counts.Old++
	}
	return false
}
