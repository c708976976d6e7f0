package dashboard

import "github.com/otelcol-escalation/otelcol-escalation/internal/alert"

// Prometheus is asked through a variable, so that a dashboard goes by whatever it is called where it is imported.
var prometheus = datasource{Type: "prometheus", UID: "${datasource}"}

// colors of the tiers, and of what lies beyond them, by Grafana's names, which suit its light and its dark theme.
var colors = map[alert.Severity]string{alert.Critical: "red", alert.High: "orange", alert.Medium: "yellow", alert.Low: "blue"}

const (
	rollbackColor     = "purple"
	interventionColor = "dark-purple"
	quietColor        = "text"
	suggestionColor   = "green"
	none              = "transparent"
)

// Units, as Grafana calls them.
const (
	share   = "percentunit"
	seconds = "s"
	number  = "short"
)

// ask adds a query over time and returns its letter.
func (p *panel) ask(expr, legend string) string {
	return p.add(target{Expr: expr, LegendFormat: legend, Format: "time_series", Range: true})
}

// askNow adds a query about the end of the time that is shown.
func (p *panel) askNow(expr, legend string) {
	p.add(target{Expr: expr, LegendFormat: legend, Format: "time_series", Instant: true})
}

func (p *panel) add(t target) string {
	t.Datasource, t.EditorMode, t.RefID = prometheus, "code", string(rune('A'+len(p.Targets)))
	p.Targets = append(p.Targets, t)
	return t.RefID
}

// override changes how some of the lines or columns look.
func (p *panel) override(matcher, options string, properties ...property) {
	p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, override{fieldMatcher{matcher, options}, properties})
}

// The matchers of an override.
const (
	byName    = "byName"
	byPattern = "byRegexp"
	byQuery   = "byFrameRefID"
)

func fixed(color string) property {
	return property{"color", object{"mode": "fixed", "fixedColor": color}}
}

func custom(key string, value any) property { return property{"custom." + key, value} }

func dashed() property { return custom("lineStyle", object{"fill": "dash", "dash": []int{10, 6}}) }

// timeline is a panel of lines over time.
func timeline(title, description string, width int, unit string) *panel {
	return &panel{
		Type: "timeseries", Title: title, Description: description, GridPos: gridPos{W: width}, Datasource: &prometheus,
		FieldConfig: &fieldConfig{
			Defaults: defaults{
				Color:  object{"mode": "palette-classic"},
				Custom: object{"drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": 0, "showPoints": "auto", "spanNulls": false},
				Unit:   unit,
			},
			Overrides: []override{},
		},
		Options: object{
			"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
			"tooltip": object{"mode": "multi", "sort": "desc"},
		},
	}
}

// ratios is a timeline of shares between 0 and 1.
func ratios(title, description string, width int) *panel {
	p := timeline(title, description, width, share)
	p.FieldConfig.Defaults.Min, p.FieldConfig.Defaults.Max = pointer(0.0), pointer(1.0)
	return p
}

// bars is a timeline of counts per hour, or per longer step where the time that is shown is long.
func bars(title, description string, width int) *panel {
	p := timeline(title, description, width, number)
	p.Interval = "1h"
	c := p.FieldConfig.Defaults.Custom
	c["drawStyle"], c["fillOpacity"], c["showPoints"] = "bars", 80, "never"
	c["stacking"] = object{"mode": "normal", "group": "A"}
	p.FieldConfig.Defaults.Decimals = pointer(0)
	return p
}

// figures is a panel of single numbers.
func figures(title, description string, width int, unit string) *panel {
	return &panel{
		Type: "stat", Title: title, Description: description, GridPos: gridPos{W: width}, Datasource: &prometheus,
		FieldConfig: &fieldConfig{Defaults: defaults{Color: object{"mode": "fixed", "fixedColor": quietColor}, NoValue: "none", Unit: unit}, Overrides: []override{}},
		Options: object{
			"colorMode": "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto", "textMode": "auto", "wideLayout": true,
			"showPercentChange": false, "percentChangeColorMode": "standard",
			"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		},
	}
}

// column is one of a table's, with a query that gives a value for each row.
type column struct {
	title, expr, unit string
}

// label is a column with an attribute that tells rows apart.
type label struct {
	attribute, title string
}

// table joins queries by their labels. sorted names columns, the worst value of the first on top; equal ones go by the next.
func (d *drawing) table(title, description string, width int, labels []label, columns []column, sorted ...string) *panel {
	p := &panel{
		Type: "table", Title: title, Description: description, GridPos: gridPos{W: width}, Datasource: &prometheus,
		FieldConfig: &fieldConfig{Defaults: defaults{Custom: object{"align": "auto", "cellOptions": object{"type": "auto"}, "filterable": true, "inspect": false}}, Overrides: []override{}},
		Options:     object{"cellHeight": "sm", "showHeader": true, "frameIndex": 0},
	}
	order, shown := object{}, object{}
	name := func(field, title string) {
		order[field] = len(order)
		shown[field] = title
	}
	for _, l := range labels {
		name(d.labels[l.attribute], l.title)
	}
	for _, c := range columns {
		ref := p.add(target{Expr: c.expr, Format: "table", Instant: true})
		name("Value #"+ref, c.title)
		p.override(byName, c.title, property{"unit", c.unit})
	}
	p.Transformations = []transformation{
		{"merge", object{}},
		{"organize", object{"excludeByName": object{"Time": true}, "indexByName": order, "renameByName": shown}},
	}
	var sort []object
	for _, title := range sorted {
		sort = append(sort, object{"displayName": title, "desc": true})
	}
	p.Options["sortBy"] = sort
	return p
}

// mark draws thresholds into a timeline, in ascending order; the axis reaches them whatever the values are.
func (p *panel) mark(steps ...step) {
	c := p.FieldConfig.Defaults.Custom
	c["thresholdsStyle"] = object{"mode": "line"}
	c["axisSoftMin"], c["axisSoftMax"] = *steps[0].Value, *steps[len(steps)-1].Value
	p.FieldConfig.Defaults.Thresholds = &thresholds{Mode: "absolute", Steps: append([]step{{Color: none}}, steps...)}
}

func pointer[T any](v T) *T { return &v }
