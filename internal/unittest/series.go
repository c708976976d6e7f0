package unittest

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// inputSeries is one input series, its values written out.
type inputSeries struct {
	labels labels.Labels
	values []parser.SequenceValue
	// start and step are those of the values, in milliseconds; next is the first value that was not fed yet.
	start, step int64
	next        int
}

// sample is one value of a series at its time.
type sample struct {
	t int64 // ms
	v float64
	h *histogram.FloatHistogram
}

// input reads the series of a test. Of several series with the same labels the last one counts, as with promtool.
func (t *Test) input(promql parser.Parser) ([]*inputSeries, []Failure) {
	var failures []Failure
	var all []*inputSeries
	at := map[string]int{}
	for i := range t.Series {
		s := &t.Series[i]
		ls, values, err := parseSeries(promql, s.Name.Value, s.Values.Value)
		if err != nil {
			failures = append(failures, Failure{Position: s.Position, Msg: "the series cannot be read: " + err.Error()})
			continue
		}
		read := &inputSeries{labels: ls, values: values, start: t.Start.UnixMilli(), step: t.Interval.Milliseconds()}
		key := string(ls.Bytes(nil))
		if first, twice := at[key]; twice {
			all[first] = read
			continue
		}
		at[key] = len(all)
		all = append(all, read)
	}
	return all, failures
}

// maxValues bounds what a few characters of the notation can stand for.
const maxValues = 5_000_000

var repeated = regexp.MustCompile(`x\s*([0-9]+)`)

// parseSeries reads a series in promtool's notation, by Prometheus' own parser.
func parseSeries(promql parser.Parser, name, values string) (labels.Labels, []parser.SequenceValue, error) {
	name, values = strings.TrimSpace(name), strings.TrimSpace(values)
	if strings.Contains(name, "\n") || strings.Contains(values, "\n") {
		return labels.EmptyLabels(), nil, errors.New("name and values must stand on one line each; in YAML, > joins lines and | keeps them apart")
	}
	if name == "" {
		return labels.EmptyLabels(), nil, errors.New("it has no name: write series: name{label=\"value\"}")
	}
	for _, times := range repeated.FindAllStringSubmatch(values, -1) {
		if n, err := strconv.ParseUint(times[1], 10, 64); err != nil || n > maxValues {
			return labels.EmptyLabels(), nil, fmt.Errorf("must not stand for more than %d values (got %s)", maxValues, times[0])
		}
	}
	return promql.ParseSeriesDesc(name + " " + values)
}

// until returns the samples up to and including a time that were not returned before.
func (s *inputSeries) until(t int64) []sample {
	var all []sample
	for ; s.next < len(s.values) && s.time(s.next) <= t; s.next++ {
		if v := &s.values[s.next]; !v.Omitted {
			all = append(all, sample{t: s.time(s.next), v: v.Value, h: v.Histogram})
		}
	}
	return all
}

func (s *inputSeries) time(i int) int64 {
	if s.step > 0 && int64(i) > (math.MaxInt64-s.start)/s.step {
		return math.MaxInt64
	}
	return s.start + int64(i)*s.step
}
