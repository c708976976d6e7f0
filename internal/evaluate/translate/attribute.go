package translate

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// ownPrefix begins the names of metrics that this project emits. The attributes that are tags on other metrics' points
// are the identity of theirs.
const ownPrefix = "alert."

// translatable reports false for a point that has an attribute without a valid character in its name: the library would
// leave out the rest of the metric with it.
func (s *session) translatable(attributes pcommon.Map) bool {
	if s.t.settings.AllowUTF8 {
		return true
	}
	for key := range attributes.All() {
		if !s.t.nameable(key) {
			s.counts.Untranslatable++
			return false
		}
	}
	return true
}

// attributes copies a point's attributes without this project's tags.
func (w taken) attributes(from, to pcommon.Map) {
	from.CopyTo(to)
	if !w.tagged {
		return
	}
	for key := range from.All() {
		if isTag(key) {
			to.RemoveIf(func(key string, _ pcommon.Value) bool { return isTag(key) })
			return
		}
	}
}

// nameable says whether an attribute's name can become a label's.
func (t *Translator) nameable(key string) bool {
	if key != "" {
		if c := key[0]; 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			return true
		}
	}
	_, err := t.labels.Build(key)
	return err == nil
}

func isTag(key string) bool {
	switch key {
	case alert.AttrRule, alert.AttrSeverity, alert.AttrOwner:
		return true
	}
	return false
}
