package replay

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// labelled is a public set of series with known anomalies; it is not part of the repository.
const labelled = "../../../shared/testdata/timeseries/NAB"

// BenchmarkReplay replays a set of labelled series, and recordings that it makes: of 64 MB, or of as many bytes as
// REPLAY_BYTES says.
func BenchmarkReplay(b *testing.B) {
	b.Run("labelled", benchLabelled)
	b.Run("recording", benchRecording)
}

func benchRecording(b *testing.B) {
	bytes := int64(64 << 20)
	if text := os.Getenv("REPLAY_BYTES"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		require.NoError(b, err, "REPLAY_BYTES")
		bytes = n
	}
	path := b.TempDir() + "/recording.json"
	f, err := os.Create(path)
	require.NoError(b, err)
	made := record(b, f, bytes, 50)
	require.NoError(b, f.Close())
	set := rulesOf(b, modelRules)
	debug.FreeOSMemory()
	b.SetBytes(bytes)
	for b.Loop() {
		start := time.Now()
		s, err := Run(context.Background(), defaults(set, path))
		require.NoError(b, err)
		require.Equal(b, made, s.Points, "every point is read")
		require.Positive(b, s.Episodes)
		took := time.Since(start).Seconds()
		b.ReportMetric(float64(s.Points)/took, "points/s")
		b.ReportMetric(float64(s.Episodes)/took, "episodes/s")
		b.ReportMetric(float64(s.Episodes), "episodes")
	}
	b.ReportMetric(peakMemory(b), "peakMiB")
}

// peakMemory is the most memory that the process ever had, in MiB.
func peakMemory(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Logf("the peak memory is not known here: %v", err)
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmHWM:" {
			kib, err := strconv.ParseFloat(fields[1], 64)
			require.NoError(b, err)
			return kib / 1024
		}
	}
	return 0
}

func benchLabelled(b *testing.B) {
	files, set, incidents := labelledSet(b)
	for b.Loop() {
		start := time.Now()
		opts := defaults(set, files...)
		opts.Incidents = incidents
		opts.CSV = CSVOptions{Metric: "value", FileLabel: "series"}
		s, err := Run(context.Background(), opts)
		require.NoError(b, err)
		require.Positive(b, s.Incidents.Caught)
		took := time.Since(start).Seconds()
		b.ReportMetric(float64(s.Points)/took, "points/s")
		b.ReportMetric(float64(s.Episodes)/took, "episodes/s")
		b.ReportMetric(float64(s.Incidents.Caught), "caught")
		b.ReportMetric(float64(s.Incidents.Missed), "missed")
		b.ReportMetric(float64(s.Incidents.False), "false")
	}
}

// labelledRules are a plain threshold for what is in percent, and rules that hold every series against its own last day.
const labelledRules = `
groups:
  - name: labelled
    interval: 5m
    rules:
      - alert: HighCPU
        metric: value
        where: datapoint.attributes["unit"] == nil and IsMatch(datapoint.attributes["series"], "cpu")
        tiers: {high: {above: 90, for: 10m}}
      - alert: Unusual
        expr: abs(value - avg_over_time(value[1d])) / (stddev_over_time(value[1d]) + 1e-9)
        tiers: {critical: {above: 8}, high: {above: 5}}
`

func labelledSet(b *testing.B) (files []string, set *rule.Set, incidents []Incident) {
	text, err := os.ReadFile(filepath.Join(labelled, "_meta", "combined_windows.dev.json"))
	if os.IsNotExist(err) {
		b.Skipf("SKIPPED: the labelled series are not here: %v", err)
	}
	require.NoError(b, err)
	var windows map[string][][2]string
	require.NoError(b, json.Unmarshal(text, &windows))
	var known strings.Builder
	w := csv.NewWriter(&known)
	require.NoError(b, w.Write([]string{"start", "end", "series"}))
	for name, pairs := range windows {
		path := filepath.Join(labelled, name+".gz")
		if _, err := os.Stat(path); err != nil {
			continue
		}
		files = append(files, path)
		for _, pair := range pairs {
			require.NoError(b, w.Write([]string{pair[0], pair[1], `{series="` + stem(path) + `"}`}))
		}
	}
	w.Flush()
	require.NotEmpty(b, files)
	incidents, err = ReadIncidents("windows", strings.NewReader(known.String()))
	require.NoError(b, err)
	require.NotEmpty(b, incidents)
	return files, rulesOf(b, labelledRules), incidents
}
