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
	// texts are the labels, then the annotations, each in the order of their names.
	texts  []text
	labels int
	// joined are the templates of texts that are not plain, in one, so that an alert costs one parser and not ten; ""
	// where they must stay apart.
	joined string
	count  int
	// externalURL is $externalURL.
	externalURL string
}

// text is the template of one label or annotation.
type text struct {
	name, template string
	// plain texts contain nothing to expand, and most do not.
	plain bool
}

// separator stands between joined templates. What values put into the result does not matter: with one separator more
// than expected the templates are expanded one by one.
const separator = "\x00\x1e\x00"

func newTemplates(r *Rule) templates {
	labels := textsOf(r.Labels)
	t := templates{texts: append(labels, textsOf(r.Annotations)...), labels: len(labels)}
	var parts []string
	for i := range t.texts {
		if !t.texts[i].plain {
			parts = append(parts, t.texts[i].template)
		}
	}
	t.count = len(parts)
	joined := strings.Join(parts, separator+variables)                                            // each part begins with the variables as they were
	if t.count > 1 && !strings.Contains(joined, "define") && !strings.Contains(joined, "block") { // two may define one name
		t.joined = joined
	}
	return t
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
	return r.ExpandQuerying(context.Background(), noQuery, series, value, external, now)
}

// ExpandQuerying is Expand where the template function `query` has something behind it.
func (r *Rule) ExpandQuerying(
	ctx context.Context, query template.QueryFunc, series map[string]string, value float64, external map[string]string, now time.Time,
) (labels, annotations map[string]string) {
	t := &r.templates
	labels = make(map[string]string, len(series)+t.labels)
	for name, v := range series {
		if name != model.MetricNameLabel {
			labels[name] = v
		}
	}
	annotations = make(map[string]string, len(t.texts)-t.labels)
	e := expansion{
		ctx:   ctx,
		query: query,
		name:  "__alert_" + r.Name,
		now:   model.TimeFromUnixNano(now.UnixNano()),
		data:  template.AlertTemplateData(series, external, t.externalURL, promql.Sample{F: value}),
	}
	together := e.together(t)
	for i := range t.texts {
		one := &t.texts[i]
		v := one.template
		switch {
		case one.plain:
		case together != nil:
			v, together = cut(together[0]), together[1:]
		default:
			v = e.alone(v)
		}
		switch {
		case i >= t.labels:
			annotations[one.name] = v
		case v == "":
			delete(labels, one.name)
		default:
			labels[one.name] = v
		}
	}
	return labels, annotations
}

// expansion is what all templates of one alert share.
type expansion struct {
	ctx   context.Context
	query template.QueryFunc
	name  string
	now   model.Time
	data  any
}

// together expands the joined templates; nil where that is not possible.
func (e *expansion) together(t *templates) []string {
	if t.joined == "" {
		return nil
	}
	result, err := e.expander(t.joined).Expand()
	if err != nil {
		return nil // which one failed shows when each is alone
	}
	parts := strings.Split(result, separator)
	if len(parts) != t.count {
		return nil
	}
	return parts
}

func (e *expansion) alone(template string) string {
	result, err := e.expander(template).Expand()
	if err != nil {
		result = fmt.Sprintf("<error expanding template: %s>", err)
	}
	return cut(result)
}

func (e *expansion) expander(text string) *template.Expander {
	return template.NewTemplateExpander(e.ctx, variables+text, e.name, e.data, e.now, e.query, &url.URL{}, nil)
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
	e := expansion{ctx: context.Background(), query: noQuery, name: "template", data: template.AlertTemplateData(nil, nil, "", promql.Sample{})}
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
