package rule

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var now = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// load reads one rule, given as the lines below `alert`.
func load(t *testing.T, lines string) *Rule {
	t.Helper()
	content := "groups:\n- name: g\n  rules:\n  - alert: A\n    metric: m\n    tiers: {low: {above: 1}}\n"
	for line := range strings.SplitSeq(strings.TrimRight(lines, "\n"), "\n") {
		content += "    " + line + "\n"
	}
	groups, err := LoadFile("f.yaml", []byte(content), Defaults{})
	require.NoError(t, err)
	require.Len(t, groups[0].Rules, 1)
	return groups[0].Rules[0]
}

func TestExpand(t *testing.T) {
	r := load(t, `
labels:
  service: chat
  where: "{{ $labels.instance }}/{{ $externalLabels.region }}"
  instance: gpu-{{ $labels.instance }}
  dropped: "{{ $labels.nothing }}"
  zone: ""
annotations:
  percent: "{{ $value | humanizePercentage }} on {{ $labels.instance }}"
  number: "{{ $value }}"
  fields: "{{ .Labels.instance }} {{ .Value }} {{ .ExternalLabels.region }}"
  missing: "[{{ $labels.nothing }}]"
  now: "{{ now | toTime }}"
  plain: 100 % { plain }
  all: "{{ range $k, $v := $labels }}{{ $k }}={{ $v }} {{ end }}"
  upper: "{{ $labels.instance | toUpper | reReplaceAll \"-\" \"_\" }}"
  markup: "{{ $labels.evil }}"
  failing: "{{ humanize \"x\" }}"
  asking: "{{ query \"up\" | first | value }}"
  external: "[{{ externalURL }}]"
`)
	series := map[string]string{"__name__": "m", "instance": "a-1", "zone": "z", "evil": "<b>{{ $value }}</b>"}
	labels, annotations := r.Expand(series, 0.987, map[string]string{"region": "eu"}, now)

	assert.Equal(t, map[string]string{
		"instance": "gpu-a-1", "service": "chat", "where": "a-1/eu", "evil": "<b>{{ $value }}</b>",
	}, labels, "the rule's labels win, empty ones take away, templates see the series' own")
	failing, asking := annotations["failing"], annotations["asking"]
	delete(annotations, "failing")
	delete(annotations, "asking")
	assert.Equal(t, map[string]string{
		"percent":  "98.7% on a-1",
		"number":   "0.987",
		"fields":   "a-1 0.987 eu",
		"missing":  "[]",
		"now":      "2026-03-14 15:09:26 +0000 UTC",
		"plain":    "100 % { plain }",
		"all":      "__name__=m evil=<b>{{ $value }}</b> instance=a-1 zone=z ",
		"upper":    "A_1",
		"markup":   "<b>{{ $value }}</b>",
		"external": "[]",
	}, annotations, "values are never read as templates")
	assert.Contains(t, failing, "<error expanding template: error executing template __alert_A:")
	assert.Contains(t, asking, "<error expanding template:")
	assert.Contains(t, asking, "query is not available in a metric rule")

	assert.Equal(t, "m", series["__name__"], "the caller's map is untouched")
	assert.Equal(t, map[string]string{
		"service": "chat", "where": "{{ $labels.instance }}/{{ $externalLabels.region }}",
		"instance": "gpu-{{ $labels.instance }}", "dropped": "{{ $labels.nothing }}", "zone": "",
	}, r.Labels, "Labels stay as written, for the alert's identity")
}

func TestExpandIsBounded(t *testing.T) {
	r := load(t, `
labels: {long: "{{ $labels.long }}", bytes: "{{ $labels.bytes }}"}
annotations:
  long: "{{ $labels.long }}{{ $labels.long }}"
  plain: "`+strings.Repeat("ä", 4000)+`"
  short: "{{ $labels.bytes }}"
  number: "{{ $value }}"
`)
	labels, annotations := r.Expand(map[string]string{"long": strings.Repeat("世", 5000), "bytes": "a\xff\xfeb"}, math.NaN(), nil, now)
	for _, texts := range []map[string]string{labels, annotations} {
		for name, text := range texts {
			assert.True(t, utf8.ValidString(text), "%s is UTF-8", name)
		}
	}
	assert.Equal(t, strings.Repeat("世", 1364)+"…", annotations["long"])
	assert.Equal(t, strings.Repeat("世", 1364)+"…", labels["long"])
	assert.Equal(t, strings.Repeat("ä", 2046)+"…", annotations["plain"])
	assert.Len(t, annotations["plain"], 4095, "the last ä would have made it 4097")
	assert.Equal(t, "a\uFFFDb", annotations["short"])
	assert.Equal(t, "NaN", annotations["number"])
}

