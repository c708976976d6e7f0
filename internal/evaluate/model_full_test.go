package evaluate

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// wholeSeries says what one series under one rule of a metric must come to, by looking back at everything that happened
// in its episode: points, and seconds in which nothing came.
type wholeSeries struct {
	rule *rule.Rule
	// arrivals are the times of the points as long as the series is remembered.
	arrivals []int64

	// The episode, nil while the series is quiet.
	machine *slowMachine
	points  []observation
	active  map[int]bool // tiers that have been active
	start   int64
	noData  bool
}

// said is what the alert says.
type said struct {
	state    alert.State
	severity alert.Severity
	noData   bool
}

// patience is how long the series may be silent: three intervals, at least a minute. The interval is the first distance,
// to which a quarter of every later one's difference is added; no distance counts for more than four intervals.
func (w *wholeSeries) patience() int64 {
	var interval int64
	for i := 1; i < len(w.arrivals); i++ {
		distance := w.arrivals[i] - w.arrivals[i-1]
		if interval == 0 {
			interval = distance
		} else {
			interval += (min(distance, 4*interval) - interval) / 4
		}
	}
	return max(3*interval, int64(time.Minute))
}

func (w *wholeSeries) silence(now int64) int64 { return now - w.arrivals[len(w.arrivals)-1] }

func (w *wholeSeries) breached(v float64) bool {
	for i := range w.rule.Tiers {
		if w.rule.Tiers[i].Breached(v) {
			return true
		}
	}
	return false
}

func (w *wholeSeries) begin() {
	w.machine = &slowMachine{tiers: w.rule.Tiers, keep: w.rule.KeepFiringFor}
	w.points, w.active, w.start, w.noData = nil, map[int]bool{}, 0, false
}

func (w *wholeSeries) point(v float64, at int64) {
	if len(w.arrivals) == 0 && !w.breached(v) && w.rule.NoData.Action != rule.NoDataRaise {
		return // nothing to remember
	}
	// What the first distance is nobody can say to be too long.
	o := observation{v: v, at: at, broken: len(w.arrivals) > 1 && w.silence(at) > w.patience()}
	w.arrivals = append(w.arrivals, at)
	if w.machine == nil {
		if !w.breached(v) {
			return
		}
		w.begin()
	}
	w.points = append(w.points, o)
	wasFiring := w.machine.firing
	w.machine.step(o)
	for i := range w.machine.active {
		w.active[i] = true
	}
	if began := w.began(); !wasFiring && (!w.machine.firing || w.start == 0) {
		w.start = began
	}
	if w.machine.firing || !w.machine.pending() {
		w.noData = false
	}
	if !w.machine.firing && !w.machine.pending() {
		w.machine = nil
	}
}

// began is when the earliest of the conditions that run began to.
func (w *wholeSeries) began() (start int64) {
	for i := range w.rule.Tiers {
		for k := len(w.points) - 1; k >= 0 && w.rule.Tiers[i].Breached(w.points[k].v); k-- {
			if at := w.points[k].at; start == 0 || at < start {
				start = at
			}
			if w.points[k].broken {
				break
			}
		}
	}
	return start
}

// second is a second in which nothing came.
func (w *wholeSeries) second(now int64) {
	if len(w.arrivals) == 0 {
		return
	}
	silent, noData := w.silence(now), w.rule.NoData
	gone := silent >= int64(noData.HoldFor)
	if noData.Action == rule.NoDataRaise {
		gone = silent >= int64(noData.After+noData.HoldFor)
	}
	missed := noData.Action == rule.NoDataRaise && silent >= int64(noData.After)
	switch {
	case w.machine == nil && missed:
		w.begin()
		w.noData, w.start = true, now-silent
	case w.machine == nil:
	case !w.machine.firing && !w.noData && silent > w.patience():
		w.machine = nil
		if missed { // in the same second
			w.begin()
			w.noData, w.start = true, now-silent
		}
	case noData.Action == rule.NoDataResolve:
		if silent > w.patience() {
			w.machine = nil
		}
	case gone:
		w.machine, w.arrivals = nil, nil
	case missed:
		w.noData = true
	}
}

func (w *wholeSeries) says(before said) said {
	if w.machine == nil {
		return said{alert.Inactive, before.severity, false}
	}
	s := said{state: alert.Firing, noData: w.noData}
	switch {
	case w.machine.firing:
		s.severity = w.rule.Tiers[w.machine.lastTier].Severity
	case !w.noData:
		s.state = alert.Pending
		for i := range w.rule.Tiers {
			if w.rule.Tiers[i].Breached(w.points[len(w.points)-1].v) {
				s.severity = w.rule.Tiers[i].Severity
				break
			}
		}
	}
	if w.noData {
		s.severity = max(s.severity, w.rule.NoData.Tier)
	}
	return s
}

// levels are the firing levels of the episode, as how far they lie beyond the thresholds.
func (w *wholeSeries) levels() map[alert.Severity]float64 {
	levels := map[alert.Severity]float64{}
	for i := range w.active {
		t := &w.rule.Tiers[i].Threshold
		own := excess(t, t.Bound(w.points[len(w.points)-1].v))
		e := episode{t: *t, points: w.points}
		if x, ok := e.highest(); ok {
			own = max(own, x)
		}
		levels[w.rule.Tiers[i].Severity] = own
	}
	return levels
}

