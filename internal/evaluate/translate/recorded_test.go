package translate

import (
	"bufio"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.yaml.in/yaml/v3"
)

// shared is where OTLP as real programs sent it lies, beside the repository; it is not ours to publish.
const shared = "../../../../shared/testdata/otlp"

// recordedFile is a file's batches in their order.
type recordedFile struct {
	name    string
	batches []pmetric.Metrics
}

// recorded reads all files that hold OTLP metrics.
func recorded(t testing.TB) []recordedFile {
	t.Helper()
	if _, err := os.Stat(shared); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("recorded OTLP is missing in %s: %v", shared, err)
		}
		t.Skipf("NOT TESTED: recorded OTLP is missing in %s", shared)
	}
	var all []recordedFile
	var unread []string
	require.NoError(t, filepath.WalkDir(shared, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		file := recordedFile{name: strings.TrimPrefix(path, shared+"/")}
		switch filepath.Ext(path) {
		case ".yaml", ".json":
			if md, err := golden.ReadMetrics(path); err == nil {
				file.batches = append(file.batches, md)
			}
		case ".jsonl":
			file.batches = lines(t, path)
		case ".test":
			file.batches = archived(t, path)
		}
		points := 0
		for _, md := range file.batches {
			points += md.DataPointCount()
		}
		if points == 0 {
			unread = append(unread, file.name)
			return nil
		}
		all = append(all, file)
		return nil
	}))
	require.NotEmpty(t, all)
	t.Logf("%d files; without points or not readable: %s", len(all), strings.Join(unread, ", "))
	return all
}

func lines(t testing.TB, path string) (all []pmetric.Metrics) {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 16<<20)
	for scan.Scan() {
		md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(scan.Bytes())
		require.NoError(t, err)
		all = append(all, md)
	}
	require.NoError(t, scan.Err())
	return all
}

// archived reads the parts of a txtar archive that are OTLP in YAML.
func archived(t testing.TB, path string) (all []pmetric.Metrics) {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, part := range strings.Split("\n"+string(text), "\n-- ")[1:] {
		_, body, _ := strings.Cut(part, "--\n")
		var doc map[string]any
		if yaml.Unmarshal([]byte(body), &doc) != nil {
			continue
		}
		b, err := json.Marshal(doc)
		require.NoError(t, err)
		if md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(b); err == nil {
			all = append(all, md)
		}
	}
	return all
}

// Everything that was recorded becomes, sample by sample, what Prometheus' endpoint hands to its storage, with all
// strategies and promotions; deltas against the endpoint with its delta-to-cumulative conversion.
func TestRecordedIsWhatPrometheusMakesOfIt(t *testing.T) {
	files := recorded(t)
	for _, opts := range configurations() {
		t.Run(opts.String(), func(t *testing.T) {
			samples, removed, rejected := 0, 0, 0
			for _, file := range files {
				// The Collector's processor, which adds deltas up in the endpoint, writes empty buckets down too.
				deltas := slices.ContainsFunc(file.batches, hasDeltas)
				want, got := &recorder{compact: deltas}, &recorder{compact: deltas}
				theirs, ours := newEndpoint(opts, want, true), New(opts, got)
				for _, md := range file.batches {
					md = copyOf(md)
					removed += untaken(md)
					before := wire(t, md)
					ours.Consume(context.Background(), md, noon)
					assert.True(t, before == wire(t, md), "the batch is left as it is")
					theirs.send(t, md)
					if theirs.said != "" {
						rejected++
					}
				}
				require.Equal(t, want.sorted(), got.sorted(), file.name)
				samples += len(want.samples)
			}
			assert.Greater(t, samples, 10_000)
			t.Logf("%d samples the same; %d points removed before; %d batches the endpoint would take back as a whole, for one metric in them", samples, removed, rejected)
		})
	}
}

func hasDeltas(md pmetric.Metrics) bool {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if m.Type() == pmetric.MetricTypeExponentialHistogram && m.ExponentialHistogram().AggregationTemporality() == pmetric.AggregationTemporalityDelta {
					return true
				}
			}
		}
	}
	return false
}

// What Prometheus' storage holds after its endpoint has had the recorded batches, it holds after ours too.
func TestRecordedInPrometheusStorage(t *testing.T) {
	series := 0
	for _, file := range recorded(t) {
		theirStorage, ourStorage := storageOf(t), storageOf(t)
		sink := &stored{to: ourStorage}
		theirs, ours := newEndpoint(Options{}, theirStorage, true), New(Options{}, sink)
		for _, md := range file.batches {
			md = copyOf(md)
			untaken(md)
			theirs.send(t, md)
			if theirs.said != "" {
				// The endpoint takes back all of a batch for one metric that it does not like.
				t.Logf("%s: left out, the endpoint says %q", file.name, theirs.said)
				continue
			}
			ours.Consume(context.Background(), md, noon)
			sink.commit(t)
		}
		want := contents(t, theirStorage)
		require.Equal(t, want, contents(t, ourStorage), file.name)
		series += len(want)
	}
	assert.Greater(t, series, 1000)
	t.Logf("%d samples the same", series)
}
