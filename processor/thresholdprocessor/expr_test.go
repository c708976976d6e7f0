package thresholdprocessor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelcol-escalation/otelcol-escalation/processor/thresholdprocessor/internal/metadatatest"
)

// exprConfig is one group of rules, each a flow mapping, evaluated every 15 s.
func exprConfig(t *testing.T, rules ...string) *Config {
	dir := t.TempDir()
	write(t, dir, "rules.yaml", "groups:\n- name: g\n  interval: 15s\n  rules:\n  - "+strings.Join(rules, "\n  - ")+"\n")
	cfg := createDefaultConfig().(*Config)
	cfg.RuleFiles = []string{filepath.Join(dir, "rules.yaml")}
	cfg.Storage = &memoryID
	return cfg
}

// pour sends a value every 5 s for so long.
func pour(t *testing.T, p *threshold, long time.Duration, values ...float64) {
	for end := time.Now().Add(long); time.Now().Before(end); {
		require.NoError(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), values...)))
		time.Sleep(5 * time.Second)
		synctest.Wait()
	}
}

func TestExprIsEvaluatedOnTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, tel := &sink{}, componenttest.NewTelemetry()
		cfg := exprConfig(t, `{alert: Full, expr: 'max by (job) (kv) > 0.9', for: 30s, labels: {severity: page, team: inference}}`)
		p := runWith(t, tel, cfg, out, newMemory().known(time.Now()))
		pour(t, p, time.Minute, 0.5, 0.6)
		assert.Empty(t, out.story(t))
		pour(t, p, time.Minute, 0.5, 0.95)
		assert.Equal(t, []string{"pending critical threshold", "firing critical threshold"}, out.story(t))
		pour(t, p, time.Minute, 0.5, 0.6)
		states := out.states(t)
		require.Len(t, states, 3)
		assert.Equal(t, "inactive critical recovered", out.story(t)[2])
		fired := states[1]
		assert.Equal(t, "inference", fired.Owner)
		assert.Equal(t, map[string]string{"job": "vllm", "severity": "page", "team": "inference"}, fired.Labels)
		assert.InDelta(t, 0.95, *fired.Value, 0)
		assert.InDelta(t, 0.9, *fired.Threshold, 0, "the comparison was split off the expression")
		assert.GreaterOrEqual(t, fired.Time.Sub(fired.Start), 30*time.Second)
		metadatatest.AssertEqualProcessorThresholdEvaluations(t, tel, []metricdata.DataPoint[int64]{{
			Attributes: attribute.NewSet(attribute.String("group", "g")), Value: 12,
		}}, ignoringTime)
		require.NoError(t, p.Shutdown(context.Background()))
	})
}

func TestBatchesPassUnchangedUnderExprRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		p := run(t, exprConfig(t, `{alert: Full, expr: 'kv > 0.9'}`), out, newMemory().known(time.Now()))
		md := kv(time.Now(), 0.95, 0.2)
		before, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(md)
		require.NoError(t, err)
		require.NoError(t, p.ConsumeMetrics(context.Background(), md))
		after, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(out.all())
		require.NoError(t, err)
		assert.JSONEq(t, string(before), string(after), "PromQL has no point to tag")
		require.NoError(t, p.Shutdown(context.Background()))
	})
}

func TestRecordedGoesIntoThePipeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, tel := &sink{}, componenttest.NewTelemetry()
		cfg := exprConfig(t, `{record: 'job:kv:max', expr: 'max by (job) (kv)', labels: {made: here}}`, `{alert: Full, expr: 'job:kv:max > 0.9'}`)
		cfg.EmitRecorded = true
		p := runWith(t, tel, cfg, out, newMemory().known(time.Now()))
		pour(t, p, 30*time.Second, 0.5, 0.95)
		var values []string
		for _, rm := range out.all().ResourceMetrics().All() {
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				if m.Name() == "job:kv:max" {
					for _, dp := range m.Gauge().DataPoints().All() {
						values = append(values, fmt.Sprintf("%v %v", dp.DoubleValue(), dp.Attributes().AsRaw()))
					}
				}
			}
		}
		assert.Equal(t, []string{"0.95 map[job:vllm made:here]", "0.95 map[job:vllm made:here]"}, values)

		// What the next consumer refuses is counted and gone; the data path does not notice.
		out.refuseWith(func(md pmetric.Metrics) error {
			if md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Name() == "job:kv:max" {
				return errors.New("full")
			}
			return nil
		})
		pour(t, p, 30*time.Second, 0.5, 0.95)
		metadatatest.AssertEqualProcessorThresholdRecordedDropped(t, tel, []metricdata.DataPoint[int64]{{
			Attributes: attribute.NewSet(attribute.String("reason", "refused")), Value: 2,
		}}, ignoringTime)
		require.NoError(t, p.Shutdown(context.Background()))
	})
}

// Of fifty files one goes bad: the others follow, unchanged rules keep their state, and the last good version of the bad
// one goes on.
func TestOneOfFiftyFilesIsBad(t *testing.T) {
	dir := t.TempDir()
	file := func(i int, bound float64) string {
		return fmt.Sprintf("groups: [{name: g%d, interval: 15s, rules: [{alert: Metric%d, metric: kv, tiers: {high: {above: %g}}}, {alert: Expr%d, expr: 'kv > %g'}]}]",
			i, i, bound, i, bound)
	}
	for i := range 50 {
		write(t, dir, fmt.Sprintf("%02d.yaml", i), file(i, 0.9))
	}
	follow(t, dir, func(f *folder) {
		for range 5 {
			f.feed(0.95)
			f.pass()
		}
		require.Len(t, f.out.story(t), 100, "every rule fires")
		for i := range 50 {
			switch {
			case i == 7:
				f.write("07.yaml", "groups: [{name: g7, interval: 15s, rules: [{alert: Metric7, metric: kv, tiers: {high: {above: 0.99}}}, {alert: Expr7, expr: 'kv >> 1'}]}]")
			case i%2 == 0:
				f.write(fmt.Sprintf("%02d.yaml", i), file(i, 0.99))
			}
		}
		f.out.clear()
		f.pass()
		for range 5 {
			f.feed(0.95)
			f.pass()
		}
		ended, firing := map[string]bool{}, map[string]bool{}
		for _, a := range f.out.states(t) {
			if a.State == 0 {
				ended[a.Rule] = true
			} else {
				firing[a.Rule] = true
			}
		}
		for i := range 50 {
			for _, kind := range []string{"Metric", "Expr"} {
				name := fmt.Sprint(kind, i)
				assert.Equal(t, i%2 == 0, ended[name], name)
				if i%2 == 1 {
					assert.NotContains(t, ended, name)
				}
			}
		}
		f.reloads(map[string]int64{"accepted": 25, "refused": 1})
	})
}
