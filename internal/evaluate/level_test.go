package evaluate

import (
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// episode is what a level is computed from.
type episode struct {
	t      rule.Threshold
	points []observation
}

// wouldFire runs the machine of a rule that has one tier alone, its threshold so strict that a value breaches it only if
// its excess is at least x. That is the supremum's own limit: at a strict comparison the thresholds just below it.
func (e *episode) wouldFire(x float64) bool {
	tier := rule.Threshold{Op: e.t.Op, Low: math.Inf(-1), High: math.Inf(1), For: e.t.For}
	switch e.t.Op {
	case rule.Above:
		tier.High = math.Nextafter(x, math.Inf(-1))
	case rule.AtLeast:
		tier.High = x
	case rule.Below:
		tier.Low = math.Nextafter(-x, math.Inf(1))
	case rule.AtMost:
		tier.Low = -x
	default: // widths here are such that this is exact
		width := e.t.High - e.t.Low
		tier.Low = math.Nextafter(e.t.Low-x*width, math.Inf(1))
		tier.High = math.Nextafter(e.t.High+x*width, math.Inf(-1))
	}
	tier.ClearLow, tier.ClearHigh = tier.Low, tier.High
	tiers := []rule.Tier{{Severity: alert.High, Threshold: tier}}
	m := newMachine()
	for _, p := range e.points {
		if m.step(tiers, 0, p.v, p.at, p.broken); m.active != 0 {
			return true
		}
	}
	return false
}

// highest tries every value seen, and what lies between them. ok is false where even the least that breaches the tier
// would not have fired.
func (e *episode) highest() (x float64, ok bool) {
	x = math.Inf(-1)
	for _, p := range e.points {
		if !e.t.Breached(p.v) {
			continue
		}
		for _, candidate := range []float64{excess(&e.t, p.v), excess(&e.t, p.v) + 0.125} {
			if e.wouldFire(candidate) && (!ok || candidate > x) {
				x, ok = candidate, true
			}
		}
	}
	return x, ok
}

func drawPoints(t *rapid.T, n int) []observation {
	at := int64(time.Hour)
	var points []observation
	for range rapid.IntRange(1, n).Draw(t, "points") {
		at += int64(rapid.IntRange(-40, 120).Draw(t, "distance")) * int64(time.Second)
		v := float64(rapid.IntRange(-24, 24).Draw(t, "value")) / 2
		switch rapid.IntRange(0, 40).Draw(t, "odd") {
		case 0:
			v = math.Inf(1)
		case 1:
			v = math.Inf(-1)
		case 2:
			v = math.NaN()
		}
		points = append(points, observation{v: v, at: at, broken: rapid.IntRange(0, 9).Draw(t, "broken") == 0})
	}
	return points
}

// The level of every tier is the strictest threshold with which a machine that has that tier alone still fires.
func TestLevelIsTheStrictestThatFires(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tier := drawTiers(t)[0].Threshold
		switch tier.Op { // most values breach it, so that runs are long
		case rule.Above, rule.AtLeast:
			tier.High = -8
		case rule.Below, rule.AtMost:
			tier.Low = 8
		default:
			tier.Low, tier.High = -2, 2
		}
		e := episode{t: tier}
		l := newLevel()
		for _, p := range drawPoints(t, 40) {
			e.points = append(e.points, p)
			l.take(&tier, p.v, p.at, p.broken)
			want, ok := e.highest()
			require.Equal(t, ok, l.reached, "after %+v", p)
			if ok {
				require.Equal(t, want, excess(&tier, l.best), "after %+v", p)
			}
			require.False(t, l.reached && l.bound(&tier))
		}
	})
}

