package replay

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// One recording in every format: a gauge that rises beyond both tiers and comes back, and a counter that stops.
//
//	minute  0    1    2     3    4    5    6    7    8    9
//	cache   0.5  0.5  0.92  0.99 0.99 0.92 0.92 0.92 0.5  0.5
//	served  0    60   120   120  120  120  120  120  180  240
var (
	cacheValues  = []float64{0.5, 0.5, 0.92, 0.99, 0.99, 0.92, 0.92, 0.92, 0.5, 0.5}
	servedValues = []float64{0, 60, 120, 120, 120, 120, 120, 120, 180, 240}
)

const formatRules = `
groups:
  - name: vllm
    interval: 1m
    rules:
      - alert: CacheFull
        metric: cache
        tiers:
          critical: {above: 0.98, for: 1m, clear: 0.95}
          high: {above: 0.9, for: 2m}
        owner: inference
      - alert: Stalled
        expr: sum by (job) (rate(served_total[2m])) < 0.1
        for: 1m
        labels: {severity: warning, owner: serving}
`

func minute(i int) time.Time { return epoch.Add(time.Duration(i) * time.Minute) }

// exports are the recording as OTLP.
func exports() []pmetric.Metrics {
	var all []pmetric.Metrics
	for i := range cacheValues {
		md := pmetric.NewMetrics()
		rm := md.ResourceMetrics().AppendEmpty()
		rm.Resource().Attributes().PutStr("service.name", "vllm")
		metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
		cache, served := metrics.AppendEmpty(), metrics.AppendEmpty()
		cache.SetName("cache")
		p := cache.SetEmptyGauge().DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(minute(i)))
		p.SetDoubleValue(cacheValues[i])
		p.Attributes().PutStr("model", "m")
		served.SetName("served")
		sum := served.SetEmptySum()
		sum.SetIsMonotonic(true)
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		c := sum.DataPoints().AppendEmpty()
		c.SetTimestamp(pcommon.NewTimestampFromTime(minute(i)))
		c.SetDoubleValue(servedValues[i])
		all = append(all, md)
	}
	return all
}

func jsonOf(t testing.TB, md pmetric.Metrics) []byte {
	text, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(md)
	require.NoError(t, err)
	return text
}

func protoOf(t testing.TB, md pmetric.Metrics) []byte {
	text, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
	require.NoError(t, err)
	return text
}

// oneDocument is the recording as one document.
func oneDocument() pmetric.Metrics {
	one := pmetric.NewMetrics()
	for _, md := range exports() {
		md.ResourceMetrics().MoveAndAppendTo(one.ResourceMetrics())
	}
	return one
}

