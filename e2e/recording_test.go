package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// pmetricJSON reads OTLP JSON, one request a line or one in all.
func pmetricJSON(t testing.TB, path string) []pmetric.Metrics {
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	u := &pmetric.JSONUnmarshaler{}
	if md, err := u.UnmarshalMetrics(content); err == nil && md.ResourceMetrics().Len() > 0 && bytes.Count(bytes.TrimSpace(content), []byte("\n{")) == 0 {
		return []pmetric.Metrics{md}
	}
	var all []pmetric.Metrics
	scanner := bufio.NewScanner(bytes.NewReader(content))
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		md, err := u.UnmarshalMetrics(scanner.Bytes())
		require.NoError(t, err)
		all = append(all, md)
	}
	return all
}

// rebase moves all times so that the newest point is of now, keeping the distances.
func rebase(batches []pmetric.Metrics) {
	var newest pcommon.Timestamp
	eachPoint(batches, func(p pmetric.NumberDataPoint) { newest = max(newest, p.Timestamp()) })
	shift := pcommon.NewTimestampFromTime(time.Now()) - newest
	eachPoint(batches, func(p pmetric.NumberDataPoint) { p.SetTimestamp(p.Timestamp() + shift) })
}

func eachPoint(batches []pmetric.Metrics, fn func(pmetric.NumberDataPoint)) {
	for _, md := range batches {
		for _, rm := range md.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					switch m.Type() {
					case pmetric.MetricTypeGauge:
						for _, p := range m.Gauge().DataPoints().All() {
							fn(p)
						}
					case pmetric.MetricTypeSum:
						for _, p := range m.Sum().DataPoints().All() {
							fn(p)
						}
					}
				}
			}
		}
	}
}

// A recording of the OpenTelemetry demo goes through: what comes out is what went in, plus tags, plus alert.*, byte for
// byte; the same recording again changes nothing.
func TestRealOTLPPassesThroughUntouched(t *testing.T) {
	s, people, out := prepare(t, strings.ReplaceAll(serverRules, "%s", "0.3"))
	launch(t, s.dir, s.health, s.whole())
	recording := pmetricJSON(t, shared(t, "otlp", "otel-demo", "metrics.jsonl"))
	rebase(recording)

	want := map[string]int{}
	breaching, streams := 0, map[string]bool{}
	for _, md := range recording {
		for _, rm := range md.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					if m.Name() != "system.memory.utilization" || m.Type() != pmetric.MetricTypeGauge {
						continue
					}
					for _, p := range m.Gauge().DataPoints().All() {
						if state, _ := p.Attributes().Get("state"); p.DoubleValue() > 0.3 && state.AsString() == "used" {
							breaching++
							streams[fmt.Sprint(rm.Resource().Attributes().AsRaw(), p.Attributes().AsRaw())] = true
						}
					}
				}
			}
		}
		want[canonical(t, md)]++
	}
	require.Positive(t, breaching, "the recording has something to find")
	half := len(recording) / 2
	s.sendGRPC(t, recording[:half]...)
	for _, md := range recording[half:] {
		s.sendHTTP(t, md)
	}
	got, tagged := passed(t, out)
	assert.Equal(t, want, got, "nothing else changed")
	assert.Equal(t, breaching, tagged)
	eventually(t, "each stream's alert is open", func() bool { return len(s.alerts(t, "?open=true")) == len(streams) })
	eventually(t, "paged", func() bool { return len(people.paged("MemoryFull")) == len(streams) })

	for _, md := range recording {
		s.sendHTTP(t, md)
	}
	_, again := passed(t, out)
	assert.Equal(t, 2*breaching, again, "sent again, tagged again")
	pages := len(people.all())
	steadily(t, "and nothing new fires", time.Second, func() bool {
		return len(s.alerts(t, "")) == len(streams) && len(people.all()) == pages
	})
	figures("real OTLP: %d batches, %d points tagged, %d alerts", len(recording), tagged, len(streams))
}

// passed returns the batches that came out, without tags and without ours, and how many points were tagged.
func passed(t testing.TB, out *sink) (map[string]int, int) {
	out.mu.Lock()
	defer out.mu.Unlock()
	got, tagged := map[string]int{}, 0
	for _, md := range out.metrics {
		if ours(md) {
			continue
		}
		plain := pmetric.NewMetrics()
		md.CopyTo(plain)
		eachPoint([]pmetric.Metrics{plain}, func(p pmetric.NumberDataPoint) {
			if p.Attributes().Remove(alert.AttrRule) {
				tagged++
			}
			p.Attributes().Remove(alert.AttrSeverity)
			p.Attributes().Remove(alert.AttrOwner)
		})
		got[canonical(t, plain)]++
	}
	return got, tagged
}

func ours(md pmetric.Metrics) bool {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				return strings.HasPrefix(m.Name(), "alert.")
			}
		}
	}
	return false
}

func canonical(t testing.TB, md pmetric.Metrics) string {
	raw, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
	require.NoError(t, err)
	return string(raw)
}