// In a rule of several tiers every level is what the tier's own would be, and at least its threshold once it was active.
func TestLevelsOfAnEpisode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tiers := drawTiers(t)
		keep := time.Duration(rapid.IntRange(0, 3).Draw(t, "keep_firing_for")) * time.Minute
		r := &ruleState{rule: &rule.Rule{Tiers: tiers, KeepFiringFor: keep}}
		l := &live{machine: newMachine(), rule: r}
		own := make([]level, len(tiers))
		for i := range own {
			own[i] = newLevel()
		}
		wasActive := [maxTiers]bool{}
		for _, p := range drawPoints(t, 60) {
			l.take(p.v, p.at, p.broken)
			said := l.levels.said(tiers)
			for i := range tiers {
				th := &tiers[i].Threshold
				own[i].take(th, p.v, p.at, p.broken)
				wasActive[i] = wasActive[i] || l.isActive(i)
				got, ok := said[tiers[i].Severity]
				require.Equal(t, wasActive[i], ok, "tier %d after %+v", i, p)
				if !ok {
					continue
				}
				require.GreaterOrEqual(t, excess(th, got.Value), excess(th, th.Bound(got.Value)))
				if own[i].reached {
					require.Equal(t, max(excess(th, own[i].best), excess(th, th.Bound(got.Value))), excess(th, got.Value))
				} else {
					require.Equal(t, excess(th, th.Bound(got.Value)), excess(th, got.Value), "it only fell to this tier")
				}
			}
		}
	})
}

// A staircase that is too long gives a level that is never more extreme than the true one, and says so unless nothing
// of what was forgotten counts any more.
func TestLongWindowsGiveABound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tier := rule.Threshold{Op: rule.Above, High: 0, ClearHigh: 0, ClearLow: math.Inf(-1), Low: math.Inf(-1),
			For: time.Duration(rapid.IntRange(500, 1500).Draw(t, "for")) * time.Second}
		below := rule.Threshold{Op: rule.Below, Low: 0, High: math.Inf(1), For: tier.For}
		slope := rapid.Float64Range(0.1, 3).Draw(t, "slope")
		noise := rapid.SampledFrom([]int{0, 1, 100}).Draw(t, "noise")
		seed := rapid.Uint64().Draw(t, "seed")
		next := func() float64 { // splitmix64
			seed += 0x9e3779b97f4a7c15
			z := seed
			z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
			z = (z ^ z>>27) * 0x94d049bb133111eb
			return float64((z^z>>31)>>11) / (1 << 53)
		}
		var points []observation
		got, mirrored := newLevel(), newLevel()
		for i := range rapid.IntRange(1, 4000).Draw(t, "points") {
			p := observation{v: 1000 + slope*float64(i) + float64(noise)*next(), at: int64(i+1) * int64(time.Second)}
			points = append(points, p)
			got.take(&tier, p.v, p.at, false)
			mirrored.take(&below, -p.v, p.at, false)
			require.LessOrEqual(t, len(got.run.ring), maxSteps)
		}
		want, ok := slidingLevel(&tier, points)
		require.Equal(t, ok, got.reached)
		if !ok {
			return
		}
		require.LessOrEqual(t, got.best, want)
		require.Equal(t, got.best, -mirrored.best)
		if got.best != want {
			require.True(t, got.bound(&tier), "%v is not %v and does not say so", got.best, want)
		}
		if int(tier.For/time.Second) < maxSteps {
			require.Equal(t, want, got.best)
			require.False(t, got.bound(&tier), "exact as long as the window has few points")
		}
	})
}

// slidingLevel looks through every window of points at a distance of a second.
func slidingLevel(t *rule.Threshold, points []observation) (best float64, ok bool) {
	n := int(t.For / time.Second)
	for last := n; last < len(points); last++ {
		least := math.Inf(1)
		for _, p := range points[last-n : last+1] {
			least = min(least, p.v)
		}
		if !ok || least > best {
			best, ok = least, true
		}
	}
	return best, ok
}

// A clock that is set back makes a run younger, never older.
func TestLevelWhenTheClockIsSetBack(t *testing.T) {
	tier := above(alert.High, 0, 0, time.Minute).Threshold
	for _, values := range [][3]float64{{5, 10, 10}, {10, 5, 5}, {5, 5, 5}, {10, 5, 10}} {
		for _, end := range []int64{149, 150, 159, 160} {
			e, l := episode{t: tier}, newLevel()
			for i, at := range []int64{100, 90, end} {
				p := observation{v: values[i], at: at * int64(time.Second)}
				e.points = append(e.points, p)
				l.take(&tier, p.v, p.at, false)
			}
			want, ok := e.highest()
			require.Equal(t, ok, l.reached, "%v until %d", values, end)
			require.Equal(t, end >= 150, ok)
			if ok {
				require.Equal(t, want, l.best)
			}
		}
	}
}