func compressed(t testing.TB, content []byte, how string) []byte {
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if how == "zstd" {
		z, err := zstd.NewWriter(&b)
		require.NoError(t, err)
		w = z
	}
	_, err := w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func promText1(i int, timestamps bool, suffix string) string {
	stamp := ""
	if timestamps {
		stamp = " " + strconv.FormatInt(minute(i).UnixMilli(), 10)
	}
	return fmt.Sprintf("# HELP cache how full\n# TYPE cache gauge\ncache{job=\"vllm\",model=\"m\"} %g%s\n# TYPE served_total counter\nserved_total{job=\"vllm\"} %g%s\n%s",
		cacheValues[i], stamp, servedValues[i], stamp, suffix)
}

// recordings are the same one in every format.
func recordings(t testing.TB) map[string][]string {
	var lines, prefixed, frames, prom, open, long, millis bytes.Buffer
	var scrapes []string
	var wide bytes.Buffer
	wide.WriteString("Date;job;model;cache;served_total\n")
	long.WriteString("metric,timestamp,value,job,model\n")
	millis.WriteString("value,unix,__name__,job,model\n")
	encoder, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	for i, md := range exports() {
		lines.Write(append(jsonOf(t, md), '\n'))
		message := protoOf(t, md)
		prefixed.Write(binary.BigEndian.AppendUint32(nil, uint32(len(message))))
		prefixed.Write(message)
		frame := encoder.EncodeAll(jsonOf(t, md), nil)
		frames.Write(binary.BigEndian.AppendUint32(nil, uint32(len(frame))))
		frames.Write(frame)
		prom.WriteString(promText1(i, true, ""))
		fmt.Fprintf(&open, "# TYPE cache gauge\ncache{job=\"vllm\",model=\"m\"} %g %d.0\n# TYPE served counter\nserved_total{job=\"vllm\"} %g %d.0 # {trace_id=\"1\"} 1.0\n",
			cacheValues[i], minute(i).Unix(), servedValues[i], minute(i).Unix())
		scrapes = append(scrapes, write(t, fmt.Sprintf("%02d.prom", i), promText1(i, false, "")))
		at := minute(i).Format(time.DateTime)
		fmt.Fprintf(&wide, "%s;vllm;m;%g;\n%s;vllm;;;%g\n", at, cacheValues[i], at, servedValues[i])
		fmt.Fprintf(&long, "cache,%s,%g,vllm,m\nserved_total,%s,%g,vllm,\n", minute(i).Format(time.RFC3339), cacheValues[i], minute(i).Format(time.RFC3339), servedValues[i])
		fmt.Fprintf(&millis, "%g,%d,cache,vllm,m\n%g,%d,served_total,vllm,\n", cacheValues[i], minute(i).UnixMilli(), servedValues[i], minute(i).UnixMilli())
	}
	open.WriteString("# EOF\n")
	one := jsonOf(t, oneDocument())
	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, one, "", "  "))
	file := func(name string, content []byte) []string { return []string{write(t, name, string(content))} }
	half := bytes.Index(lines.Bytes(), []byte(strconv.FormatInt(minute(5).UnixNano(), 10)))
	cut := bytes.LastIndexByte(lines.Bytes()[:half], '\n') + 1
	return map[string][]string{
		"JSON lines":                file("a.json", lines.Bytes()),
		"JSON lines, gzip":          file("a.json.gz", compressed(t, lines.Bytes(), "gzip")),
		"JSON lines, zstd":          file("a.json.zst", compressed(t, lines.Bytes(), "zstd")),
		"JSON lines, rotated":       append(file("b.json", lines.Bytes()[cut:]), file("a.json", lines.Bytes()[:cut])...),
		"JSON document":             file("a.json", one),
		"JSON document, indented":   file("a.json", pretty.Bytes()),
		"protobuf, length-prefixed": file("a.pb", prefixed.Bytes()),
		"zstd frames":               file("a.bin", frames.Bytes()),
		"protobuf, one request":     file("a.pb", protoOf(t, oneDocument())),
		"protobuf, gzip":            file("a.pb.gz", compressed(t, prefixed.Bytes(), "gzip")),
		"Prometheus text":           file("a.prom", prom.Bytes()),
		"OpenMetrics":               file("a.txt", open.Bytes()),
		"Prometheus scrapes":        scrapes,
		"CSV, long":                 file("a.csv", long.Bytes()),
		"CSV, long, milliseconds":   file("a.csv", millis.Bytes()),
		"CSV, wide":                 file("a.csv", wide.Bytes()),
	}
}

