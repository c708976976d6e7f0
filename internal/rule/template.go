package rule

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/template"
)

const (
	// maxTemplate bounds the text of one template.
	maxTemplate = 16 << 10
	// maxExpanded bounds what one template becomes. What is longer is cut.
	maxExpanded = 4 << 10
)

// variables are the definitions that Prometheus puts before every label and annotation.
const variables = `{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}`

// templates are a rule's labels and annotations, ready to be expanded.
type templates struct {
	labels, annotations []text
}

// text is the template of one label or annotation.
type text struct {
	name, template string
	// plain texts contain nothing to expand, and most do not.
	plain bool
}

func newTemplates(r *Rule) templates {
	return templates{labels: textsOf(r.Labels), annotations: textsOf(r.Annotations)}
}

func textsOf(m map[string]string) []text {
	var all []text
	for _, name := range sortedKeys(m) {
		t := text{name: name, template: m[name], plain: !strings.Contains(m[name], "{{")}
		if t.plain {
			t.template = cut(t.template)
		}
		all = append(all, t)
	}
	return all
}

// Expand returns an alert's labels (those of the series, then the rule's own over them) and its annotations, with
// templates expanded as Prometheus does: $labels are the series' labels, $value is value, $externalLabels is external,
// and now is what the function `now` returns. A template that fails becomes a text that says so. Every text is valid
// UTF-8 of at most 4 KiB. A label whose value becomes empty is none.
func (r *Rule) Expand(series map[string]string, value float64, external map[string]string, now time.Time) (labels, annotations map[string]string) {
	e := expansion{
		name: "__alert_" + r.Name,
		now:  model.TimeFromUnixNano(now.UnixNano()),
		data: template.AlertTemplateData(series, external, "", promql.Sample{F: value}),
	}
	labels = make(map[string]string, len(series)+len(r.templates.labels))
	for name, v := range series {
		if name != model.MetricNameLabel {
			labels[name] = v
		}
	}
	for i := range r.templates.labels {
		t := &r.templates.labels[i]
		if v := e.expand(t); v != "" {
			labels[t.name] = v
		} else {
			delete(labels, t.name)
		}
	}
	annotations = make(map[string]string, len(r.templates.annotations))
	for i := range r.templates.annotations {
		t := &r.templates.annotations[i]
		annotations[t.name] = e.expand(t)
	}
	return labels, annotations
}

// expansion is what all templates of one alert share.
type expansion struct {
	name string
	now  model.Time
	data any
}

func (e *expansion) expand(t *text) string {
	if t.plain {
		return t.template
	}
	result, err := e.expander(t.template).Expand()
	if err != nil {
		result = fmt.Sprintf("<error expanding template: %s>", err)
	}
	return cut(result)
}

func (e *expansion) expander(text string) *template.Expander {
	return template.NewTemplateExpander(context.Background(), variables+text, e.name, e.data, e.now, noQuery, &url.URL{}, nil)
}

var errNoQuery = errors.New("query is not available in a metric rule: there is no database behind it")

func noQuery(context.Context, string, time.Time) (promql.Vector, error) { return nil, errNoQuery }

// cut makes a text valid UTF-8 of at most maxExpanded bytes.
func cut(s string) string {
	if len(s) > maxExpanded {
		const mark = "…"
		end := maxExpanded - len(mark)
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + mark
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// checkTemplate finds at load what would fail at every expansion.
func (d *decoder) checkTemplate(f field) {
	source := f.node.Value
	if len(source) > maxTemplate {
		f.errorf("must not be longer than %d bytes (got %d)", maxTemplate, len(source))
		return
	}
	if !strings.Contains(source, "{{") {
		return
	}
	e := expansion{name: "template", data: template.AlertTemplateData(nil, nil, "", promql.Sample{})}
	if err := e.expander(source).ParseTest(); err != nil {
		f.errorf("cannot be read as a template: %s", strings.Replace(err.Error(), "template: template:", "line ", 1))
		return
	}
	steps, queries := templateCost(variables + source)
	if steps > maxSteps {
		f.errorf("its loops and nested templates must not run more than %d steps (got about %d)", maxSteps, steps)
	}
	if queries {
		d.queried = append(d.queried, f)
	}
}
