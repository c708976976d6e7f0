package translate

import (
	"math"

	"github.com/cespare/xxhash/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// A stream is what OTLP calls one: resource, scope, metric and attributes, in whatever order these come. Two streams out
// of a million share a key of 64 bits with a chance below 1e-7.

// origin is the resource and scope that metrics come from; its hash is made once, and only where something is wanted.
type origin struct {
	resource pcommon.Resource
	scope    pmetric.ScopeMetrics
	hash     uint64
	hashed   bool
}

// metric is the key of a metric's streams, to be mixed with the hash of a point's attributes.
func (o *origin) metric(m pmetric.Metric, k kind) uint64 {
	if !o.hashed {
		scope := o.scope.Scope()
		o.hash = mix(hashAttributes(o.resource.Attributes(), false), xxhash.Sum64String(scope.Name()))
		o.hash = mix(o.hash, xxhash.Sum64String(scope.Version()))
		o.hash = mix(o.hash, xxhash.Sum64String(o.scope.SchemaUrl()))
		o.hash = mix(o.hash, hashAttributes(scope.Attributes(), false))
		o.hashed = true
	}
	h := mix(o.hash, xxhash.Sum64String(m.Name()))
	h = mix(h, xxhash.Sum64String(m.Unit()))
	return mix(h, uint64(k))
}

// mix spreads the bits of two halves over a word; the constants are the 64-bit finalizer of MurmurHash3 (public domain).
func mix(a, b uint64) uint64 {
	h := a*0xff51afd7ed558ccd ^ b
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return h
}

// hashAttributes leaves out this project's tags where tagged is set.
func hashAttributes(m pcommon.Map, tagged bool) uint64 {
	var sum uint64
	for key, value := range m.All() {
		if tagged && isTag(key) {
			continue
		}
		sum += mix(xxhash.Sum64String(key), hashValue(value))
	}
	return sum
}

func hashValue(v pcommon.Value) uint64 {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return xxhash.Sum64String(v.Str())
	case pcommon.ValueTypeInt:
		return mix(uint64(v.Int()), uint64(pcommon.ValueTypeInt))
	case pcommon.ValueTypeDouble:
		return mix(math.Float64bits(v.Double()), uint64(pcommon.ValueTypeDouble))
	default:
		return mix(xxhash.Sum64String(v.AsString()), uint64(v.Type()))
	}
}