// Every format gives the same episodes. The times follow from the table above: 0.92 at minute 2 begins the breach of high,
// which is active at minute 4, as critical is, whose breach began at minute 3; at 0.92, within the band of 0.95, critical
// ends at minute 5 and high goes on, until 0.5 at minute 8. rate over two minutes needs two points: from minute 1 on it
// is 1 and more; at minute 3, of 120 at 2 and 120 at 3 (the range is open to the left), it is 0, as at 4: fires at 4. At 8
// it is above 0.1 again.
func TestEveryFormatGivesTheSameEpisodes(t *testing.T) {
	for name, files := range recordings(t) {
		t.Run(name, func(t *testing.T) {
			var got []string
			opts := defaults(rulesOf(t, formatRules), files...)
			opts.Episode = func(e *Episode) error {
				level := math.NaN()
				if e.FiringLevel != nil {
					level = e.FiringLevel.Value
				}
				got = append(got, fmt.Sprintf("%s %s %s %v start %d fired %d end %d peak %.3g threshold %.3g level %.3g %s", e.Rule, e.Tier, e.Owner, e.Labels,
					e.Start.Sub(epoch)/time.Minute, e.Fired.Sub(epoch)/time.Minute, e.End.Sub(epoch)/time.Minute, *e.Peak, *e.Threshold, level, e.Reason))
				return nil
			}
			s, err := Run(context.Background(), opts)
			require.NoError(t, err)
			assert.ElementsMatch(t, []string{
				"CacheFull critical inference map[job:vllm model:m] start 2 fired 4 end 8 peak 0.99 threshold 0.98 level 0.99 recovered",
				"Stalled medium serving map[job:vllm owner:serving severity:warning] start 3 fired 4 end 8 peak 0 threshold 0.1 level 0 recovered",
			}, got)
			assert.EqualValues(t, 20, s.Points)
			assert.Equal(t, epoch, s.Start)
			assert.Equal(t, minute(9), s.End)
			assert.Zero(t, s.Late)
			assert.Empty(t, s.Problems)
			assert.Empty(t, s.Unjudged)
			assert.Equal(t, []Pages{
				{Owner: "inference", Tier: alert.Critical, Pages: 1, PerDay: 1, Most: 1, Busiest: "2026-03-01"},
				{Owner: "serving", Tier: alert.Medium, Pages: 1, PerDay: 1, Most: 1, Busiest: "2026-03-01"},
			}, s.Pages)
		})
	}
}

// What the firing levels say of stricter thresholds is what a replay with these thresholds finds.
func TestWhatIfAgreesWithReplaying(t *testing.T) {
	var text bytes.Buffer
	record(t, &text, 4<<20, 20)
	path := write(t, "a.json", text.String())
	rules := `
groups:
  - name: g
    rules:
      - alert: Full
        metric: vllm:kv_cache_usage_perc
        tiers: {high: {above: 0.8, for: 1m}}
      - alert: Empty
        metric: vllm:kv_cache_usage_perc
        tiers: {low: {at_most: 0.2, for: 1m}}
`
	s, err := Run(context.Background(), defaults(rulesOf(t, rules), path))
	require.NoError(t, err)
	var whatIfs []WhatIf
	want := map[string]int64{}
	for _, r := range s.Rules {
		for _, line := range r.Tiers[0].Thresholds {
			if line.Current {
				require.Greater(t, line.Episodes, int64(10), r.Rule)
				continue
			}
			var at float64
			_, err := fmt.Sscanf(strings.NewReplacer("above ", "", "at_most ", "").Replace(line.Condition), "%g", &at)
			require.NoError(t, err)
			whatIfs = append(whatIfs, WhatIf{Rule: r.Rule, Values: []float64{at}})
			want[line.Condition] = line.Episodes
		}
	}
	require.GreaterOrEqual(t, len(want), 6)
	opts := defaults(rulesOf(t, rules), path)
	opts.WhatIf = append(whatIfs, WhatIf{Rule: "Full", Values: []float64{0.5}})
	again, err := Run(context.Background(), opts)
	require.NoError(t, err)
	assert.Equal(t, s.Episodes, again.Episodes, "what if changes nothing")
	lax := int64(0)
	for _, r := range again.Rules {
		for _, line := range r.Tiers[0].Thresholds {
			n, ok := want[line.Condition]
			switch {
			case !line.Replayed:
			case ok: // an episode of the laxer rule may fall into several, and is counted once by its level
				assert.GreaterOrEqual(t, line.Episodes, n, "%s %s", r.Rule, line.Condition)
				assert.Equal(t, n == 0, line.Episodes == 0, "%s %s", r.Rule, line.Condition)
				assert.InDelta(t, n, line.Episodes, float64(n)/2+2, "%s %s", r.Rule, line.Condition)
				delete(want, line.Condition)
			default:
				lax = line.Episodes
			}
		}
	}
	assert.Empty(t, want, "every threshold was replayed")
	assert.NotZero(t, lax)
}

