package alert

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"pgregory.net/rapid"
)

func drawAlert(t *rapid.T) Alert {
	text := rapid.StringMatching(`[a-zA-Z0-9 _./-]{1,12}`)
	maybe := func(name string) *float64 {
		if !rapid.Bool().Draw(t, name+"?") {
			return nil
		}
		v := rapid.Float64().Draw(t, name)
		return &v
	}
	at := time.Unix(0, rapid.Int64Range(1<<50, 1<<61).Draw(t, "time")).UTC()
	a := Alert{
		ID: text.Draw(t, "id"), Group: text.Draw(t, "group"), Rule: text.Draw(t, "rule"), Owner: text.Draw(t, "owner"),
		Severity:  rapid.SampledFrom(Severities[:]).Draw(t, "severity"),
		Labels:    rapid.MapOf(rapid.StringMatching(`[a-z]{1,8}`), text).Draw(t, "labels"),
		State:     State(rapid.IntRange(0, 2).Draw(t, "state")),
		Start:     at.Add(-time.Minute),
		Time:      at,
		Value:     maybe("value"),
		Threshold: maybe("threshold"), FiringLevel: maybe("level"),
		FiringLevelBound: rapid.Bool().Draw(t, "bound"),
		ObservedAt:       at.Add(-time.Second),
		ValidFor:         time.Duration(rapid.IntRange(1, 3600).Draw(t, "valid")) * time.Second,
		Reason:           rapid.SampledFrom([]Reason{ReasonThreshold, ReasonNoData, ReasonRecovered, ReasonSeriesGone, ReasonRuleRemoved}).Draw(t, "reason"),
		Actions:          rapid.SampledFrom([][]Action{nil, {ActionRollback}, {ActionRollback, ActionManualIntervention}}).Draw(t, "actions"),
		SourceMetric:     text.Draw(t, "metric"), SourceUnit: text.Draw(t, "unit"), Response: text.Draw(t, "response"),
	}
	for _, s := range Severities {
		if v := maybe("level of " + s.String()); v != nil {
			if a.FiringLevels == nil {
				a.FiringLevels = map[Severity]FiringLevel{}
			}
			a.FiringLevels[s] = FiringLevel{Value: *v, Bound: rapid.Bool().Draw(t, "bound")}
		}
	}
	if annotations := rapid.MapOf(text, text).Draw(t, "annotations"); len(annotations) > 0 {
		a.Annotations = annotations
	}
	return a
}

// What is written is what is read, through OTLP's own encoding.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawAlert(t)
		md := pmetric.NewMetrics()
		w := NewWriter(md)
		w.Append(&want)
		w.AppendStale(&want)
		raw, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
		require.NoError(t, err)
		md, err = (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(raw)
		require.NoError(t, err)
		var got []Alert
		Read(md, func(a Alert) { got = append(got, a) }, func(p Problem) { t.Fatalf("rejected: %s", p) })
		require.Len(t, got, 1, "a stale marker is no judgement")
		require.Equal(t, want, got[0])
	})
}

func point() pmetric.NumberDataPoint {
	dp := pmetric.NewNumberDataPoint()
	dp.SetIntValue(2)
	dp.SetTimestamp(1)
	dp.Attributes().PutStr(AttrID, "a")
	dp.Attributes().PutStr(AttrRule, "r")
	dp.Attributes().PutStr(AttrSeverity, "high")
	return dp
}

func TestDecodeWithoutExemplar(t *testing.T) {
	a, problem := Decode(point())
	assert.Empty(t, problem)
	assert.Equal(t, ReasonThreshold, a.Reason)
	assert.Equal(t, DefaultValidFor, a.ValidFor)
	assert.Nil(t, a.Value)
	assert.Empty(t, a.Actions)

	dp := point()
	dp.SetIntValue(0)
	a, _ = Decode(dp)
	assert.Equal(t, ReasonRecovered, a.Reason)
}

func TestDecodeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(pmetric.NumberDataPoint)
		want  Problem
	}{
		"no id":            {func(p pmetric.NumberDataPoint) { p.Attributes().Remove(AttrID) }, ProblemNoID},
		"no rule":          {func(p pmetric.NumberDataPoint) { p.Attributes().Remove(AttrRule) }, ProblemNoRule},
		"unknown severity": {func(p pmetric.NumberDataPoint) { p.Attributes().PutStr(AttrSeverity, "urgent") }, ProblemSeverity},
		"no time":          {func(p pmetric.NumberDataPoint) { p.SetTimestamp(0) }, ProblemNoTime},
		"time overflows":   {func(p pmetric.NumberDataPoint) { p.SetTimestamp(math.MaxUint64) }, ProblemOutOfRange},
		"state 3":          {func(p pmetric.NumberDataPoint) { p.SetIntValue(3) }, ProblemState},
		"state -1":         {func(p pmetric.NumberDataPoint) { p.SetIntValue(-1) }, ProblemState},
		"state 1.5":        {func(p pmetric.NumberDataPoint) { p.SetDoubleValue(1.5) }, ProblemState},
		"state NaN":        {func(p pmetric.NumberDataPoint) { p.SetDoubleValue(math.NaN()) }, ProblemState},
	} {
		dp := point()
		c.spoil(dp)
		_, problem := Decode(dp)
		assert.Equal(t, c.want, problem, name)
	}
	dp := point()
	dp.SetDoubleValue(2)
	a, problem := Decode(dp)
	assert.Empty(t, problem, "a gauge that came back as a double")
	assert.Equal(t, Firing, a.State)
}

