package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Writer appends alert.state points to a batch, all in one ResourceMetrics with an empty resource and our scope.
// The zero value is not usable: see NewWriter.
type Writer struct {
	md     pmetric.Metrics
	name   string
	points pmetric.NumberDataPointSlice
	opened bool
}

// NewWriter returns a Writer of MetricState into md. Nothing is added to md before the first point.
func NewWriter(md pmetric.Metrics) *Writer { return &Writer{md: md, name: MetricState} }

// NewExploreWriter returns a Writer of MetricExplore: the silent track, in the same form.
func NewExploreWriter(md pmetric.Metrics) *Writer { return &Writer{md: md, name: MetricExplore} }

var descriptions = map[string]string{
	MetricState:   "State of an alert: 0 inactive, 1 pending, 2 firing.",
	MetricExplore: "State of an alert on the silent track, which is recorded and never sent: 0 inactive, 2 firing.",
}

func (w *Writer) next() pmetric.NumberDataPoint {
	if !w.opened {
		scope := w.md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty()
		scope.Scope().SetName(Scope)
		metric := scope.Metrics().AppendEmpty()
		metric.SetName(w.name)
		metric.SetUnit(UnitState)
		metric.SetDescription(descriptions[w.name])
		w.points = metric.SetEmptyGauge().DataPoints()
		w.opened = true
	}
	return w.points.AppendEmpty()
}

// Append writes one judgement with its exemplar.
func (w *Writer) Append(a *Alert) {
	point := w.next()
	putIdentity(point, a)
	point.SetIntValue(int64(a.State))
	point.SetTimestamp(timestamp(a.Time))
	point.SetStartTimestamp(timestamp(a.Start))

	ex := point.Exemplars().AppendEmpty()
	ex.SetTimestamp(timestamp(a.ObservedAt))
	if a.Value != nil {
		ex.SetDoubleValue(*a.Value)
	}
	attrs := ex.FilteredAttributes()
	putDouble(attrs, AttrThreshold, a.Threshold)
	putLevels(attrs, a)
	if a.ValidFor > 0 {
		attrs.PutDouble(AttrValidFor, a.ValidFor.Seconds())
	}
	if len(a.Actions) > 0 {
		actions := attrs.PutEmptySlice(AttrAction)
		for _, action := range a.Actions {
			actions.AppendEmpty().SetStr(string(action))
		}
	}
	putString(attrs, AttrReason, string(a.Reason))
	putString(attrs, AttrSourceMetric, a.SourceMetric)
	putString(attrs, AttrSourceUnit, a.SourceUnit)
	putString(attrs, AttrResponse, a.Response)
	for name, text := range a.Annotations {
		attrs.PutStr(AttrAnnotationPrefix+name, text)
	}
}

// AppendStale ends the series under which a was known before its severity or owner changed: one point with
// "no recorded value", a stale marker in Prometheus. Receivers of alert state ignore it.
func (w *Writer) AppendStale(a *Alert) {
	point := w.next()
	putIdentity(point, a)
	point.SetTimestamp(timestamp(a.Time))
	point.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
}

func putIdentity(point pmetric.NumberDataPoint, a *Alert) {
	attrs := point.Attributes()
	attrs.EnsureCapacity(len(a.Labels) + 5)
	attrs.PutStr(AttrID, a.ID)
	attrs.PutStr(AttrGroup, a.Group)
	attrs.PutStr(AttrRule, a.Rule)
	attrs.PutStr(AttrSeverity, a.Severity.String())
	attrs.PutStr(AttrOwner, a.Owner)
	for name, value := range a.Labels {
		if !isIdentity(name) {
			attrs.PutStr(name, value)
		}
	}
}

func isIdentity(name string) bool {
	switch name {
	case AttrID, AttrGroup, AttrRule, AttrSeverity, AttrOwner:
		return true
	}
	return false
}

// Problem is why a point of alert.state could not be read.
type Problem string

// The problems, as the `reason` attribute of the reader's counter.
const (
	ProblemNoID       Problem = "no_id"
	ProblemNoRule     Problem = "no_rule"
	ProblemSeverity   Problem = "unknown_severity"
	ProblemState      Problem = "unknown_state"
	ProblemNoTime     Problem = "no_time"
	ProblemNotAGauge  Problem = "not_a_gauge"
	ProblemOutOfRange Problem = "out_of_range"
)

// Read calls take for every judgement in md, in the order in which they stand, and reject for every point of
// alert.state that is none. Points with "no recorded value" are passed over: they end a series, not an alert.
// Other metrics are not looked at.
func Read(md pmetric.Metrics, take func(Alert), reject func(Problem)) {
	read(md, MetricState, take, reject)
}

// ReadExplored is Read for the silent track: alert.explore.
func ReadExplored(md pmetric.Metrics, take func(Alert), reject func(Problem)) {
	read(md, MetricExplore, take, reject)
}

func read(md pmetric.Metrics, name string, take func(Alert), reject func(Problem)) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, metric := range sm.Metrics().All() {
				if metric.Name() != name {
					continue
				}
				if metric.Type() != pmetric.MetricTypeGauge {
					reject(ProblemNotAGauge)
					continue
				}
				for _, point := range metric.Gauge().DataPoints().All() {
					if point.Flags().NoRecordedValue() {
						continue
					}
					a, problem := Decode(point)
					if problem != "" {
						reject(problem)
						continue
					}
					take(a)
				}
			}
		}
	}
}