func TestWhatIfIsRefusedWhereThereIsNothingToMove(t *testing.T) {
	rules := `
groups:
  - name: g
    rules:
      - {alert: Band, metric: m, tiers: {high: {outside: [1, 2]}}}
      - {alert: Whole, expr: 'up == 1 unless down'}
`
	path := write(t, "a.csv", at(1, 2))
	for text, want := range map[string]string{
		"Nobody=1":        `there is no alert "Nobody" in the rules (there are: Band, Whole)`,
		"Band=1":          "a band has two bounds",
		"Whole=1":         "the expression decides itself",
		"Band/critical=1": "Band has no tier critical",
	} {
		w, err := ParseWhatIf(text)
		require.NoError(t, err)
		opts := defaults(rulesOf(t, rules), path)
		opts.WhatIf = []WhatIf{w}
		_, err = Run(context.Background(), opts)
		assert.ErrorContains(t, err, want)
	}
	for _, text := range []string{"", "Rule", "=1", "Rule=", "Rule=a", "Rule=1,", "Rule=NaN"} {
		_, err := ParseWhatIf(text)
		assert.Error(t, err, text)
	}
}

func TestKnownIncidents(t *testing.T) {
	files := recordings(t)["JSON lines"]
	csv := "start,end,series\n" +
		"2026-03-01 08:06:00,2026-03-01 08:07:00,\n" + // both met it
		"2026-03-01 08:05:30,2026-03-01 08:30:00,\"cache{model=\"\"m\"\"}\"\n" + // CacheFull alone
		"2026-03-01 08:00:00,2026-03-01 08:01:00,\n" + // nobody
		"2026-03-01 08:05:30,2026-03-01 08:30:00,\"cache{model=\"\"other\"\"}\"\n"
	incidents, err := ReadIncidents("known.csv", strings.NewReader(csv))
	require.NoError(t, err)
	opts := defaults(rulesOf(t, formatRules), files...)
	opts.Incidents = incidents
	s, err := Run(context.Background(), opts)
	require.NoError(t, err)
	assert.Equal(t, &Caught{Caught: 2, Missed: 2}, s.Incidents)
	assert.Equal(t, &Caught{Caught: 2, Missed: 2}, s.Rules[0].Caught)
	assert.Equal(t, &Caught{Caught: 1, Missed: 3}, s.Rules[1].Caught)
	opts.Incidents = incidents[:1] // the one that nobody met
	s, err = Run(context.Background(), opts)
	require.NoError(t, err)
	assert.Equal(t, &Caught{Missed: 1, False: 2}, s.Incidents)
	for _, bad := range []string{"", "a,b\n", "start,end\nx,y\n", "start,end\n2026-03-02,2026-03-01\n", "start,end,series\n2026-03-01,2026-03-02,{\n"} {
		_, err := ReadIncidents("known.csv", strings.NewReader(bad))
		assert.ErrorContains(t, err, "known.csv:", bad)
	}
}

func TestWhatIsOpenAtTheEnd(t *testing.T) {
	var b strings.Builder
	b.WriteString("time,cache,other\n")
	for i := range 10 {
		fmt.Fprintf(&b, "%s,0.99,\n", minute(i).Format(time.RFC3339))
	}
	b.WriteString(minute(20).Format(time.RFC3339) + ",,1\n")
	rules := formatRules + "      - {alert: Missing, metric: cache, tiers: {low: {above: 2}}, no_data: {after: 5m, tier: high}}\n"
	opts := defaults(rulesOf(t, rules), write(t, "a.csv", b.String()))
	var got []string
	opts.Episode = func(e *Episode) error {
		got = append(got, fmt.Sprintf("%s %s open %t fired %s end %d %s", e.Rule, e.Tier, e.Open, e.Fired.Sub(epoch), e.End.Sub(epoch)/time.Minute, e.Cause))
		return nil
	}
	s, err := Run(context.Background(), opts)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"CacheFull critical open true fired 1m0s end 20 threshold",
		"Missing high open true fired 14m0s end 20 no_data", // 5m after the last point at minute 9
	}, got)
	assert.EqualValues(t, 1, s.Rules[0].Open)
	require.NotEmpty(t, s.Problems)
	assert.Equal(t, "Stalled", s.Problems[len(s.Problems)-1].Rule, "%v", s.Problems)
}

