package rules_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate/window"
)

// findable are the rules whose metrics are in a real exposition with all the labels that they ask for, so that each
// must find something there.
var findable = map[string][]string{
	"vllm": {
		"VLLMReplicasDown", "VLLMRestarts", "VLLMCacheNearlyFull", "VLLMRequestsQueueing", "VLLMSlowFirstToken",
		"VLLMSlowTokens", "VLLMSlowRequests", "VLLMPreemptions",
	},
	"sglang": {
		"SGLangReplicasDown", "SGLangRestarts", "SGLangTokensNearlyFull", "SGLangRequestsQueueing", "SGLangSlowFirstToken",
		"SGLangSlowTokens", "SGLangSlowRequests",
	},
	"triton": {
		"TritonReplicasDown", "TritonRestarts", "TritonRequestsFail", "TritonRequestsQueueing", "TritonMostlyWaiting",
		"TritonSlowerThanBefore", "TritonGPUMemoryNearlyFull", "TRTLLMCacheNearlyFull", "TRTLLMRequestsQueueing",
	},
}

var labelUsed = regexp.MustCompile(`\$labels\.(\w+)`)

// A real exposition, scraped for two hours with counters that grow: rules find their series under the labels that real
// servers give, and every label that their texts use is there.
func TestRulesFindTheirSeries(t *testing.T) {
	if _, err := os.Stat(expositions); err != nil {
		t.Skipf("NOT TESTED: real expositions are missing in %s", expositions)
	}
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 10_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: parser.NewParser(parser.Options{}),
	})
	for _, p := range packs(t) {
		if findable[p.name] == nil {
			continue
		}
		w := window.New(window.Options{})
		w.Keep(nil, true)
		const end = 120
		scrape(t, w, labels.FromStrings(model.MetricNameLabel, "up"), false, 1, p.name, end)
		for _, file := range sources[p.name].expositions {
			scrapeFile(t, w, file, p.name, end)
		}
		for _, r := range p.rules {
			if r.Query == nil {
				continue
			}
			t.Run(p.name+"/"+r.Name, func(t *testing.T) {
				query, err := engine.NewInstantQuery(context.Background(), w, nil, r.Query.Signal, time.UnixMilli(end*60_000))
				require.NoError(t, err)
				defer query.Close()
				found, err := query.Exec(context.Background()).Vector()
				require.NoError(t, err)
				if slices.Contains(findable[p.name], r.Name) {
					assert.NotEmpty(t, found, "finds nothing: %s", r.Query.Signal)
				}
				for _, sample := range found {
					for _, text := range r.Annotations {
						for _, used := range labelUsed.FindAllStringSubmatch(text, -1) {
							assert.NotEmpty(t, sample.Metric.Get(used[1]), "%s has no label %s, which a text uses", sample.Metric, used[1])
						}
					}
				}
			})
		}
	}
}

func scrapeFile(t *testing.T, w *window.Window, file, job string, end int64) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(expositions, file)) //nolint:gosec // a test's own input
	require.NoError(t, err)
	p := textparse.NewPromParser(content, labels.NewSymbolTable(), false)
	kind := model.MetricTypeUnknown
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err, file)
		switch entry {
		case textparse.EntryType:
			_, kind = p.Type()
		case textparse.EntrySeries:
			var ls labels.Labels
			p.Labels(&ls)
			_, _, v := p.Series()
			scrape(t, w, ls, kind == model.MetricTypeCounter || kind == model.MetricTypeHistogram, v, job, end)
		default:
		}
	}
}

// scrape gives the window a sample a minute, of a value that stays or grows by a tenth of it, and by 1 at least.
func scrape(t *testing.T, w *window.Window, ls labels.Labels, grows bool, v float64, job string, end int64) {
	t.Helper()
	b := labels.NewBuilder(ls)
	b.Set("job", job).Set("instance", "server-1:8000")
	ls = b.Labels()
	for minute := range end + 1 {
		at, value := minute*60_000, v
		if grows {
			value += float64(minute) * max(v/10, 1)
		}
		require.NoError(t, w.Append(ls, 0, at, value, nil, nil, at))
	}
}
