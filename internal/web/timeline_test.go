package web

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func clock(minutes float64) time.Time {
	return noon.Add(time.Duration(minutes * float64(time.Minute)))
}

// risen is an alert that fired high, rose, was acknowledged, ended, and was judged the next day.
func risen() *Alert {
	a := &Alert{
		Rule: "Full", Severity: alert.Critical, HighestSeverity: alert.Critical, SourceMetric: "kv", SourceUnit: "By", State: StateEnded,
		StartsAt: clock(-5), OpenedAt: clock(0), EndedAt: clock(30),
		Levels: map[alert.Severity]Level{alert.High: {Threshold: f(0.9)}, alert.Critical: {Threshold: f(0.98)}, alert.Medium: {FiringLevel: f(0.95)}},
	}
	for i := range 31 {
		a.Values = append(a.Values, Observed{clock(float64(i)), 0.9 + 0.09*math.Sin(float64(i)/10)})
	}
	for i, e := range []struct {
		at   float64
		name string
		tier alert.Severity
	}{
		{0, alert.EventFired, alert.High}, {0.1, alert.EventPaged, alert.High}, {10, alert.EventSeverity, alert.Critical}, {12, alert.EventAcknowledged, alert.Critical},
		{30, alert.EventResolved, alert.Critical}, {24 * 60, alert.EventVerdict, alert.Critical}, {25 * 60, alert.EventVerdict, alert.Critical},
	} {
		a.Events = append(a.Events, Event{Seq: int64(i), At: clock(e.at), Name: e.name, Text: strings.TrimPrefix(e.name, "alert."), Severity: e.tier})
	}
	return a
}

func story(a *Alert) []told { return alertPage{row: row{Alert: *a}}.Story() }

func TestTimeline(t *testing.T) {
	a := risen()
	c := timeline(a, story(a), clock(26*60), wide)
	from, until := time.Unix(int64(c.X.From), 0).UTC(), time.Unix(int64(c.X.To), 0).UTC()
	assert.Equal(t, clock(-6.4), from, "from the breach on, with some room")
	assert.Equal(t, clock(31.4), until, "to the end: a verdict on the next day does not press the story together")
	var marks []string
	for _, m := range c.Markers {
		marks = append(marks, m.Class+" "+m.Label)
	}
	assert.Equal(t, []string{"breach breach", "event high 1–2", "event critical 3", "event better 4", "event better 5", "event better 6–7"}, marks)
	assert.Equal(t, "1: 2026-11-23 12:00:00 UTC, fired\n2: 2026-11-23 12:00:06 UTC, paged\n", c.Markers[1].Title)
	var phases []string
	for _, s := range c.Spans {
		phases = append(phases, s.Class+": "+s.Title)
	}
	assert.Equal(t, []string{"pending: in breach, not fired yet", "high: high for 10m", "critical: critical for 20m"}, phases)
	var levels []string
	for _, l := range c.Levels {
		levels = append(levels, l.Label)
	}
	assert.Equal(t, []string{"critical 0.98", "high 0.9"}, levels)
	assert.Equal(t, "kv, B", c.Y.Label)
	assert.Len(t, c.Lines[0].Points, 31)
	assert.Equal(t, "31 values from 0.9 to 0.98999\u00a0B; 7 events, listed below", regexp.MustCompile(`0\.9899\d+`).ReplaceAllString(c.Description, "0.98999"))
}

// An open alert goes up to now, unless nothing has been heard of it for long.
func TestTimespan(t *testing.T) {
	a := risen()
	a.EndedAt = time.Time{}
	_, until := timespan(a, clock(60))
	assert.Equal(t, clock(62.6), until)
	_, until = timespan(a, clock(600))
	assert.Equal(t, clock(31.4), until)
	a.StartsAt = clock(-600) // a rule with a `for` of hours
	from, _ := timespan(a, clock(600))
	assert.Equal(t, clock(-1.2), from)
	a.Values, a.ObservedAt = nil, time.Time{}
	_, until = timespan(a, clock(600))
	assert.Equal(t, clock(624), until)
	moment := &Alert{OpenedAt: noon, EndedAt: noon}
	from, until = timespan(moment, noon)
	assert.True(t, from.Before(until))
}

