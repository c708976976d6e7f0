package translate

import (
	"strings"
	"sync"

	"github.com/prometheus/common/model"
	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// targetInfo is the name of the series that carries a resource's attributes.
const targetInfo = "target_info"

// parts of a metric family that are series of their own.
type parts uint8

const (
	plain parts = 1 << iota
	partSum
	partCount
	partBucket
)

var suffixes = [...]struct {
	part parts
	text string
}{{plain, ""}, {partSum, "_sum"}, {partCount, "_count"}, {partBucket, "_bucket"}}

// choice is what has been decided for an OTLP metric of one name, unit and type.
type choice struct {
	unit string
	kind kind
	// untyped says that the source did not know the type when it first came: see TypeKey.
	untyped bool
	// wanted is 0 where no part is.
	wanted parts
	family *family
	// next is a metric with the same name and another unit or type.
	next *choice
}

// kind is a metric's type as far as names depend on it.
type kind uint8

const monotonic = 0x80

func kindOf(m pmetric.Metric) kind {
	k := kind(m.Type())
	if m.Type() == pmetric.MetricTypeSum && m.Sum().IsMonotonic() {
		k |= monotonic
	}
	return k
}

// TypeKey is where the Collector's Prometheus receiver keeps, in a metric's metadata, the type that a scrape gave. What a
// scrape did not give a type is a gauge in OTLP, and TypeUnknown there.
const (
	TypeKey     = "prometheus.type"
	TypeUnknown = string(model.MetricTypeUnknown)
)

func untyped(m pmetric.Metric) bool {
	given, ok := m.Metadata().Get(TypeKey)
	return ok && given.Str() == TypeUnknown
}

func (k kind) parts() parts {
	switch pmetric.MetricType(k &^ monotonic) {
	case pmetric.MetricTypeGauge, pmetric.MetricTypeSum, pmetric.MetricTypeExponentialHistogram:
		return plain
	case pmetric.MetricTypeHistogram:
		return partSum | partCount | partBucket
	case pmetric.MetricTypeSummary:
		return plain | partSum | partCount
	default:
		return 0
	}
}

// maxCached is the length, in bytes, of names and units above which decisions are made anew each time, so that the
// limit on how many are remembered is one on memory too.
const maxCached = 512

// choices remembers decisions. While a batch is looked at its lock is held for reading, and nothing is called.
type choices struct {
	namer otlptranslator.MetricNamer
	limit int

	mu     sync.RWMutex
	byName map[string]*choice
	count  int
	// target is whether target_info is wanted: then the times of every point count.
	target bool
	// generation tells a decision that was made before a reset from those after it.
	generation int
}

func (c *choices) reset(sink Sink) {
	c.mu.Lock()
	c.generation++
	c.mu.Unlock()
	target := sink.Wants(targetInfo)
	c.mu.Lock()
	c.byName, c.count, c.target = map[string]*choice{}, 0, target
	c.mu.Unlock()
}

// any says whether something of a batch is wanted, or has not been decided yet. It is all that most batches cost.
func (c *choices) any(md pmetric.Metrics) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.target {
		return true
	}
	rms := md.ResourceMetrics()
	for i := range rms.Len() {
		sms := rms.At(i).ScopeMetrics()
		for j := range sms.Len() {
			ms := sms.At(j).Metrics()
			for k := range ms.Len() {
				if found := c.find(ms.At(k)); found == nil || found.wanted != 0 {
					return true
				}
			}
		}
	}
	return false
}

func (c *choices) find(m pmetric.Metric) *choice {
	found := c.byName[m.Name()]
	if found == nil {
		return nil
	}
	unit, kind := m.Unit(), kindOf(m)
	for ; found != nil && (found.kind != kind || found.unit != unit); found = found.next {
	}
	return found
}

func (c *choices) wantsTarget() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.target
}

// choice returns the decision for a metric, and makes it where there is none.
func (t *Translator) choice(m pmetric.Metric) *choice {
	c := &t.choices
	c.mu.RLock()
	found, generation := c.find(m), c.generation
	c.mu.RUnlock()
	if found != nil {
		return found
	}
	made := t.decide(m)
	if len(m.Name()) > maxCached || len(m.Unit()) > maxCached {
		return made
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation {
		return made
	}
	if found := c.find(m); found != nil {
		return found
	}
	if c.count >= c.limit {
		// Names come without end: begin again, so that those that stay are soon back.
		c.byName, c.count = map[string]*choice{}, 0
	}
	name := strings.Clone(m.Name())
	made.next = c.byName[name]
	c.byName[name] = made
	c.count++
	return made
}

func (t *Translator) decide(m pmetric.Metric) *choice {
	made := &choice{unit: strings.Clone(m.Unit()), kind: kindOf(m), untyped: untyped(m)}
	name, err := t.choices.namer.Build(prometheusremotewrite.TranslatorMetricFromOtelMetric(m))
	if err != nil || name == "" {
		// What has no name in Prometheus cannot be selected.
		return made
	}
	for _, s := range suffixes {
		if made.kind.parts()&s.part != 0 && t.sink.Wants(name+s.text) {
			made.wanted |= s.part
		}
	}
	if made.wanted != 0 {
		made.family = t.families.describe(name, made)
	}
	return made
}
