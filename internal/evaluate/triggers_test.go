package evaluate

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// triggered is a rule that is critical above 10, asks for a rollback above 20 for a minute, and for a person above 30.
func triggered(name string, change ...func(*rule.Rule)) *rule.Rule {
	r := ruleOf(name, above(alert.Critical, 10, 10, 0))
	rollback, person := above(0, 20, 15, time.Minute).Threshold, above(0, 30, 30, 0).Threshold
	r.Rollback, r.ManualIntervention = &rollback, &person
	for _, c := range change {
		c(r)
	}
	return r
}

// asked is what has been said of state and actions, without repetitions.
func (b *bench) asked() (story []string) {
	for _, e := range b.out {
		line := fmt.Sprint(e.State, " ", e.Actions)
		if !e.Stale && (len(story) == 0 || story[len(story)-1] != line) {
			story = append(story, line)
		}
	}
	b.out = nil
	return story
}

func TestTriggersAreSaidWhileTheAlertFires(t *testing.T) {
	b := newBench(t, testOptions(), triggered("R")).known()
	b.feed(11, 21, 21, 21, 21)
	require.Equal(t, []string{"firing []"}, b.asked(), "the rollback's `for` runs")
	b.feed(21)
	require.Equal(t, []string{"firing [rollback]"}, b.asked())
	b.feed(31)
	require.Equal(t, []string{"firing [rollback manual_intervention]"}, b.asked())
	b.feed(25)
	require.Equal(t, []string{"firing [rollback]"}, b.asked())
	b.feed(16)
	require.Empty(t, b.asked(), "above its `clear`")
	b.feed(15)
	require.Equal(t, []string{"firing []"}, b.asked())
	b.feed(31, 9)
	require.Equal(t, []string{"firing [manual_intervention]", "inactive []"}, b.asked())
}

func TestTriggersRunWhileTheAlertIsPending(t *testing.T) {
	b := newBench(t, testOptions(), triggered("R", func(r *rule.Rule) { r.Tiers[0].For = 2 * time.Minute })).known()
	b.feed(31, 31, 31, 31, 31, 31, 31, 31)
	require.Equal(t, []string{"pending []"}, b.asked(), "nothing is asked for before the alert fires")
	b.feed(31)
	require.Equal(t, []string{"firing [rollback manual_intervention]"}, b.asked())
}

func TestNothingIsAskedForWithoutData(t *testing.T) {
	b := newBench(t, testOptions(), triggered("R", func(r *rule.Rule) {
		r.NoData = rule.NoData{Action: rule.NoDataRaise, After: 5 * time.Minute, Tier: alert.Critical, HoldFor: time.Hour}
	})).known()
	b.feed(31)
	require.Equal(t, []string{"firing [manual_intervention]"}, b.asked())
	b.advanceTo(b.now.Add(6 * time.Minute))
	require.Equal(t, []string{"firing [manual_intervention]", "firing []"}, b.asked())
	b.feed(31)
	require.Equal(t, []string{"firing [manual_intervention]"}, b.asked())
}

func TestKeptAlertsAskForNothing(t *testing.T) {
	b := newBench(t, testOptions(), triggered("R", func(r *rule.Rule) { r.KeepFiringFor = time.Hour })).known()
	b.feed(31, 5)
	require.Equal(t, []string{"firing [manual_intervention]", "firing []"}, b.asked())
}

// Two streams that are one alert: the rollback is asked for as long as either asks.
func TestTriggersOfSeveralStreamsAddUp(t *testing.T) {
	b := newBench(t, testOptions(), triggered("R")).known()
	feed := func(first, second float64) {
		for i, v := range []float64{first, second} {
			md := gauge(testPoint{"a", v, b.now})
			md.ResourceMetrics().At(0).Resource().Attributes().PutStr("not.a.label", fmt.Sprint(i))
			b.judge(md)
		}
		b.advanceTo(b.now.Add(15 * time.Second))
	}
	feed(11, 31)
	require.Equal(t, []string{"firing []", "firing [manual_intervention]"}, b.asked())
	feed(31, 11)
	require.Empty(t, b.asked())
	feed(11, 11)
	require.Equal(t, []string{"firing []"}, b.asked())
}

func TestTriggersOutliveARestartAndAReload(t *testing.T) {
	b := newBench(t, testOptions(), triggered("R")).known()
	b.feed(31, 31, 31)
	require.Equal(t, []string{"firing [manual_intervention]"}, b.asked())
	firing, quiet := snapshot(b)

	down := 10 * time.Minute
	again := &bench{Evaluator: New(setOf(triggered("R")), testOptions(), b.now.Add(down)), t: t, now: b.now.Add(down)}
	require.NoError(t, again.Restore(firing, quiet, true, b.now, again.now))
	again.advanceTo(again.now.Add(time.Second))
	require.Equal(t, []string{"firing [manual_intervention]"}, again.asked(), "said again")
	again.feed(31)
	require.Empty(t, again.asked(), "downtime does not count towards the rollback's `for`")
	again.feed(31)
	require.Equal(t, []string{"firing [rollback manual_intervention]"}, again.asked())

	again.Reload(setOf(triggered("R", func(r *rule.Rule) { r.ManualIntervention = nil })), again.now)
	again.feed(31)
	require.Equal(t, []string{"firing [rollback]"}, again.asked(), "the rollback goes on, the other is gone")
}

func TestTriggersOfAnExpression(t *testing.T) {
	b := newExprBench(t, exprOptions(), rulesFile("{alert: R, expr: kv_ratio, tiers: {critical: {above: 10}}, rollback: {above: 20}}"))
	b.steps(2, at("a", 25))
	require.Equal(t, []string{"firing [rollback]"}, b.asked())
	b.step(at("a", 11))
	require.Equal(t, []string{"firing []"}, b.asked())
}

// A trigger's condition runs as a tier's does that stands alone.
func TestTriggerAgreesWithHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tier := drawTiers(t)[:1]
		slow := &slowMachine{tiers: tier}
		r := &rule.Rule{Tiers: []rule.Tier{{Severity: alert.Low, Threshold: rule.Threshold{Op: rule.Outside, Low: math.Inf(1), High: math.Inf(-1)}}}}
		r.Rollback = &tier[0].Threshold
		l := &live{machine: newMachine(), rule: &ruleState{rule: r}}
		at := int64(time.Hour)
		for range rapid.IntRange(1, 60).Draw(t, "points") {
			at += int64(rapid.IntRange(1, 120).Draw(t, "distance")) * int64(time.Second)
			o := observation{
				v: float64(rapid.IntRange(-12, 12).Draw(t, "value")), at: at, broken: rapid.IntRange(0, 9).Draw(t, "broken") == 0,
			}
			slow.step(o)
			l.take(o.v, o.at, o.broken)
			l.triggers = restoreTriggers(r, l.triggers.stored(), 0)
			require.Equal(t, slow.active[0], l.actions()&1 != 0, "after %+v", o)
		}
	})
}