// TestExpandTogether holds the templates of a rule, expanded in one, against each alone.
func TestExpandTogether(t *testing.T) {
	const separated = "a" + separator + "b"
	tests := []struct {
		name, annotations string
		joined            bool
	}{
		{"several", `{a: "1 {{ $labels.x }}", b: plain, c: " {{- $value -}} ", d: "{{ $x := 1 }}{{ $x }}", e: "{{ $x := 2 }}{{ $x }}"}`, true},
		{"one fails", `{a: "1 {{ $labels.x }}", b: "{{ humanize \"x\" }}", c: "{{ $value }}"}`, true},
		{"a value holds the separator", `{a: "1 {{ $labels.evil }}", b: "{{ $value }}"}`, true},
		{"the same name defined twice", `{a: "{{ define \"n\" }}a{{ end }}{{ template \"n\" }}", b: "{{ define \"n\" }}b{{ end }}{{ template \"n\" }}"}`, false},
		{"a variable taken over", `{a: "{{ $value := 5 }}{{ $value }}", b: "{{ $value }}", c: "{{ $value = 7 }}{{ $value }}", d: "{{ $value }}"}`, true},
		{"spaces at the seams", `{a: "{{ $value -}}\n ", b: " \n{{- $value }}"}`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := load(t, "annotations: "+tt.annotations)
			require.Equal(t, tt.joined, r.templates.joined != "")
			series := map[string]string{"x": "X", "evil": separated}
			_, together := r.Expand(series, 2, nil, now)
			r.templates.joined = ""
			_, alone := r.Expand(series, 2, nil, now)
			assert.Equal(t, alone, together)
		})
	}
}

func TestExpandWithoutAnything(t *testing.T) {
	r := load(t, "owner: a")
	labels, annotations := r.Expand(nil, 1, nil, now)
	assert.Empty(t, labels)
	assert.Empty(t, annotations)
	labels["x"] = "y" // the maps are the caller's
	annotations["x"] = "y"
}

func TestTemplateCost(t *testing.T) {
	tests := []struct {
		template string
		steps    int
		queries  bool
	}{
		{"plain", 1, false},
		{"{{ .Value }}", 1, false},
		{"{{ if gt .Value 1000000.0 }}a{{ else }}b{{ end }}", 3, false},
		{"{{ range .Labels }}x{{ end }}", 1 + 64*2, false},
		{"{{ range .Labels }}x{{ else }}yz{{ end }}", 1 + 64*2 + 1, false},
		{"{{ with .Labels }}{{ range . }}x{{ end }}{{ end }}", 1 + 1 + 64*2, false},
		{"{{ range 500 }}x{{ end }}", 1 + 500*2, false},
		{"{{ $n := 500 }}{{ range $n }}x{{ end }}", 1 + 1 + 500*2, false},
		{"{{ with 500 }}{{ range . }}x{{ end }}{{ end }}", 1 + 1 + 500*2, false},
		{`{{ define "a" }}{{ range . }}x{{ end }}{{ end }}{{ template "a" 500 }}`, 1 + 1 + 500*2, false},
		{"{{ range 1000 }}{{ range 1000 }}x{{ end }}{{ end }}", maxSteps + 1, false},
		{"{{ range 4000000000 }}{{ end }}", maxSteps + 1, false},
		{`{{ define "a" }}{{ if .Value }}{{ template "a" . }}{{ end }}{{ end }}{{ template "a" . }}`, maxSteps + 1, false},
		{`{{ range (query "up" | sortByLabel "a") }}x{{ end }}`, 1 + 64*2, true},
		{`{{ if gt (query "up" | first | value) 1.0 }}x{{ end }}`, 2, true},
		{`{{ "query" }}`, 1, false},
	}
	for _, tt := range tests {
		steps, queries := templateCost(tt.template)
		assert.Equal(t, tt.steps, steps, tt.template)
		assert.Equal(t, tt.queries, queries, tt.template)
	}
}

func BenchmarkExpand(b *testing.B) {
	groups, err := ReadFile("testdata/good/vllm.yaml", Defaults{})
	require.NoError(b, err)
	r := groups[0].Rules[0]
	series := map[string]string{"instance": "vllm-0:8000", "job": "vllm", "model_name": "llama"}
	b.ReportAllocs()
	for b.Loop() {
		r.Expand(series, 0.987, nil, now)
	}
}
