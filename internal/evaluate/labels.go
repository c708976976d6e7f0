package evaluate

import (
	"encoding/binary"
	"sort"
	"strings"
	"unique"

	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// labeler gives a stream the labels that Prometheus' OTLP endpoint would give the series: data point attributes under
// translated names, promoted resource attributes, and job and instance from the service attributes.
type labeler struct {
	namer   otlptranslator.LabelNamer
	escape  bool
	promote []string
}

// newLabeler follows the defaults of Prometheus' `otlp` configuration block beside the strategy.
func newLabeler(strategy string, promote []string) labeler {
	escape := otlptranslator.TranslationStrategyOption(strategy).ShouldEscape()
	return labeler{
		namer: otlptranslator.LabelNamer{
			UTF8Allowed:                 !escape,
			UnderscoreLabelSanitization: true, //nolint:staticcheck // deprecated, and what Prometheus does by default
			PreserveMultipleUnderscores: true,
		},
		escape:  escape,
		promote: promote,
	}
}

// labelSet is a stream's labels in a form that is small while a million of them are kept: what series share is shared.
type labelSet struct {
	// shared holds the labels that come from the resource, names the names of the others, both length-prefixed.
	shared, names unique.Handle[string]
	// values are those of names, length-prefixed.
	values string
}

// resourceLabels are the labels that come from the resource, made once for all its points.
type resourceLabels struct {
	service  map[string]string // job and instance: they win over attributes
	promoted map[string]string // they lose
}

func (l *labeler) resource(attrs pcommon.Map) resourceLabels {
	r := resourceLabels{service: map[string]string{}, promoted: map[string]string{}}
	if name, ok := attrs.Get("service.name"); ok {
		job := name.AsString()
		if namespace, ok := attrs.Get("service.namespace"); ok {
			job = namespace.AsString() + "/" + job
		}
		r.service["job"] = job
	}
	if id, ok := attrs.Get("service.instance.id"); ok {
		r.service["instance"] = id.AsString()
	}
	for _, key := range l.promote {
		if value, ok := attrs.Get(key); ok {
			if name, err := l.namer.Build(key); err == nil {
				r.promoted[name] = value.AsString()
			}
		}
	}
	return r
}

// labels returns the labels of one stream. Attributes whose names become the same label are joined by ";" in the order
// of their names, as Prometheus does. Empty values are no labels.
func (l *labeler) labels(r resourceLabels, attrs pcommon.Map) map[string]string {
	keys := make([]string, 0, attrs.Len())
	for key := range attrs.All() {
		switch key {
		case alert.AttrRule, alert.AttrSeverity, alert.AttrOwner: // our own tags
			continue
		}
		keys = append(keys, key)
	}
	sort.Strings(keys)
	labels := make(map[string]string, len(keys)+len(r.service)+len(r.promoted))
	for _, key := range keys {
		value, _ := attrs.Get(key)
		text := strings.ToValidUTF8(value.AsString(), "\uFFFD")
		name, err := l.namer.Build(strings.ToValidUTF8(key, "\uFFFD"))
		if err != nil || text == "" {
			continue
		}
		if before, ok := labels[name]; ok && l.escape {
			text = before + ";" + text
		}
		labels[name] = text
	}
	for name, value := range r.promoted {
		if _, ok := labels[name]; !ok && value != "" {
			labels[name] = strings.ToValidUTF8(value, "\uFFFD")
		}
	}
	for name, value := range r.service {
		if value != "" {
			labels[name] = strings.ToValidUTF8(value, "\uFFFD")
		}
	}
	return labels
}

// pack makes labels small.
func pack(labels map[string]string) labelSet {
	names := make([]string, 0, len(labels))
	for name := range labels {
		names = append(names, name)
	}
	sort.Strings(names)
	var shared, own, values []byte
	for _, name := range names {
		if name == "job" || name == "instance" {
			shared = appendText(appendText(shared, name), labels[name])
			continue
		}
		own = appendText(own, name)
		values = appendText(values, labels[name])
	}
	return labelSet{shared: unique.Make(string(shared)), names: unique.Make(string(own)), values: string(values)}
}

// unpack is the inverse of pack.
func (s labelSet) unpack() map[string]string {
	labels := map[string]string{}
	if s == (labelSet{}) {
		return labels
	}
	for rest := s.shared.Value(); rest != ""; {
		var name, value string
		name, rest = cutText(rest)
		value, rest = cutText(rest)
		labels[name] = value
	}
	values := s.values
	for rest := s.names.Value(); rest != ""; {
		var name, value string
		name, rest = cutText(rest)
		value, values = cutText(values)
		labels[name] = value
	}
	return labels
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// cutText reads one text that appendText wrote; what is cut short yields the rest.
func cutText(s string) (text, rest string) {
	size, n := uvarint(s)
	if n <= 0 || size > uint64(len(s)-n) {
		return "", ""
	}
	return s[n : n+int(size)], s[n+int(size):]
}

func uvarint(s string) (uint64, int) {
	var v uint64
	for i := 0; i < len(s) && i < binary.MaxVarintLen64; i++ {
		if s[i] < 0x80 {
			return v | uint64(s[i])<<(7*i), i + 1
		}
		v |= uint64(s[i]&0x7f) << (7 * i)
	}
	return 0, 0
}