func TestTimelineWithoutValues(t *testing.T) {
	a := &Alert{Rule: "r", Severity: alert.Low, HighestSeverity: alert.Low, OpenedAt: noon, StartsAt: noon, Value: number(f(3)), ObservedAt: clock(2), Peak: number(f(5)), Threshold: number(f(2))}
	c := timeline(a, nil, clock(10), wide)
	require.Len(t, c.Lines[0].Points, 1)
	require.Len(t, c.Levels, 2)
	assert.Equal(t, "peak 5", c.Levels[0].Label)
	assert.Equal(t, "low 2", c.Levels[1].Label)
	assert.Equal(t, "low", c.Spans[0].Class, "its first events are gone")
	assert.Equal(t, "No values are kept; 0 events, listed below", c.Description)
}

// Whatever happened when, the story can be drawn.
func TestAnyTimelineIsWellFormed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		when := rapid.OneOf(rapid.Just(time.Time{}), rapid.Map(rapid.Float64Range(-1e6, 1e6), clock))
		value := rapid.SampledFrom([]float64{0, 1, -1, math.NaN(), math.Inf(1), math.MaxFloat64, 5e-324})
		n := func(name string) *Number { return number(f(value.Draw(rt, name))) }
		a := &Alert{
			Rule: rapid.String().Draw(rt, "rule"), StartsAt: when.Draw(rt, "starts"), OpenedAt: clock(0), EndedAt: when.Draw(rt, "ended"), ObservedAt: when.Draw(rt, "observed"),
			LostAt: when.Draw(rt, "lost"), Value: n("value"), Peak: n("peak"), Threshold: n("threshold"), SourceUnit: rapid.String().Draw(rt, "unit"),
		}
		for range rapid.IntRange(0, 5).Draw(rt, "values") {
			a.Values = append(a.Values, Observed{when.Draw(rt, "at"), value.Draw(rt, "value")})
		}
		for range rapid.IntRange(0, 20).Draw(rt, "events") {
			a.Events = append(a.Events, Event{
				At: when.Draw(rt, "at"), Name: rapid.SampledFrom([]string{alert.EventFired, alert.EventSeverity, alert.EventPaged, alert.EventVerdict}).Draw(rt, "name"),
				Text: rapid.String().Draw(rt, "text"), Severity: rapid.SampledFrom(alert.Severities[:]).Draw(rt, "tier"),
			})
		}
		c := timeline(a, story(a), clock(60), rapid.SampledFrom([]float64{wide, narrow}).Draw(rt, "width"))
		require.Len(rt, drawings(t, c.String()), 1)
	})
}

func TestAlertPageHasItsTimeline(t *testing.T) {
	l := newTown(t)
	ids := l.seed()
	l.traces(ids)
	s := newSite(t, l, nil)
	require.Equal(t, 200, postJSON(t, s, "/api/v1/alerts/"+ids["p1"]+"/verdict", `{"verdict":"expected"}`).Code)
	w := page(t, s, "/alerts/"+ids["p1"])
	all := drawings(t, w.Body.String())
	require.Len(t, all, 2)
	assert.Contains(t, all[0], `aria-label="The value of KVCacheNearlyFull against its thresholds, with what happened"`)
	inOrder(t, words(w.Body.String()), "What happened", "breach", "1 2026-01-01 22:04:05 UTC Fired, high", "2 2026-01-01 22:14:05 UTC inference-oncall was paged", "3 2026-01-01 22:52:05 UTC Recovered", "4 2026-01-02 03:04:05 UTC Judged expected")
	assert.Contains(t, w.Body.String(), `<h1><a href="/rules/KVCacheNearlyFull"`)
	assert.Equal(t, map[alert.Severity]Level{alert.High: {Threshold: f(0.9)}}, getAlert(t, s, ids["p1"]).Levels)
	assert.Len(t, getAlert(t, s, ids["p1"]).Values, 49)
	assert.Empty(t, getList(t, s, "").Alerts[0].Levels, "one alert's, not a list's")
}

func TestRanges(t *testing.T) {
	for want, numbers := range map[string][]int{"": nil, "1": {1}, "1–2": {2, 1}, "1–3, 5, 7–8": {1, 2, 3, 5, 8, 7}} {
		assert.Equal(t, want, ranges(numbers))
	}
}
