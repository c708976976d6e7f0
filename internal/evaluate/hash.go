package evaluate

import (
	"math"

	"github.com/cespare/xxhash/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// A stream is what OTLP calls one: resource, scope and attributes. Its hash does not depend on the order of attributes,
// so that it is the same however a sender orders them, and costs no sorting and no allocation. 64 bits keep the chance
// that any two of a million streams of one metric share a hash below 1e-7.

// mix spreads the bits of two halves over a word; the constants are the 64-bit finalizer of MurmurHash3 (public domain).
func mix(a, b uint64) uint64 {
	h := a*0xff51afd7ed558ccd ^ b
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return h
}

// hashAttributes hashes a set of attributes; the tags that this project adds to points do not count, so that a batch
// that is sent again is the same series.
func hashAttributes(m pcommon.Map) uint64 {
	var sum uint64
	for key, value := range m.All() {
		switch key {
		case alert.AttrRule, alert.AttrSeverity, alert.AttrOwner:
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
	case pcommon.ValueTypeBool:
		if v.Bool() {
			return mix(1, uint64(pcommon.ValueTypeBool))
		}
		return mix(0, uint64(pcommon.ValueTypeBool))
	default:
		return mix(xxhash.Sum64String(v.AsString()), uint64(v.Type()))
	}
}

// hashOrigin hashes resource and scope: everything of a stream's identity that its points share.
func hashOrigin(resource pcommon.Resource, scope pcommon.InstrumentationScope) uint64 {
	h := mix(hashAttributes(resource.Attributes()), xxhash.Sum64String(scope.Name()))
	h = mix(h, xxhash.Sum64String(scope.Version()))
	return mix(h, hashAttributes(scope.Attributes()))
}