func TestLevelOfABandIsABoundOfIt(t *testing.T) {
	tier := rule.Threshold{Op: rule.Outside, Low: 20, High: 60}
	l := newLevel()
	l.take(&tier, 70, 1, false) // 1/4 of the width beyond
	assert.Equal(t, 70.0, l.best)
	l.take(&tier, 16, 2, false) // 1/10
	assert.Equal(t, 70.0, l.best)
	l.take(&tier, 0, 3, false) // 1/2
	assert.Equal(t, 0.0, l.best)
}

func TestNoLevelWhereTheExpressionDecides(t *testing.T) {
	r := ruleOf("R", rule.Tier{Severity: alert.High, Threshold: rule.Threshold{Op: rule.Always}})
	l := &live{machine: newMachine(), rule: &ruleState{rule: r}}
	l.take(3, 1, false)
	assert.True(t, l.firing)
	assert.Empty(t, l.levels.said(r.Tiers))
}

func TestLevelsOverAReload(t *testing.T) {
	from := []rule.Tier{above(alert.Critical, 90, 90, 0), above(alert.High, 50, 50, 2*time.Minute), above(alert.Low, 10, 10, 2*time.Minute)}
	to := []rule.Tier{above(alert.Critical, 95, 95, 0), above(alert.High, 50, 50, time.Minute), above(alert.Medium, 30, 30, 0), above(alert.Low, 10, 10, 3*time.Minute)}
	l := &live{machine: newMachine(), rule: &ruleState{rule: &rule.Rule{Tiers: from}}}
	for i := range 4 {
		l.take(93, int64(i+1)*int64(time.Minute), false)
	}
	want := map[alert.Severity]alert.FiringLevel{alert.Critical: {Value: 93}, alert.High: {Value: 93}, alert.Low: {Value: 93}}
	require.Equal(t, want, l.levels.said(from))
	next := l.levels.carry(from, to)
	assert.Equal(t, map[alert.Severity]alert.FiringLevel{
		alert.Critical: {Value: 93}, // only the threshold changed
		alert.High:     {Value: 93, Bound: true},
	}, next.said(to), "low has a longer for, medium was not there")

	l.machine, l.levels = l.carry(from, to), next
	l.rule = &ruleState{rule: &rule.Rule{Tiers: to}}
	l.take(97, int64(5*time.Minute), false)
	assert.Equal(t, map[alert.Severity]alert.FiringLevel{
		alert.Critical: {Value: 97}, alert.High: {Value: 93, Bound: true}, alert.Medium: {Value: 97, Bound: true},
	}, l.levels.said(to))
}

func TestLevelsAreStored(t *testing.T) {
	tiers := []rule.Tier{above(alert.Critical, 90, 90, 10*time.Minute), above(alert.High, 50, 50, 0)}
	rapid.Check(t, func(t *rapid.T) {
		whole := &live{machine: newMachine(), rule: &ruleState{rule: &rule.Rule{Tiers: tiers}}}
		points := drawPoints(t, 60)
		for i := range points {
			points[i].v += 90
		}
		cut := rapid.IntRange(0, len(points)-1).Draw(t, "cut")
		for _, p := range points[:cut] {
			whole.take(p.v, p.at, p.broken)
		}
		restored := &live{machine: whole.machine, rule: whole.rule}
		restored.levels = restoreLevels(tiers, whole.levels.stored(tiers), 0)
		for severity, l := range whole.levels.said(tiers) {
			l.Bound = !math.IsInf(l.Value, 1) // nothing is more extreme than that
			require.Equal(t, l, restored.levels.said(tiers)[severity])
		}
		for _, p := range points[cut:] {
			whole.take(p.v, p.at, p.broken)
			restored.take(p.v, p.at, p.broken)
			for severity, want := range whole.levels.said(tiers) {
				got, ok := restored.levels.said(tiers)[severity]
				require.True(t, ok)
				require.True(t, got.Bound || math.IsInf(got.Value, 1))
				require.LessOrEqual(t, got.Value, want.Value)
			}
		}
	})
}

