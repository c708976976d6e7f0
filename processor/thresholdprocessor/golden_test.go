package thresholdprocessor

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/pmetrictest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

var update = flag.Bool("update", false, "write the golden outputs")

// Each folder of testdata is one case. config.yaml is the processor's configuration, input_<when>.yaml a batch that
// arrives <when> after the start, and output.yaml all that went to the next consumer, in that order. The clock of a case
// starts at 2000-01-01T00:00:00Z (Unix 946684800). With `storage: memory` the processor finds the storage of an earlier
// run, without which it would announce healthy series once.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*/config.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, file := range cases {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := flow(t, dir)
				sortAttributes(got)
				output := filepath.Join(dir, "output.yaml")
				if *update {
					text, err := golden.MarshalMetricsYAML(got)
					require.NoError(t, err)
					require.NoError(t, os.WriteFile(output, text, 0o600))
				}
				want, err := golden.ReadMetrics(output)
				require.NoError(t, err)
				sortAttributes(want)
				// The texts show the order, too, and NaN is NaN; CompareMetrics says what differs in fewer words.
				if wanted, texts := texts(t, want), texts(t, got); !slices.Equal(wanted, texts) {
					assert.NoError(t, pmetrictest.CompareMetrics(want, got))
					assert.Equal(t, wanted, texts)
				}
			})
		})
	}
}

// flow runs one case and returns what came out.
func flow(t *testing.T, dir string) pmetric.Metrics {
	out := &sink{}
	start := time.Now()
	p := run(t, configOf(t, filepath.Join(dir, "config.yaml")), out, newMemory().known(start))
	for _, in := range inputs(t, dir) {
		time.Sleep(time.Until(start.Add(in.after)))
		synctest.Wait() // the tick of this second comes before the batch
		require.NoError(t, p.ConsumeMetrics(context.Background(), in.md))
	}
	require.NoError(t, p.Shutdown(context.Background()))
	return out.all()
}

type input struct {
	after time.Duration
	md    pmetric.Metrics
}

func inputs(t *testing.T, dir string) []input {
	files, err := filepath.Glob(filepath.Join(dir, "input_*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var all []input
	for _, file := range files {
		when := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "input_"), ".yaml")
		after, err := time.ParseDuration(when)
		require.NoError(t, err, file)
		md, err := golden.ReadMetrics(file)
		require.NoError(t, err, file)
		all = append(all, input{after, md})
	}
	slices.SortFunc(all, func(a, b input) int { return int(a.after - b.after) })
	return all
}

// sortAttributes gives the attributes of our own points a fixed order: that of maps is none.
func sortAttributes(md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Name() != alert.MetricState {
					continue
				}
				for _, p := range m.Gauge().DataPoints().All() {
					sortMap(p.Attributes())
					for _, e := range p.Exemplars().All() {
						sortMap(e.FilteredAttributes())
					}
				}
			}
		}
	}
}

func sortMap(m pcommon.Map) {
	var names []string
	for name := range m.All() {
		names = append(names, name)
	}
	slices.Sort(names)
	sorted := pcommon.NewMap()
	for _, name := range names {
		v, _ := m.Get(name)
		v.CopyTo(sorted.PutEmpty(name))
	}
	sorted.MoveTo(m)
}

// texts are the batches in OTLP JSON, one by one so that a difference is short.
func texts(t testing.TB, md pmetric.Metrics) []string {
	var all []string
	for _, rm := range md.ResourceMetrics().All() {
		one := pmetric.NewMetrics()
		rm.CopyTo(one.ResourceMetrics().AppendEmpty())
		text, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(one)
		require.NoError(t, err)
		all = append(all, string(text))
	}
	return all
}
