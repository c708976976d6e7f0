package unittest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// querySample is one sample as it is compared.
type querySample struct {
	labels labels.Labels
	value  float64
	// histogram is a native histogram in the notation of tests; value does not count then.
	histogram string
}

// run evaluates the query and says what is different from what is expected; nil where nothing is.
func (e *ExprTest) run(
	ctx context.Context, engine *promql.Engine, window queryable, promqlParser parser.Parser, start time.Time, fuzzy bool,
) *Failure {
	fail := func(format string, args ...any) *Failure {
		return &Failure{Position: e.Position, Msg: fmt.Sprintf("%s at %s: ", e.Expr, formatDuration(e.At)) + fmt.Sprintf(format, args...)}
	}
	got, err := query(ctx, engine, window, e.Expr, start.Add(e.At))
	if err != nil {
		return fail("cannot be evaluated: %v", err)
	}
	var expected []querySample
	for i := range e.Expected {
		s, err := e.Expected[i].parse(promqlParser)
		if err != nil {
			return &Failure{Position: e.Expected[i].Position, Msg: "the expected sample cannot be read: " + err.Error()}
		}
		expected = append(expected, s)
	}
	equal := func(i, j int) bool { return expected[i].equal(&got[j], fuzzy) }
	missing, unexpected := unpaired(pair(len(expected), len(got), equal), len(got))
	if len(missing) == 0 && len(unexpected) == 0 {
		return nil
	}
	return fail("%s", showSamples(expected, got, missing, unexpected))
}

// showSamples shows the samples that are not as expected, those with the same labels together.
func showSamples(expected, got []querySample, missing, unexpected []int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "expected %s, got %s", number(len(expected), "sample"), number(len(got), "sample"))
	for _, i := range missing {
		e := &expected[i]
		at := slices.IndexFunc(unexpected, func(j int) bool { return labels.Equal(got[j].labels, e.labels) })
		if at < 0 {
			fmt.Fprintf(&b, "\n- missing:    %s %s", e.labels, e.show())
			continue
		}
		g := &got[unexpected[at]]
		unexpected = slices.Delete(slices.Clone(unexpected), at, at+1)
		fmt.Fprintf(&b, "\n~ different:  %s\n      - expected %s\n      + got      %s", e.labels, e.show(), g.show())
		if math.IsNaN(e.value) && math.IsNaN(g.value) {
			b.WriteString("\n      (NaN equals nothing, as with promtool: test for it with x != x)")
		}
	}
	for _, j := range unexpected {
		fmt.Fprintf(&b, "\n+ unexpected: %s %s", got[j].labels, got[j].show())
	}
	return b.String()
}

// query evaluates PromQL as of t, in the order of the samples' labels. A scalar is a sample without labels.
func query(ctx context.Context, engine *promql.Engine, window queryable, text string, t time.Time) ([]querySample, error) {
	q, err := engine.NewInstantQuery(ctx, window, nil, text, t)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	result := q.Exec(ctx)
	if result.Err != nil {
		return nil, result.Err
	}
	switch v := result.Value.(type) {
	case promql.Vector:
		samples := make([]querySample, len(v))
		for i, s := range v {
			samples[i] = querySample{labels: s.Metric.Copy(), value: s.F, histogram: notation(s.H)}
		}
		slices.SortFunc(samples, func(a, b querySample) int { return labels.Compare(a.labels, b.labels) })
		return samples, nil
	case promql.Scalar:
		return []querySample{{labels: labels.EmptyLabels(), value: v.V}}, nil
	default:
		return nil, fmt.Errorf("must give a vector or a scalar (got a %s)", result.Value.Type())
	}
}

// notation is a native histogram as tests write it.
func notation(h *histogram.FloatHistogram) string {
	if h == nil {
		return ""
	}
	return h.TestExpression()
}

func (s *ExpectedSample) parse(promqlParser parser.Parser) (querySample, error) {
	ls, err := promqlParser.ParseMetric(s.Labels)
	if err != nil {
		return querySample{}, fmt.Errorf("labels %q: %w", s.Labels, err)
	}
	sample := querySample{labels: ls, value: s.Value}
	if s.Histogram == "" {
		return sample, nil
	}
	_, values, err := parseSeries(promqlParser, "{}", s.Histogram)
	switch {
	case err != nil:
		return querySample{}, fmt.Errorf("histogram %q: %w", s.Histogram, err)
	case len(values) != 1 || values[0].Histogram == nil:
		return querySample{}, fmt.Errorf("histogram %q: must be one histogram, such as {{schema:0 sum:3 count:2 buckets:[1 1]}}", s.Histogram)
	}
	sample.histogram = notation(values[0].Histogram)
	return sample, nil
}

// equal compares as promtool does: NaN equals nothing, and the value beside an expected histogram must be that of a
// sample with one, 0.
func (s *querySample) equal(o *querySample, fuzzy bool) bool {
	if s.histogram != o.histogram || !labels.Equal(s.labels, o.labels) {
		return false
	}
	return s.value == o.value || fuzzy &&
		(math.Nextafter(s.value, math.Inf(-1)) == o.value || math.Nextafter(s.value, math.Inf(1)) == o.value)
}

func (s *querySample) show() string {
	if s.histogram != "" {
		return s.histogram
	}
	return strconv.FormatFloat(s.value, 'g', -1, 64)
}
