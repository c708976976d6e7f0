package translate

import (
	"math"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Kinds of metrics, as Prometheus tells them apart.
const (
	KindGauge           = "gauge"
	KindCounter         = "counter"
	KindHistogram       = "histogram"
	KindNativeHistogram = "native histogram"
	KindSummary         = "summary"
	// KindUnknown is a number of which its source did not say what it is: a scrape without a TYPE line.
	KindUnknown = "unknown"
)

// Family describes a wanted metric by its translated name.
type Family struct {
	// Name is without the suffixes of parts (_sum, _count, _bucket).
	Name string
	Kind string
	// Unit is OTLP's, such as "s" or "By".
	Unit string
}

// family is a Family with what has been seen of its points.
type family struct {
	Family
	// bound holds the bits of the highest finite bucket bound, -Inf where there was none.
	bound atomic.Uint64
}

func newFamily(of Family) *family {
	f := &family{Family: of}
	f.bound.Store(math.Float64bits(math.Inf(-1)))
	return f
}

// saw takes note of a point's highest finite bound.
func (f *family) saw(bound float64) {
	for {
		bits := f.bound.Load()
		if !(bound > math.Float64frombits(bits)) || f.bound.CompareAndSwap(bits, math.Float64bits(bound)) {
			return
		}
	}
}

// families remembers what wanted metrics are, by the names of their series.
type families struct {
	limit int

	mu     sync.RWMutex
	byName map[string]*family
}

// describe returns the family of a translated name; what was seen last stands. Beyond the limit it describes nothing
// that could be asked for.
func (f *families) describe(name string, c *choice) *family {
	made := Family{Name: name, Kind: kindName(c.kind), Unit: c.unit}
	if c.untyped && made.Kind == KindGauge {
		made.Kind = KindUnknown
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.byName[name]; known != nil && known.Family == made {
		return known
	}
	described := newFamily(made)
	if f.byName == nil {
		f.byName = map[string]*family{}
	}
	f.put(name, described)
	for _, s := range suffixes {
		if s.text != "" && c.kind.parts()&s.part != 0 {
			f.put(name+s.text, described)
		}
	}
	return described
}

func (f *families) put(name string, described *family) {
	if _, known := f.byName[name]; known || len(f.byName) < f.limit {
		f.byName[name] = described
	}
}

// keep forgets what is not wanted any more.
func (f *families) keep(sink Sink) {
	f.mu.RLock()
	names := make([]string, 0, len(f.byName))
	for name := range f.byName {
		names = append(names, name)
	}
	f.mu.RUnlock()
	for _, name := range names {
		if sink.Wants(name) {
			continue
		}
		f.mu.Lock()
		delete(f.byName, name)
		f.mu.Unlock()
	}
}

func kindName(k kind) string {
	switch pmetric.MetricType(k &^ monotonic) {
	case pmetric.MetricTypeSum:
		if k&monotonic != 0 {
			return KindCounter
		}
		return KindGauge
	case pmetric.MetricTypeHistogram:
		return KindHistogram
	case pmetric.MetricTypeExponentialHistogram:
		return KindNativeHistogram
	case pmetric.MetricTypeSummary:
		return KindSummary
	default:
		return KindGauge
	}
}

// TypeOf says what a wanted series' metric is: one of the kinds, and OTLP's unit. The parts of a histogram or summary
// (name_sum, name_count, name_bucket) are of its kind. ok is false until a batch has held it.
func (t *Translator) TypeOf(name string) (kind, unit string, ok bool) {
	t.families.mu.RLock()
	defer t.families.mu.RUnlock()
	f := t.families.byName[name]
	if f == nil {
		return "", "", false
	}
	return f.Kind, f.Unit, true
}

// Types are all wanted metrics that have been seen, by the names of their series.
func (t *Translator) Types() map[string]Family {
	t.families.mu.RLock()
	defer t.families.mu.RUnlock()
	all := make(map[string]Family, len(t.families.byName))
	for name, f := range t.families.byName {
		all[name] = f.Family
	}
	return all
}

// LastBound is the highest finite bucket bound that a wanted histogram, or its _bucket series, has had: no quantile
// above it can be told from it.
func (t *Translator) LastBound(name string) (float64, bool) {
	t.families.mu.RLock()
	f := t.families.byName[name]
	t.families.mu.RUnlock()
	if f == nil {
		return 0, false
	}
	bound := math.Float64frombits(f.bound.Load())
	return bound, !math.IsInf(bound, -1)
}