func TestDamagedLevelsAreLeftOut(t *testing.T) {
	tiers := []rule.Tier{above(alert.High, 50, 50, time.Minute)}
	nan := math.Float64bits(math.NaN())
	ls := restoreLevels(tiers, map[alert.Severity]storedLevel{alert.High: {
		Best: &nan, Run: []stepBits{{Since: 5, Value: math.Float64bits(60)}, {Since: 4, Value: math.Float64bits(70)}},
	}}, 0)
	assert.False(t, ls[0].reached)
	assert.Zero(t, ls[0].run.n)
	assert.Nil(t, restoreLevels(tiers, nil, 0).said(tiers))
}

// The level follows an alert through its life, as receivers see it.
func TestFiringLevelGoesOut(t *testing.T) {
	b := newBench(t, testOptions(), ruleOf("R", above(alert.Critical, 90, 90, 30*time.Second), above(alert.High, 50, 50, 15*time.Second))).known()
	next := func(v float64) alert.Alert {
		b.judge(gauge(testPoint{"a", v, b.now}))
		said := b.out[len(b.out)-1].Alert
		b.advanceTo(b.now.Add(15 * time.Second))
		return said
	}
	said := next(60)
	assert.Equal(t, alert.Pending, said.State)
	assert.Nil(t, said.FiringLevel)
	assert.Empty(t, said.FiringLevels)

	said = next(70)
	assert.Equal(t, alert.Firing, said.State)
	assert.Equal(t, 60.0, *said.FiringLevel)
	assert.False(t, said.FiringLevelBound)

	next(95)
	next(97)
	said = next(99)
	levels := map[alert.Severity]alert.FiringLevel{alert.Critical: {Value: 95}, alert.High: {Value: 97}}
	assert.Equal(t, alert.Critical, said.Severity)
	assert.Equal(t, 95.0, *said.FiringLevel)
	assert.Equal(t, levels, said.FiringLevels)

	said = next(80)
	assert.Equal(t, alert.High, said.Severity)
	assert.Equal(t, 97.0, *said.FiringLevel)
	end := next(10)
	assert.Equal(t, alert.Inactive, end.State)
	assert.Equal(t, alert.High, end.Severity)
	assert.Equal(t, 95.0, *end.FiringLevel, "that of the highest tier reached")
	assert.Equal(t, levels, end.FiringLevels)

	b.out = nil
	b.advanceTo(b.now.Add(2 * time.Minute))
	require.NotEmpty(t, b.out)
	assert.Equal(t, levels, b.out[0].FiringLevels, "the end repeats them")

	b.out = nil
	b.feed(51, 52, 20)
	assert.Equal(t, map[alert.Severity]alert.FiringLevel{alert.High: {Value: 51}}, b.out[len(b.out)-1].FiringLevels, "a new episode")
}

// The level of an alert is that of its episode: of all its series, and of those that recovered before the others.
func TestFiringLevelOfCollidingStreams(t *testing.T) {
	b := newBench(t, testOptions(), ruleOf("R", above(alert.High, 10, 10, 0))).known()
	two := func(x, y float64) {
		md := gauge(testPoint{"a", x, b.now})
		gauge(testPoint{"a", y, b.now}).ResourceMetrics().At(0).CopyTo(md.ResourceMetrics().AppendEmpty())
		md.ResourceMetrics().At(1).Resource().Attributes().PutStr("host.name", "other")
		b.judge(md)
		b.now = b.now.Add(15 * time.Second)
	}
	two(11, 30)
	two(11, 1)
	two(12, 1)
	two(1, 1)
	end := b.out[len(b.out)-1]
	assert.Equal(t, alert.Inactive, end.State)
	assert.Equal(t, 30.0, *end.FiringLevel)
	two(11, 1)
	two(1, 1)
	assert.Equal(t, 11.0, *b.out[len(b.out)-1].FiringLevel, "a new episode")
}