// Decode reads one point of alert.state. Without an exemplar the reason is ReasonThreshold (ReasonRecovered for an
// inactive alert), ValidFor is DefaultValidFor and there is no action.
func Decode(point pmetric.NumberDataPoint) (Alert, Problem) {
	a := Alert{
		Labels:   map[string]string{},
		Start:    point.StartTimestamp().AsTime(),
		Time:     point.Timestamp().AsTime(),
		ValidFor: DefaultValidFor,
	}
	if point.StartTimestamp() == 0 {
		a.Start = time.Time{}
	}
	if point.Timestamp() == 0 {
		return a, ProblemNoTime
	}
	if uint64(point.Timestamp()) > math.MaxInt64 || uint64(point.StartTimestamp()) > math.MaxInt64 {
		return a, ProblemOutOfRange
	}
	switch point.ValueType() {
	case pmetric.NumberDataPointValueTypeInt:
		a.State = State(point.IntValue())
	case pmetric.NumberDataPointValueTypeDouble: // some backends give every gauge back as a double
		a.State = State(point.DoubleValue())
		if float64(a.State) != point.DoubleValue() {
			return a, ProblemState
		}
	default:
		return a, ProblemState
	}
	if a.State < Inactive || a.State > Firing {
		return a, ProblemState
	}
	var severity string
	for name, value := range point.Attributes().All() {
		switch name {
		case AttrID:
			a.ID = bounded(value.AsString())
		case AttrGroup:
			a.Group = bounded(value.AsString())
		case AttrRule:
			a.Rule = bounded(value.AsString())
		case AttrSeverity:
			severity = value.AsString()
		case AttrOwner:
			a.Owner = bounded(value.AsString())
		default:
			a.Labels[name] = value.AsString()
		}
	}
	if a.ID == "" {
		return a, ProblemNoID
	}
	if a.Rule == "" {
		return a, ProblemNoRule
	}
	parsed, err := ParseSeverity(severity)
	if err != nil {
		return a, ProblemSeverity
	}
	a.Severity = parsed
	a.Reason = ReasonThreshold
	if a.State == Inactive {
		a.Reason = ReasonRecovered
	}
	if point.Exemplars().Len() > 0 {
		decodeExemplar(point.Exemplars().At(0), &a)
	}
	return a, ""
}

// longestName is how long a name may be by which alerts are looked up: databases limit what can stand in an index.
const longestName = 512

// bounded cuts a name that is too long, and makes it unique by a hash of all of it.
func bounded(name string) string {
	if len(name) <= longestName {
		return name
	}
	hash := sha256.Sum256([]byte(name))
	tail := "…" + hex.EncodeToString(hash[:16])
	return strings.ToValidUTF8(name[:longestName-len(tail)], "") + tail
}

func decodeExemplar(ex pmetric.Exemplar, a *Alert) {
	switch ex.ValueType() {
	case pmetric.ExemplarValueTypeDouble:
		v := ex.DoubleValue()
		a.Value = &v
	case pmetric.ExemplarValueTypeInt:
		v := float64(ex.IntValue())
		a.Value = &v
	}
	if ex.Timestamp() != 0 {
		a.ObservedAt = ex.Timestamp().AsTime()
	}
	bounds := pcommon.NewValueEmpty()
	for name, value := range ex.FilteredAttributes().All() {
		switch name {
		case AttrThreshold:
			a.Threshold = number(value)
		case AttrFiringLevel:
			a.FiringLevel = number(value)
		case AttrFiringLevelBound:
			a.FiringLevelBound = value.Type() == pcommon.ValueTypeBool && value.Bool()
		case AttrFiringLevelBounds:
			bounds = value
		case AttrValidFor:
			if v := number(value); v != nil && *v > 0 && *v < maxValidFor.Seconds() {
				a.ValidFor = time.Duration(*v * float64(time.Second))
			}
		case AttrAction:
			if value.Type() == pcommon.ValueTypeSlice {
				for _, action := range value.Slice().All() {
					// What this version does not know nobody here could carry out.
					if known := Action(action.AsString()); slices.Contains(Actions[:], known) && !slices.Contains(a.Actions, known) {
						a.Actions = append(a.Actions, known)
					}
				}
			}
		case AttrReason:
			a.Reason = Reason(value.AsString())
		case AttrSourceMetric:
			a.SourceMetric = bounded(value.AsString())
		case AttrSourceUnit:
			a.SourceUnit = value.AsString()
		case AttrResponse:
			a.Response = value.AsString()
		default:
			if annotation, ok := strings.CutPrefix(name, AttrAnnotationPrefix); ok {
				if a.Annotations == nil {
					a.Annotations = map[string]string{}
				}
				a.Annotations[annotation] = value.AsString()
			} else if tier, ok := strings.CutPrefix(name, AttrFiringLevelPrefix); ok {
				decodeLevel(a, tier, value)
			}
		}
	}
	decodeBounds(a, bounds)
}

// maxValidFor bounds what a sender may ask for: a state that nobody repeats for a day is lost.
const maxValidFor = 24 * time.Hour

func number(v pcommon.Value) *float64 {
	var f float64
	switch v.Type() {
	case pcommon.ValueTypeDouble:
		f = v.Double()
	case pcommon.ValueTypeInt:
		f = float64(v.Int())
	default:
		return nil
	}
	if math.IsNaN(f) {
		return nil
	}
	return &f
}

func putDouble(m pcommon.Map, name string, v *float64) {
	if v != nil {
		m.PutDouble(name, *v)
	}
}

func putString(m pcommon.Map, name, v string) {
	if v != "" {
		m.PutStr(name, v)
	}
}

func timestamp(t time.Time) pcommon.Timestamp {
	if t.IsZero() {
		return 0
	}
	return pcommon.NewTimestampFromTime(t)
}
