package replay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate/translate"
)

// promText reads Prometheus' text exposition: scrapes with timestamps, one behind the other, or one scrape without. Lines
// of one time are parsed together by Prometheus' own parser; a sample's own timestamp is taken off before.
type promText struct {
	file string
	r    *bufio.Reader
	// untimedAt is when samples without a timestamp were scraped.
	untimedAt time.Time
	line      int64
	buf       []byte
	// kinds are the families' types, known over the blocks: only the first of them may say so.
	kinds map[string]string
	// ahead is a line that was read and belongs to the next block.
	ahead  *promLine
	failed error
	done   bool
}

// maxKinds bounds the families whose types are remembered, maxBlock the bytes that are parsed together.
const (
	maxKinds = 100_000
	maxBlock = 4 << 20
)

// promLine is one line that is a sample: text without its timestamp.
type promLine struct {
	text   []byte
	family string
	at     time.Time
	line   int64
}

func (p *promText) next() (pmetric.Metrics, error) {
	if err := p.failed; err != nil {
		p.failed = nil
		return pmetric.Metrics{}, err
	}
	if p.done && p.ahead == nil {
		return pmetric.Metrics{}, io.EOF
	}
	first := p.ahead
	p.ahead = nil
	if first == nil {
		var err error
		if first, err = p.sample(); err != nil {
			return pmetric.Metrics{}, err
		}
	}
	var block bytes.Buffer
	typed := map[string]bool{}
	add := func(l *promLine) {
		if kind := p.kinds[l.family]; kind != "" && !typed[l.family] {
			typed[l.family] = true
			fmt.Fprintf(&block, "# TYPE %s %s\n", l.family, kind)
		}
		block.Write(l.text)
		block.WriteByte('\n')
	}
	add(first)
	var failed error
	for block.Len() < maxBlock {
		l, err := p.sample()
		if err != nil {
			failed = err
			break
		}
		if !l.at.Equal(first.at) {
			p.ahead = l
			break
		}
		add(l)
	}
	if failed != nil && !errors.Is(failed, io.EOF) {
		p.failed = failed // what was good before it comes first
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(&block)
	if err != nil {
		return pmetric.Metrics{}, &InputError{
			File: p.file, Line: first.line, Passable: true,
			Msg: fmt.Sprintf("the scrape that begins here is not in Prometheus' text format: %v", afterColon(err)),
		}
	}
	return fromFamilies(families, first.at), nil
}

// afterColon takes the parser's own line numbers off, which are those of a block.
func afterColon(err error) string {
	text := err.Error()
	if strings.HasPrefix(text, "text format parsing error") {
		if _, rest, ok := strings.Cut(text, ": "); ok {
			return rest
		}
	}
	return text
}

// sample reads on to the next line that is one.
func (p *promText) sample() (*promLine, error) {
	for {
		if p.done {
			return nil, io.EOF
		}
		p.line++
		line, whole, err := readLine(p.r, p.buf[:0])
		p.buf = line
		if !whole {
			return nil, &InputError{File: p.file, Line: p.line, Msg: tooLong("a line"), Passable: true}
		}
		if err != nil {
			p.done = true
			if err = readError(p.file, p.line, 0, err); !errors.Is(err, io.EOF) {
				return nil, err
			}
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if line[0] == '#' {
			p.comment(string(line))
			continue
		}
		return p.split(line)
	}
}

// comment notes a family's type.
func (p *promText) comment(line string) {
	fields := strings.Fields(line)
	if len(fields) == 4 && fields[0] == "#" && fields[1] == "TYPE" && len(p.kinds) < maxKinds {
		kind := fields[3]
		switch kind {
		case "counter", "gauge", "histogram", "summary":
		default: // OpenMetrics' other types
			kind = "untyped"
		}
		p.kinds[strings.Trim(fields[2], `"`)] = kind
	}
}

// split takes the timestamp off a sample's line. OpenMetrics counts seconds, the text format milliseconds.
func (p *promText) split(line []byte) (*promLine, error) {
	end, name := labelsEnd(line)
	rest, exemplar, _ := bytes.Cut(line[end:], []byte(" # "))
	_ = exemplar // OpenMetrics: not a value of the series
	fields := bytes.Fields(rest)
	if len(fields) == 0 || len(fields) > 2 {
		return nil, &InputError{File: p.file, Line: p.line, Passable: true, Msg: fmt.Sprintf("not a sample: expected name{labels} value [timestamp] (got %q)", clip(string(line)))}
	}
	l := &promLine{at: p.untimedAt, line: p.line, family: p.family(name)}
	if len(fields) == 2 {
		at, ok := unixTime(string(fields[1]))
		if !ok {
			return nil, &InputError{File: p.file, Line: p.line, Passable: true, Msg: fmt.Sprintf("not a timestamp in milliseconds, nor in seconds (got %q)", clip(string(fields[1])))}
		}
		l.at = at
	}
	l.text = slices.Concat(line[:end], []byte{' '}, fields[0])
	return l, nil
}

// labelsEnd is where the value begins, and the metric's name.
func labelsEnd(line []byte) (int, string) {
	nameEnd := bytes.IndexAny(line, "{ \t")
	if nameEnd < 0 {
		return len(line), string(line)
	}
	if line[nameEnd] != '{' {
		return nameEnd, string(line[:nameEnd])
	}
	quoted := false
	for i := nameEnd; i < len(line); i++ {
		switch {
		case quoted && line[i] == '\\':
			i++
		case line[i] == '"':
			quoted = !quoted
		case line[i] == '}' && !quoted:
			return i + 1, string(line[:nameEnd])
		}
	}
	return len(line), string(line[:nameEnd])
}

// family is that of a series' name, as far as types were said.
func (p *promText) family(name string) string {
	if p.kinds[name] != "" {
		return name
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count", "_total", "_created"} {
		base, ok := strings.CutSuffix(name, suffix)
		if !ok {
			continue
		}
		switch kind := p.kinds[base]; {
		case kind == "histogram", kind == "summary" && suffix != "_bucket":
			return base
		case kind == "counter" && suffix == "_total" && len(p.kinds) < maxKinds:
			p.kinds[name] = "counter" // OpenMetrics types the family, the text format the series
			return name
		}
	}
	return name
}

// fromFamilies makes OTLP of one scrape, as a scraping Collector would.
func fromFamilies(families map[string]*dto.MetricFamily, at time.Time) pmetric.Metrics {
	md := pmetric.NewMetrics()
	resources := map[[2]string]pmetric.MetricSlice{}
	names := make([]string, 0, len(families))
	for name := range families {
		names = append(names, name)
	}
	slices.Sort(names)
	ts := pcommon.NewTimestampFromTime(at)
	for _, name := range names {
		family := families[name]
		into := map[[2]string]pmetric.Metric{}
		for _, m := range family.GetMetric() {
			var key [2]string
			for _, l := range m.GetLabel() {
				switch l.GetName() {
				case model.JobLabel:
					key[0] = l.GetValue()
				case model.InstanceLabel:
					key[1] = l.GetValue()
				}
			}
			metrics, ok := resources[key]
			if !ok {
				rm := md.ResourceMetrics().AppendEmpty()
				putResource(rm.Resource().Attributes(), key)
				metrics = rm.ScopeMetrics().AppendEmpty().Metrics()
				resources[key] = metrics
			}
			metric, ok := into[key]
			if !ok {
				metric = metrics.AppendEmpty()
				metric.SetName(name)
				into[key] = metric
			}
			appendPoint(metric, family.GetType(), m, ts)
		}
	}
	return md
}

func putResource(attrs pcommon.Map, key [2]string) {
	if key[0] != "" {
		attrs.PutStr("service.name", key[0])
	}
	if key[1] != "" {
		attrs.PutStr("service.instance.id", key[1])
	}
}

func pointLabels(attrs pcommon.Map, labels []*dto.LabelPair) {
	for _, l := range labels {
		if name := l.GetName(); name != model.JobLabel && name != model.InstanceLabel {
			attrs.PutStr(name, l.GetValue())
		}
	}
}

func appendPoint(metric pmetric.Metric, kind dto.MetricType, m *dto.Metric, ts pcommon.Timestamp) {
	number := func(points pmetric.NumberDataPointSlice, v float64) {
		p := points.AppendEmpty()
		p.SetTimestamp(ts)
		p.SetDoubleValue(v)
		pointLabels(p.Attributes(), m.GetLabel())
	}
	switch kind {
	case dto.MetricType_COUNTER:
		if metric.Type() == pmetric.MetricTypeEmpty {
			sum := metric.SetEmptySum()
			sum.SetIsMonotonic(true)
			sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		}
		number(metric.Sum().DataPoints(), m.GetCounter().GetValue())
	case dto.MetricType_HISTOGRAM:
		if metric.Type() == pmetric.MetricTypeEmpty {
			metric.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		}
		p := metric.Histogram().DataPoints().AppendEmpty()
		p.SetTimestamp(ts)
		pointLabels(p.Attributes(), m.GetLabel())
		buckets(p, m.GetHistogram())
	case dto.MetricType_SUMMARY:
		if metric.Type() == pmetric.MetricTypeEmpty {
			metric.SetEmptySummary()
		}
		s := m.GetSummary()
		p := metric.Summary().DataPoints().AppendEmpty()
		p.SetTimestamp(ts)
		p.SetCount(s.GetSampleCount())
		p.SetSum(s.GetSampleSum())
		pointLabels(p.Attributes(), m.GetLabel())
		for _, q := range s.GetQuantile() {
			to := p.QuantileValues().AppendEmpty()
			to.SetQuantile(q.GetQuantile())
			to.SetValue(q.GetValue())
		}
	default:
		if metric.Type() == pmetric.MetricTypeEmpty {
			metric.SetEmptyGauge()
			if kind == dto.MetricType_UNTYPED {
				metric.Metadata().PutStr(translate.TypeKey, translate.TypeUnknown)
			}
		}
		v := m.GetUntyped().GetValue()
		if kind == dto.MetricType_GAUGE {
			v = m.GetGauge().GetValue()
		}
		number(metric.Gauge().DataPoints(), v)
	}
}

// buckets makes OTLP's buckets, each with its own count, of Prometheus', each of which counts all below it.
func buckets(p pmetric.HistogramDataPoint, h *dto.Histogram) {
	all := slices.Clone(h.GetBucket())
	slices.SortFunc(all, func(a, b *dto.Bucket) int {
		switch {
		case a.GetUpperBound() < b.GetUpperBound():
			return -1
		case a.GetUpperBound() > b.GetUpperBound():
			return 1
		}
		return 0
	})
	count, below := h.GetSampleCount(), uint64(0)
	for _, b := range all {
		if math.IsInf(b.GetUpperBound(), 1) {
			count = max(count, b.GetCumulativeCount())
			continue
		}
		p.ExplicitBounds().Append(b.GetUpperBound())
		p.BucketCounts().Append(max(b.GetCumulativeCount(), below) - below)
		below = max(below, b.GetCumulativeCount())
	}
	count = max(count, below)
	p.BucketCounts().Append(count - below)
	p.SetCount(count)
	p.SetSum(h.GetSampleSum())
}