// Missing data have no level; those of the tiers that the data had reached stay known.
func TestMissingDataHaveNoLevel(t *testing.T) {
	r := ruleOf("R", above(alert.High, 10, 10, 0))
	r.NoData = rule.NoData{Action: rule.NoDataRaise, After: 5 * time.Minute, Tier: alert.High, HoldFor: time.Hour}
	b := newBench(t, testOptions(), r).known()
	b.feed(1)
	b.advanceTo(b.now.Add(10 * time.Minute))
	said := b.out[len(b.out)-1]
	assert.Equal(t, alert.ReasonNoData, said.Reason)
	assert.Nil(t, said.FiringLevel)
	assert.Empty(t, said.FiringLevels)
	b.feed(20)
	b.advanceTo(b.now.Add(10 * time.Minute))
	said = b.out[len(b.out)-1]
	assert.Equal(t, alert.ReasonNoData, said.Reason)
	assert.Nil(t, said.FiringLevel)
	assert.Equal(t, map[alert.Severity]alert.FiringLevel{alert.High: {Value: 20}}, said.FiringLevels)
}

func TestRestartKeepsLevels(t *testing.T) {
	rules := []*rule.Rule{ruleOf("R", above(alert.Critical, 15, 15, time.Minute), above(alert.High, 10, 10, 0))}
	b := newBench(t, testOptions(), rules...).known()
	b.feed(20, math.Inf(1), 18)
	firing, quiet := snapshot(b)
	again := &bench{Evaluator: New(setOf(rules...), testOptions(), b.now), t: t, now: b.now}
	require.NoError(t, again.Restore(firing, quiet, true, b.now, again.now))
	again.feed(18, 18, 1)
	end := again.out[len(again.out)-1]
	assert.Equal(t, map[alert.Severity]alert.FiringLevel{
		alert.Critical: {Value: 18, Bound: true}, alert.High: {Value: math.Inf(1)},
	}, end.FiringLevels)
	assert.Equal(t, 18.0, *end.FiringLevel)
	assert.True(t, end.FiringLevelBound)

	firing, quiet = snapshot(again) // JSON knows no infinity
	third := &bench{Evaluator: New(setOf(rules...), testOptions(), again.now), t: t, now: again.now}
	require.NoError(t, third.Restore(firing, quiet, true, again.now, third.now))
	third.advanceTo(third.now.Add(time.Minute))
	require.NotEmpty(t, third.out)
	assert.Equal(t, map[alert.Severity]alert.FiringLevel{alert.Critical: {Value: 18, Bound: true}}, third.out[0].FiringLevels)
}

// TestBytesPerActiveLevel measures what levels add to an active series.
func TestBytesPerActiveLevel(t *testing.T) {
	const n = 20000
	for _, c := range []struct {
		name   string
		rise   float64
		points int
		most   float64
	}{{"steady", 0, 40, 96}, {"worse with every point for 10m", 1, 40, 1200}} {
		r := &ruleState{rule: ruleOf("R", above(alert.High, 10, 10, 10*time.Minute))}
		lives := make([]*live, n)
		for i := range lives {
			lives[i] = &live{machine: newMachine(), rule: r}
		}
		before := heap()
		for k := range c.points {
			for _, l := range lives {
				l.take(20+c.rise*float64(k), int64(k+1)*int64(15*time.Second), false)
			}
		}
		per := float64(heap()-before) / n
		t.Logf("%s: %.0f bytes", c.name, per)
		assert.Less(t, per, c.most, c.name)
		runtime.KeepAlive(lives)
	}
}

func BenchmarkLevel(b *testing.B) {
	tier := rule.Threshold{Op: rule.Above, High: 0, For: 5 * time.Minute}
	for _, rise := range []float64{-1e-9, 0, 1e-9} {
		b.Run(fmt.Sprint("rise ", rise), func(b *testing.B) {
			l := newLevel()
			b.ReportAllocs()
			for i := range b.N {
				l.take(&tier, 10+rise*float64(i), int64(i+1)*int64(time.Second), false)
			}
		})
	}
}