func drawRule(t *rapid.T) *rule.Rule {
	tiers := drawTiers(t)
	for i := range tiers { // bands whose widths are powers of two: the model then computes without rounding
		if th := &tiers[i].Threshold; th.Op == rule.Outside {
			th.High = math.Exp2(float64(3 - i))
			th.Low = -th.High
			th.ClearHigh = th.High - float64(rapid.IntRange(0, 1).Draw(t, "clear"))/4
			th.ClearLow = -th.ClearHigh
		}
	}
	r := ruleOf("R", tiers...)
	r.KeepFiringFor = time.Duration(rapid.IntRange(0, 2).Draw(t, "keep_firing_for")) * time.Minute
	minutes := func(name string, from, to int) time.Duration {
		return time.Duration(rapid.IntRange(from, to).Draw(t, name)) * time.Minute
	}
	r.NoData = rule.NoData{
		Action:  rapid.SampledFrom([]rule.NoDataAction{rule.NoDataHold, rule.NoDataResolve, rule.NoDataRaise}).Draw(t, "no_data"),
		HoldFor: minutes("hold_for", 1, 8),
	}
	if r.NoData.Action == rule.NoDataRaise {
		r.NoData.After = minutes("after", 1, 4)
		r.NoData.Tier = rapid.SampledFrom(alert.Severities[:]).Draw(t, "no_data tier")
	}
	return r
}

// TestWholeSeries holds the evaluator against wholeSeries, through restarts, and where a start finds no stored state: what
// it says, when, since when, and the firing levels.
func TestWholeSeries(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := drawRule(rt)
		model := &wholeSeries{rule: r}
		b := newBench(t, testOptions(), r)
		unknown := rapid.IntRange(0, 3).Draw(rt, "without stored state") == 0
		if !unknown {
			b.known()
		}
		restarted := false // in this episode
		var now said
		heard := map[alert.State]alert.Alert{}
		compare := func(what string) {
			levels := map[alert.Severity]float64{}
			if model.points != nil {
				levels = model.levels()
			}
			next := model.says(now)
			var said, repeated []alert.Alert
			for _, e := range b.take().Emissions {
				switch {
				case e.Stale:
				case e.Repeated:
					repeated = append(repeated, e.Alert)
				default:
					said = append(said, e.Alert)
				}
			}
			switch {
			case unknown && next.state == alert.Inactive && now.state != alert.Firing:
				// What only was pending may have been firing before the start: its end is said when it is past clear, as
				// that of every healthy series is, once.
				for _, a := range said {
					require.Equal(rt, alert.Inactive, a.State, what)
					require.Equal(rt, alert.ReasonRecovered, a.Reason, "%s: nothing is known to have recovered", what)
					heard[a.State] = a
				}
				repeated = nil
			case next == now:
				require.Empty(rt, said, "%s: nothing has changed", what)
			default:
				require.NotEmpty(rt, said, "%s: now %+v", what, next)
				a := said[len(said)-1]
				require.Equal(rt, next.state, a.State, what)
				require.Equal(rt, next.severity, a.Severity, what)
				require.Equal(rt, next.noData, a.Reason == alert.ReasonNoData, what)
				repeated = append(repeated, a)
				heard[a.State] = a
			}
			for _, a := range repeated {
				require.Equal(rt, next.state, a.State)
				if a.State != alert.Inactive {
					require.Equal(rt, model.start, a.Start.UnixNano(), "%s: start", what)
				}
				if a.State == alert.Inactive && next == now {
					require.Equal(rt, heard[a.State].FiringLevels, a.FiringLevels, "an end is repeated as it was")
					continue
				}
				require.Len(rt, a.FiringLevels, len(levels), what)
				for severity, l := range a.FiringLevels {
					level := excess(thresholdOf(r, severity), l.Value)
					if restarted { // the run of points is not stored
						require.LessOrEqual(rt, level, levels[severity], "%s: level of %s", what, severity)
						continue
					}
					require.Equal(rt, levels[severity], level, "%s: level of %s", what, severity)
					require.False(rt, l.Bound)
				}
			}
			now = next
			if model.machine == nil {
				model.points, restarted = nil, false
			}
		}
		for range rapid.IntRange(1, 50).Draw(rt, "points") {
			if rapid.IntRange(0, 9).Draw(rt, "restart?") == 0 {
				firing, quiet := snapshot(b)
				b.Evaluator = New(setOf(r), testOptions(), b.now)
				require.NoError(rt, b.Restore(firing, quiet, true, b.now, b.now))
				unknown, restarted = false, true
			}
			v := float64(rapid.IntRange(-24, 24).Draw(rt, "value")) / 2
			b.Judge(gauge(testPoint{"a", v, b.now}), b.now)
			model.point(v, b.now.UnixNano())
			compare("point")
			wait := 15
			if rapid.IntRange(0, 7).Draw(rt, "pause?") == 0 {
				wait = rapid.IntRange(1, 500).Draw(rt, "pause")
			}
			for range wait {
				b.now = b.now.Add(time.Second)
				b.Tick(b.now)
				model.second(b.now.UnixNano())
				compare("second")
			}
		}
	})
}

func thresholdOf(r *rule.Rule, severity alert.Severity) *rule.Threshold {
	for i := range r.Tiers {
		if r.Tiers[i].Severity == severity {
			return &r.Tiers[i].Threshold
		}
	}
	return nil
}