// The names are a promise: ledgers and dashboards of other versions read them. What a later version adds is passed over.
func TestFiringLevelsOnTheWire(t *testing.T) {
	md := pmetric.NewMetrics()
	level := 97.5
	a := Alert{ID: "a", Rule: "r", Severity: High, Time: time.Unix(1, 0), FiringLevel: &level, FiringLevelBound: true,
		FiringLevels: map[Severity]FiringLevel{Critical: {Value: 99}, High: {Value: 97.5, Bound: true}}}
	NewWriter(md).Append(&a)
	dp := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0)
	attrs := dp.Exemplars().At(0).FilteredAttributes()
	assert.Equal(t, map[string]any{
		"alert.firing_level":           97.5,
		"alert.firing_level_bound":     true,
		"alert.firing_levels.critical": 99.0,
		"alert.firing_levels.high":     97.5,
		"alert.firing_level_bounds":    []any{"high"},
	}, attrs.AsRaw())

	attrs.PutDouble("alert.firing_levels.catastrophic", 1)
	attrs.PutStr("alert.firing_levels.low", "much")
	bounds, _ := attrs.Get("alert.firing_level_bounds")
	bounds.Slice().AppendEmpty().SetStr("medium")
	bounds.Slice().AppendEmpty().SetStr("catastrophic")
	attrs.PutStr("alert.firing_level_bound", "true")
	got, problem := Decode(dp)
	assert.Empty(t, problem)
	assert.Equal(t, a.FiringLevels, got.FiringLevels)
	assert.False(t, got.FiringLevelBound)
}

func TestReadRejectsWhatIsNoGauge(t *testing.T) {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(MetricState)
	m.SetEmptySum()
	var problems []Problem
	Read(md, func(Alert) { t.Fatal("taken") }, func(p Problem) { problems = append(problems, p) })
	assert.Equal(t, []Problem{ProblemNotAGauge}, problems)
}

func TestIdentity(t *testing.T) {
	series := map[string]string{"job": "vllm", "model_name": "llama"}
	id := Identity("g", "r", series, map[string]string{"team": "x"}, nil)
	assert.Equal(t, id, Identity("g", "r", map[string]string{"model_name": "llama", "job": "vllm"}, map[string]string{"team": "x"}, map[string]string{}))
	assert.Len(t, id, 32)
	for name, other := range map[string]string{
		"group":       Identity("G", "r", series, map[string]string{"team": "x"}, nil),
		"boundaries":  Identity("gr", "", series, map[string]string{"team": "x"}, nil),
		"rule labels": Identity("g", "r", series, map[string]string{"team": "y"}, nil),
		"which map":   Identity("g", "r", series, nil, map[string]string{"team": "x"}),
		"series":      Identity("g", "r", map[string]string{"job": "vllm"}, map[string]string{"team": "x"}, nil),
	} {
		assert.NotEqual(t, id, other, name)
	}
}

// The id is a promise across versions: episodes are found by it after an upgrade.
func TestIdentityIsStable(t *testing.T) {
	assert.Equal(t, "caff146c357af3b18542d453f767cd35", Identity("vllm", "KVCacheNearlyFull", map[string]string{"job": "vllm", "instance": "i-1"}, map[string]string{"service": "chat"}, map[string]string{"cluster": "eu"}))
}

func TestSeverityOrderAndText(t *testing.T) {
	assert.True(t, Critical > High && High > Medium && Medium > Low && Low > NoSeverity)
	for _, s := range Severities {
		text, err := s.MarshalText()
		require.NoError(t, err)
		var back Severity
		require.NoError(t, back.UnmarshalText(text))
		assert.Equal(t, s, back)
	}
	_, err := ParseSeverity("page")
	assert.EqualError(t, err, `must be one of critical, high, medium, low (got "page")`)
	assert.Equal(t, Critical, DefaultSeverityLabels()["page"])
}

func FuzzRead(f *testing.F) {
	md := pmetric.NewMetrics()
	v := 1.0
	NewWriter(md).Append(&Alert{ID: "a", Rule: "r", Severity: High, State: Firing, Time: time.Unix(1, 0), Value: &v, Actions: []Action{ActionRollback},
		FiringLevel: &v, FiringLevelBound: true, FiringLevels: map[Severity]FiringLevel{High: {Value: 1, Bound: true}}})
	raw, _ := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(raw)
		if err != nil {
			return
		}
		Read(md, func(a Alert) {
			if a.ID == "" || a.Rule == "" || a.Severity == NoSeverity || a.State < Inactive || a.State > Firing || a.ValidFor <= 0 {
				t.Fatalf("taken: %+v", a)
			}
		}, func(Problem) {})
	})
}
