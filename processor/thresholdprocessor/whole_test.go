package thresholdprocessor

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
)

// shared is where OTLP as real programs sent it lies, beside the repository; it is not ours to publish.
const shared = "../../../shared/testdata/otlp"

// What comes in goes out, plus tags, plus alert.state, and byte for byte the same otherwise: whatever the rules are, and
// whatever the batch holds.
func TestEverythingElsePassesUntouched(t *testing.T) {
	batches := recorded(t)
	for _, tagging := range []string{"none", "gauge", "all"} {
		t.Run(tagging, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tags := 0
				for _, md := range batches {
					tags += untouched(t, tagging, md)
				}
				if tagging == "none" {
					assert.Zero(t, tags)
				} else {
					assert.NotZero(t, tags, "the rules did breach")
				}
				t.Logf("%d batches, %d points tagged", len(batches), tags)
			})
		})
	}
}

// untouched passes one batch through rules on each of its metrics, which breach on all values above 0, and returns how
// many points were tagged.
func untouched(t *testing.T, tagging string, recorded pmetric.Metrics) (tags int) {
	t.Helper()
	md := pmetric.NewMetrics()
	recorded.CopyTo(md)
	recent(md)
	cfg := createDefaultConfig().(*Config)
	cfg.TagDataPoints = evaluate.Tagging(tagging)
	cfg.Groups = []any{map[string]any{"name": "g", "rules": rulesFor(md)}}
	out := &sink{}
	p := run(t, cfg, out, newMemory())
	before := wire(t, md)
	require.NoError(t, p.ConsumeMetrics(context.Background(), md))
	require.NoError(t, p.Shutdown(context.Background()))

	for _, got := range out.batches[:len(out.batches)-1] {
		assert.True(t, isState(got), "what is ours goes out in batches of its own")
	}
	got := out.batches[len(out.batches)-1]
	tags = untag(t, got)
	assert.True(t, bytes.Equal(before, wire(t, got)), "without the tags it is what it was:\n%s", texts(t, recorded))
	return tags
}

func rulesFor(md pmetric.Metrics) []any {
	rules := []any{map[string]any{"alert": "None", "metric": "none", "tiers": map[string]any{"low": map[string]any{"above": 0}}}}
	seen := map[string]bool{"": true}
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if name := m.Name(); !seen[name] && !strings.ContainsAny(name, "{}()[] \t\n") {
					seen[name] = true
					rules = append(rules, map[string]any{"alert": "Rule " + name, "metric": name, "owner": "o",
						"tiers": map[string]any{"high": map[string]any{"above": 0}}})
				}
			}
		}
	}
	return rules
}

// recent moves number points to now: what was recorded long ago would pass for being old.
func recent(md pmetric.Metrics) {
	now := pcommon.NewTimestampFromTime(time.Now())
	eachNumber(md, func(p pmetric.NumberDataPoint) { p.SetTimestamp(now) })
}

// untag takes the tags off again and returns how many points had them.
func untag(t *testing.T, md pmetric.Metrics) (n int) {
	eachNumber(md, func(p pmetric.NumberDataPoint) {
		if _, tagged := p.Attributes().Get(alert.AttrRule); !tagged {
			return
		}
		n++
		for _, name := range []string{alert.AttrRule, alert.AttrSeverity, alert.AttrOwner} {
			assert.True(t, p.Attributes().Remove(name), name)
		}
	})
	return n
}

func eachNumber(md pmetric.Metrics, do func(pmetric.NumberDataPoint)) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				var points pmetric.NumberDataPointSlice
				switch m.Type() {
				case pmetric.MetricTypeGauge:
					points = m.Gauge().DataPoints()
				case pmetric.MetricTypeSum:
					points = m.Sum().DataPoints()
				default:
					continue
				}
				for _, p := range points.All() {
					do(p)
				}
			}
		}
	}
}

func wire(t *testing.T, md pmetric.Metrics) []byte {
	t.Helper()
	b, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
	require.NoError(t, err)
	return b
}

// recorded reads what there is: files of other projects' tests, and what a demonstration of OpenTelemetry sent.
func recorded(t *testing.T) []pmetric.Metrics {
	t.Helper()
	var all []pmetric.Metrics
	files, err := filepath.Glob(filepath.Join(shared, "bindplane", "*.yaml"))
	require.NoError(t, err)
	stream := filepath.Join(shared, "otel-demo", "metrics.jsonl")
	if _, err := os.Stat(stream); err != nil || len(files) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatalf("recorded OTLP is missing in %s: %v", shared, err)
		}
		t.Skipf("NOT TESTED: recorded OTLP is missing in %s", shared)
	}
	for _, file := range slices.Concat(files, []string{filepath.Join(shared, "proto-examples-metrics.json")}) {
		md, err := golden.ReadMetrics(file)
		if err != nil {
			t.Logf("%s is no OTLP: %v", filepath.Base(file), err)
			continue
		}
		all = append(all, md)
	}
	lines, err := os.Open(stream)
	require.NoError(t, err)
	defer lines.Close()
	scan := bufio.NewScanner(lines)
	scan.Buffer(nil, 16<<20)
	for scan.Scan() {
		md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(scan.Bytes())
		require.NoError(t, err)
		all = append(all, md)
	}
	require.NoError(t, scan.Err())
	return all
}