// What is held does not grow with the recording: sixteen times the recording takes no more memory than once.
func TestMemoryDoesNotGrowWithTheRecording(t *testing.T) {
	held := func(bytes int64) (most uint64) {
		r, w := io.Pipe()
		go func() {
			record(t, w, bytes, 50)
			w.Close()
		}()
		opts := defaults(rulesOf(t, modelRules), "-")
		opts.Stdin = r
		opts.Episode = func(*Episode) error {
			var stats runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&stats)
			most = max(most, stats.HeapAlloc)
			return nil
		}
		s, err := Run(context.Background(), opts)
		require.NoError(t, err)
		require.Greater(t, s.Points, bytes/500)
		return most
	}
	small, large := held(2<<20), held(32<<20)
	t.Logf("%.1f MiB held at most with 2 MiB, %.1f MiB with 32 MiB", float64(small)/(1<<20), float64(large)/(1<<20))
	assert.Less(t, large, small+8<<20)
}

func TestCountsAreExactAtTheirBounds(t *testing.T) {
	var c counts
	var all []float64
	for i := range 50_000 {
		v := math.Mod(float64(i)*math.Phi, 1)
		all = append(all, v)
		c.add(v)
	}
	assert.Less(t, len(c.bins), maxBins)
	exact := func(beyond func(float64) bool) (n int64) {
		for _, v := range all {
			if beyond(v) {
				n++
			}
		}
		return n
	}
	for _, q := range []float64{0.01, 0.1, 0.5, 0.9, 0.99} {
		b, ok := c.at(q)
		require.True(t, ok)
		assert.InDelta(t, q, b.high, 0.005)
		assert.Equal(t, exact(func(v float64) bool { return v > b.high }), c.above(b.high, false))
		assert.Equal(t, exact(func(v float64) bool { return v >= b.low }), c.above(b.low, true))
	}
}

func TestDrawings(t *testing.T) {
	hostile := "</text><script>alert(1)</script>\x01\xff&\"'"
	var b strings.Builder
	b.WriteString("time;cache;model\n")
	for i, v := range cacheValues {
		fmt.Fprintf(&b, "%s;%g;\"%s\"\n", minute(i).Format(time.RFC3339), v, strings.ReplaceAll(hostile, `"`, `""`))
	}
	opts := defaults(rulesOf(t, formatRules), write(t, "a.csv", b.String()))
	opts.Format = CSV // a control character looks like no text
	opts.Plot = t.TempDir() + "/drawings"
	s, err := Run(context.Background(), opts)
	require.NoError(t, err)
	require.Len(t, s.Plots, 1, "the series that fired")
	drawing, err := os.ReadFile(s.Plots[0])
	require.NoError(t, err)
	assert.NotContains(t, string(drawing), "<script")
	var path string
	tiers, bands := 0, 0
	decoder := xml.NewDecoder(bytes.NewReader(drawing))
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err, "well-formed XML")
		if start, ok := token.(xml.StartElement); ok {
			for _, a := range start.Attr {
				switch {
				case a.Name.Local == "d": // of the only path
					path = a.Value
				case strings.HasPrefix(a.Value, "level "):
					tiers++
				case strings.HasPrefix(a.Value, "span "):
					bands++
				}
			}
		}
	}
	assert.Equal(t, 2, tiers)
	assert.Equal(t, 1, bands)
	assert.Equal(t, len(cacheValues)-1, strings.Count(path, "L"), "every point is drawn, connected: %s", path)
	assert.EqualValues(t, 1, s.Episodes)
	assert.EqualValues(t, len(cacheValues), s.Points, "the second pass counts nothing twice")
	opts.Plots = 0
	s, err = Run(context.Background(), opts)
	require.NoError(t, err)
	assert.Empty(t, s.Plots)
}

func TestAnEmptyRecording(t *testing.T) {
	s, err := Run(context.Background(), defaults(rulesOf(t, formatRules), write(t, "a.json", "")))
	require.NoError(t, err)
	assert.Zero(t, s.Points)
	require.Len(t, s.Rules, 2)
}

func TestAReplayCanBeStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Run(ctx, defaults(rulesOf(t, formatRules), write(t, "a.csv", at(1, 2, 3))))
	assert.ErrorIs(t, err, context.Canceled)
}
