package calibrate_test

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// labelledSeries are public series with known incidents; they are not part of the repository.
const labelledSeries = "../../../shared/testdata/timeseries"

// span is a known incident.
type span struct{ start, end time.Time }

// series is one recording with its incidents.
type series struct {
	name, source string
	at           []time.Time
	value        []float64
	incidents    []span
	// below says that the rule looks at the other side: low values are bad.
	below bool
	// keep is the rule's keep_firing_for.
	keep time.Duration
}

// side is what a value is multiplied with so that greater is worse.
func (s *series) side() float64 {
	if s.below {
		return -1
	}
	return 1
}

// development reports whether the series belongs to the half on which the suggestion was developed: half of them, by a
// hash of the name. What was chosen was chosen by these alone; the others say what it is worth.
func (s *series) development() bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s.name))
	return h.Sum32()%2 == 0
}

// chance is true of one page in so many, by a hash: the same ones in every run.
func (s *series) chance(n, of int) bool {
	h := fnv.New32a()
	_, _ = fmt.Fprintf(h, "%s/%d", s.name, n)
	return h.Sum32()%uint32(of) == 0
}

// begin is where the first tenth ends: from there on the rule runs.
func (s *series) begin() int { return len(s.value) / 10 }

// firstThreshold lies so many standard deviations of the first tenth beyond its mean.
func (s *series) firstThreshold(deviations float64) float64 {
	values := s.value[:s.begin()]
	mean, squares := 0.0, 0.0
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		squares += (v - mean) * (v - mean) / float64(len(values))
	}
	return mean + s.side()*deviations*math.Sqrt(squares)
}

// hold is how long a page outlives its data: an hour, or three intervals where the points come as rarely as once an hour.
func (s *series) hold() time.Duration {
	var between []time.Duration
	for i := 1; i < len(s.at); i++ {
		between = append(between, s.at[i].Sub(s.at[i-1]))
	}
	slices.Sort(between)
	return max(time.Hour, 3*between[len(between)/2])
}

// judged are the incidents that end after the first tenth.
func (s *series) judged() (n int) {
	for _, i := range s.incidents {
		if i.end.After(s.at[s.begin()]) {
			n++
		}
	}
	return n
}

// met is the first incident that a time meets, -1 for none.
func (s *series) met(start, end time.Time) int {
	return slices.IndexFunc(s.incidents, func(i span) bool { return !start.After(i.end) && !end.Before(i.start) })
}

// peak is the worst value from one time to another.
func (s *series) peak(from, until time.Time) float64 {
	first, _ := slices.BinarySearchFunc(s.at, from, time.Time.Compare)
	most := math.Inf(-1)
	for i := first; i < len(s.at) && !s.at[i].After(until); i++ {
		most = max(most, s.side()*s.value[i])
	}
	return s.side() * most
}

// worst is when an incident was worst.
func (s *series) worst(i span) time.Time {
	peak := s.peak(i.start, i.end)
	for at := range s.at {
		if !s.at[at].Before(i.start) && s.value[at] == peak {
			return s.at[at]
		}
	}
	return i.start
}

// readLabelled reads both sets: one keeps its incidents in a list beside the series, the other marks points.
func readLabelled(t *testing.T) []*series {
	content, err := os.ReadFile(filepath.Join(labelledSeries, "NAB", "_meta", "combined_windows.dev.json"))
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	var windows map[string][][2]string
	require.NoError(t, json.Unmarshal(content, &windows))
	var all []*series
	for name, list := range windows {
		s := readSeries(t, filepath.Join(labelledSeries, "NAB", name+".gz"))
		s.source = "Numenta Anomaly Benchmark"
		for _, w := range list {
			s.incidents = append(s.incidents, span{timeOf(t, w[0]), timeOf(t, w[1])})
		}
		all = append(all, s)
	}
	marked, err := filepath.Glob(filepath.Join(labelledSeries, "ms-cloud-monitoring", "*", "*.csv.gz"))
	require.NoError(t, err)
	for _, path := range marked {
		s := readSeries(t, path)
		s.source = "Microsoft Cloud Monitoring Dataset"
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *series) int { return strings.Compare(a.name, b.name) })
	return all
}

func readSeries(t *testing.T, path string) *series {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	rows, err := csv.NewReader(z).ReadAll()
	require.NoError(t, err)
	s := &series{name: strings.TrimSuffix(filepath.Base(path), ".csv.gz")}
	for _, row := range rows[1:] {
		v, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			continue // a gap
		}
		at := timeOf(t, row[0])
		if n := len(s.at); n > 0 && !at.After(s.at[n-1]) {
			continue
		}
		s.at, s.value = append(s.at, at), append(s.value, v)
		if len(row) < 3 || row[2] != "1" {
			continue
		}
		if n := len(s.at); n > 1 && len(s.incidents) > 0 && s.incidents[len(s.incidents)-1].end.Equal(s.at[n-2]) {
			s.incidents[len(s.incidents)-1].end = at
		} else {
			s.incidents = append(s.incidents, span{at, at})
		}
	}
	return s
}

func timeOf(t *testing.T, text string) time.Time {
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04:05.000000"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	require.Failf(t, "no time", "%q", text)
	return time.Time{}
}
