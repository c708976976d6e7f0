package calibrate_test

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// labelledSeries are public series with known incidents; they are not part of the repository.
const labelledSeries = "../../../shared/testdata/timeseries"

// span is a known incident.
type span struct{ start, end time.Time }

// series is one recording with its incidents.
type series struct {
	name      string
	at        []time.Time
	value     []float64
	incidents []span
}

// TestLabelledSeries runs the loop on each series: a rule that pages above the mean + 3σ of the first tenth; the labels
// answer each page when it ends, and report an incident that nobody was paged for when it is over; every suggestion is
// taken as it comes. Beside it the threshold that never moves, and the best fixed one, known only in hindsight.
// LIMITS=quick asks for fewer labels than the defaults. TABLE=1 prints a line per series: `make calibration`.
func TestLabelledSeries(t *testing.T) {
	all := readLabelled(t)
	limits := calibrate.DefaultLimits()
	if os.Getenv("LIMITS") == "quick" {
		limits.MinEpisodes, limits.MinAge = 5, 24*time.Hour
	}
	var sum row
	fmt.Printf("==> suggestions need %d labelled episodes over %s and move by %g %%\n", limits.MinEpisodes, limits.MinAge, limits.MaxStep*100)
	table := func(line string) {
		if os.Getenv("TABLE") != "" {
			fmt.Println(line)
		}
	}
	table("| series | incidents | fixed: pages | caught | calibrated: pages | caught | lost | days to first | changes | hindsight: pages |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, s := range all {
		r := s.compare(t, limits)
		require.Zero(t, r.lostLabelled, "%s: an incident that had been verified was lost again", s.name)
		if r.fixed.pages > 0 || len(s.incidents) > 0 {
			table(r.String())
		}
		sum.add(r)
	}
	sum.name = fmt.Sprintf("all %d", len(all))
	table(sum.String())
	fmt.Printf("==> %d labelled series: %d pages with a fixed threshold, %d calibrated, %d in hindsight; of %d incidents caught %d are kept, %d were lost before anybody knew of the like; first suggestion after %.1f days (median)\n",
		len(all), sum.fixed.pages, sum.calibrated.pages, sum.hindsight.pages, sum.fixed.caught, sum.fixed.caught-sum.lost, sum.lost, sum.first)
	require.Positive(t, sum.changes, "nothing was ever suggested")
	require.Less(t, sum.calibrated.pages, sum.fixed.pages)
}

// linked is within what time real pages are taken for one incident.
const linked = time.Hour

// outcome is what a run came to.
type outcome struct{ pages, caught int }

// row is one line of the table. lost are incidents that the fixed threshold caught and the moving one did not; of them
// lostLabelled had a firing level that a taken suggestion knew of, which must not happen.
type row struct {
	name                         string
	incidents                    int
	fixed, calibrated, hindsight outcome
	lost, lostLabelled, changes  int
	first                        float64 // days until the first suggestion stood; NaN: none did
	firsts                       []float64
}

func (r *row) add(o row) {
	r.incidents += o.incidents
	for _, c := range []struct{ to, from *outcome }{{&r.fixed, &o.fixed}, {&r.calibrated, &o.calibrated}, {&r.hindsight, &o.hindsight}} {
		c.to.pages += c.from.pages
		c.to.caught += c.from.caught
	}
	r.lost += o.lost
	r.lostLabelled += o.lostLabelled
	r.changes += o.changes
	if !math.IsNaN(o.first) {
		r.firsts = append(r.firsts, o.first)
		slices.Sort(r.firsts)
		r.first = r.firsts[len(r.firsts)/2]
	}
}

func (r row) String() string {
	first := "–"
	if !math.IsNaN(r.first) && r.changes > 0 {
		first = fmt.Sprintf("%.1f", r.first)
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %d | %d | %s | %d | %d |", r.name, r.incidents, r.fixed.pages, r.fixed.caught,
		r.calibrated.pages, r.calibrated.caught, r.lost, first, r.changes, r.hindsight.pages)
}

func (s *series) compare(t *testing.T, limits calibrate.Limits) row {
	begin := len(s.value) / 10
	threshold := meanPlus3Sigma(s.value[:begin])
	fixed := s.play(t, begin, threshold, nil)
	moving := s.play(t, begin, threshold, &limits)
	r := row{
		name: s.name, incidents: s.after(begin), first: moving.first, changes: moving.changes, lostLabelled: moving.lostLabelled,
		fixed: outcome{len(fixed.pages), len(fixed.caught)}, calibrated: outcome{len(moving.pages), len(moving.caught)},
	}
	for i := range fixed.caught {
		if !moving.caught[i] {
			r.lost++
		}
	}
	r.hindsight = s.best(t, begin, threshold, fixed)
	return r
}

// best is the most extreme fixed threshold that catches what the first one caught: known only afterwards.
func (s *series) best(t *testing.T, begin int, threshold float64, fixed played) outcome {
	levels := []float64{threshold}
	for _, p := range fixed.pages {
		if v := math.Nextafter(p.level, math.Inf(-1)); !math.IsInf(p.level, 0) && v > threshold {
			levels = append(levels, v)
		}
	}
	slices.Sort(levels)
	var runs []played
	n, _ := slices.BinarySearchFunc(levels, 0, func(level float64, _ int) int {
		run := s.play(t, begin, level, nil)
		for i := range fixed.caught {
			if !run.caught[i] {
				return 1
			}
		}
		runs = append(runs, run)
		return -1
	})
	if n == 0 {
		return outcome{len(fixed.pages), len(fixed.caught)}
	}
	last := runs[len(runs)-1]
	return outcome{len(last.pages), len(fixed.caught)}
}

