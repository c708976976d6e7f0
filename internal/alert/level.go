package alert

import "go.opentelemetry.io/collector/pdata/pcommon"

// putLevels writes the firing levels. Receivers that know the one of the alert's tier only find it where it always was.
func putLevels(attrs pcommon.Map, a *Alert) {
	putDouble(attrs, AttrFiringLevel, a.FiringLevel)
	if a.FiringLevelBound {
		attrs.PutBool(AttrFiringLevelBound, true)
	}
	var bounds pcommon.Slice
	bounded := false
	for _, s := range Severities {
		l, ok := a.FiringLevels[s]
		if !ok {
			continue
		}
		attrs.PutDouble(AttrFiringLevelPrefix+s.String(), l.Value)
		if l.Bound {
			if !bounded {
				bounds, bounded = pcommon.NewSlice(), true
			}
			bounds.AppendEmpty().SetStr(s.String())
		}
	}
	if bounded {
		bounds.MoveAndAppendTo(attrs.PutEmptySlice(AttrFiringLevelBounds))
	}
}

// decodeLevel takes the level of one tier. Tiers that are not known are passed over.
func decodeLevel(a *Alert, tier string, value pcommon.Value) {
	s, err := ParseSeverity(tier)
	v := number(value)
	if err != nil || v == nil {
		return
	}
	if a.FiringLevels == nil {
		a.FiringLevels = map[Severity]FiringLevel{}
	}
	a.FiringLevels[s] = FiringLevel{Value: *v}
}

// decodeBounds marks the levels that are bounds.
func decodeBounds(a *Alert, value pcommon.Value) {
	if value.Type() != pcommon.ValueTypeSlice {
		return
	}
	for _, tier := range value.Slice().All() {
		s, err := ParseSeverity(tier.AsString())
		if l, ok := a.FiringLevels[s]; err == nil && ok {
			l.Bound = true
			a.FiringLevels[s] = l
		}
	}
}