// after is how many incidents end after the first tenth.
func (s *series) after(begin int) (n int) {
	for _, i := range s.incidents {
		if i.end.After(s.at[begin]) {
			n++
		}
	}
	return n
}

// page is one episode.
type page struct {
	start, end time.Time
	level      float64
	incident   int // -1: none
}

// played is a run.
type played struct {
	pages                 []page
	caught                map[int]bool
	first                 float64
	changes, lostLabelled int
}

// play runs a rule over a series from a point on; with limits its threshold follows the suggestions.
func (s *series) play(t *testing.T, begin int, threshold float64, limits *calibrate.Limits) played {
	out := played{caught: map[int]bool{}, first: math.NaN()}
	now := s.at[begin]
	e := evaluate.New(ruleAt(t, threshold), evaluate.Options{
		HoldFor: time.Hour, MaxAge: time.Hour, MaxFuture: time.Hour, Series: 100, SeriesPerRule: 10, ResendInterval: time.Hour,
	}, now.Add(-time.Minute))
	require.NoError(t, e.Restore(nil, nil, true, time.Time{}, now.Add(-time.Minute)))
	var alarms []calibrate.Alarm
	open := map[bool]*calibrate.Alarm{}
	reported := map[int]bool{}
	moved := func() {
		calibrate.Link(alarms, linked)
		suggestion := calibrate.Suggest(calibrate.Above, threshold, threshold, alarms, *limits)
		if suggestion.Reason != calibrate.Stands {
			return
		}
		if out.changes++; math.IsNaN(out.first) {
			out.first = now.Sub(s.at[begin]).Hours() / 24
		}
		if suggestion.After.Incidents < suggestion.Before.Incidents {
			out.lostLabelled++
		}
		threshold = suggestion.Threshold
		e.Reload(ruleAt(t, threshold), now)
	}
	for i := begin; i < len(s.value); i++ {
		now = s.at[i]
		e.Tick(now)
		e.Judge(point(s.value[i], now), now)
		ended := false
		for _, m := range e.Take().Emissions {
			a := open[m.Silent]
			switch {
			case m.State == alert.Firing && a == nil:
				open[m.Silent] = &calibrate.Alarm{At: now, Threshold: threshold, Silent: m.Silent, Person: "labels", ID: now.String()}
			case m.State == alert.Inactive && a != nil:
				delete(open, m.Silent)
				a.Level = m.FiringLevels[alert.High].Value
				a.Bound = m.FiringLevels[alert.High].Bound
				incident := s.met(a.At, now)
				switch {
				case m.Silent && a.Level > a.Threshold: // it was an episode of the rule, too
					continue
				case m.Silent:
				case incident >= 0:
					a.Verdict = ledger.TruePositive
					s.catch(out.caught, a.At, now)
				default:
					a.Verdict = ledger.FalsePositive
				}
				if !m.Silent {
					out.pages = append(out.pages, page{a.At, now, a.Level, incident})
					ended = true
				}
				alarms = append(alarms, *a)
			}
		}
		if limits == nil {
			continue
		}
		for j, incident := range s.incidents { // somebody reports what was missed
			if incident.end.Before(now) && !reported[j] {
				reported[j] = true
				ended = s.report(j, alarms, out.caught) || ended
			}
		}
		if ended {
			moved()
		}
	}
	for silent, a := range open {
		if !silent {
			incident := s.met(a.At, now)
			s.catch(out.caught, a.At, now)
			out.pages = append(out.pages, page{a.At, now, math.Inf(1), incident})
		}
	}
	return out
}

// report marks the most extreme silent episode that met a missed incident as real.
func (s *series) report(j int, alarms []calibrate.Alarm, caught map[int]bool) bool {
	best := -1
	for i := range alarms {
		if a := &alarms[i]; a.Silent && s.met(a.At, a.At) == j && !caught[j] && (best < 0 || a.Level > alarms[best].Level) {
			best = i
		}
	}
	if best < 0 {
		return false
	}
	alarms[best].Verdict = ledger.TruePositive
	return true
}

// catch notes the incidents that an episode met.
func (s *series) catch(caught map[int]bool, start, end time.Time) {
	for j, i := range s.incidents {
		if !start.After(i.end) && !end.Before(i.start) {
			caught[j] = true
		}
	}
}

// met is the incident that a time meets, -1 for none.
func (s *series) met(start, end time.Time) int {
	return slices.IndexFunc(s.incidents, func(i span) bool { return !start.After(i.end) && !end.Before(i.start) })
}

func ruleAt(t *testing.T, threshold float64) *rule.Set {
	groups, err := rule.LoadFile("r.yaml", fmt.Appendf(nil,
		"groups: [{name: g, rules: [{alert: High, metric: value, explore: 20%%, tiers: {high: {above: %v}}, owner: o}]}]", threshold), rule.Defaults{})
	require.NoError(t, err)
	set, err := rule.Combine(groups)
	require.NoError(t, err)
	return set
}

func point(v float64, at time.Time) pmetric.Metrics {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("value")
	p := m.SetEmptyGauge().DataPoints().AppendEmpty()
	p.SetDoubleValue(v)
	p.SetTimestamp(pcommon.NewTimestampFromTime(at))
	return md
}

func meanPlus3Sigma(values []float64) float64 {
	mean, squares := 0.0, 0.0
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		squares += (v - mean) * (v - mean) / float64(len(values))
	}
	return mean + 3*math.Sqrt(squares)
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
		for _, w := range list {
			s.incidents = append(s.incidents, span{timeOf(t, w[0]), timeOf(t, w[1])})
		}
		all = append(all, s)
	}
	marked, err := filepath.Glob(filepath.Join(labelledSeries, "ms-cloud-monitoring", "*", "*.csv.gz"))
	require.NoError(t, err)
	for _, path := range marked {
		all = append(all, readSeries(t, path))
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
