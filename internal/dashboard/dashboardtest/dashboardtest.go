// Package dashboardtest reads dashboards as Grafana would: it finds their queries and puts the values of variables into them.
package dashboardtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Dashboard is what a test looks at.
type Dashboard struct {
	Title         string
	UID           string
	SchemaVersion int
	Tags          []string
	Links         []any
	Time          struct{ From, To string }
	Panels        []Panel
	Annotations   struct {
		List []struct {
			Name, Expr, Step string
			Enable           bool
		}
	}
	Templating struct{ List []Variable }
}

// Panel is a panel, or a row.
type Panel struct {
	ID                                         int
	Type, Title, Description, Interval, Repeat string
	Datasource                                 *Datasource
	GridPos                                    struct{ H, W, X, Y int }
	Panels                                     []Panel
	Targets                                    []struct {
		Expr, Format, LegendFormat, RefID string
		Instant, Range                    bool
		Datasource                        Datasource
	}
	FieldConfig struct {
		Defaults struct {
			Unit       string
			Thresholds *struct {
				Mode  string
				Steps []struct {
					Color string
					Value *float64
				}
			}
		}
		Overrides []struct {
			Matcher    struct{ ID, Options string }
			Properties []struct {
				ID    string
				Value any
			}
		}
	}
	Options struct {
		SortBy []struct {
			DisplayName string
			Desc        bool
		}
	}
	Transformations []struct {
		ID      string
		Options struct{ RenameByName map[string]string }
	}
}

// Datasource is where a query goes.
type Datasource struct{ Type, UID string }

// Variable is one of the template variables.
type Variable struct {
	Name, Type, AllValue, Regex, Definition string
	Multi, IncludeAll                       bool
	Query                                   any
}

// Query is one of a dashboard's, wherever it stands.
type Query struct {
	// Where names panel and query, or the annotation or variable.
	Where, Row, Expr string
	Instant          bool
}

// Read decodes a dashboard.
func Read(t testing.TB, content []byte) *Dashboard {
	t.Helper()
	d := &Dashboard{}
	require.NoError(t, json.Unmarshal(content, d))
	return d
}

// Find returns the panel of a title.
func (d *Dashboard) Find(t testing.TB, title string) *Panel {
	t.Helper()
	for i := range d.Panels {
		if p := &d.Panels[i]; p.Title == title && p.Type != "row" {
			return p
		}
	}
	require.Fail(t, "no panel of this title", title)
	return nil
}

// labelValues is the one function of variables' queries that is used.
var labelValues = regexp.MustCompile(`^label_values\((.+), ([^"(){}]+)\)$`)

// Queries are all queries of panels, annotations and variables; a variable's is the selector of its series.
func (d *Dashboard) Queries(t testing.TB) []Query {
	t.Helper()
	var all []Query
	row := ""
	for i := range d.Panels {
		p := &d.Panels[i]
		if p.Type == "row" {
			row = p.Title
			require.Empty(t, p.Panels)
		}
		for _, q := range p.Targets {
			require.Equal(t, Datasource{"prometheus", "${datasource}"}, q.Datasource)
			require.NotEqual(t, q.Instant, q.Range)
			all = append(all, Query{fmt.Sprintf("%s %s", p.Title, q.RefID), row, q.Expr, q.Instant})
		}
	}
	for _, a := range d.Annotations.List {
		if a.Expr != "" {
			all = append(all, Query{Where: "annotation " + a.Name, Expr: a.Expr})
		}
	}
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		found := labelValues.FindStringSubmatch(v.Definition)
		require.NotNil(t, found, v.Definition)
		all = append(all, Query{Where: "variable " + v.Name, Expr: found[1], Instant: true})
	}
	return all
}

// View is what somebody has chosen on a dashboard.
type View struct {
	// Values are those of the variables that are not left at "All".
	Values map[string][]string
	// Range is the time shown, Step the distance of points.
	Range, Step time.Duration
}

// variable is Grafana's own expression for where it finds variables.
var variable = regexp.MustCompile(`\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}`)

// special are the characters that Grafana's Prometheus data source escapes in values of variables that may have several.
var special = regexp.MustCompile(`[$^*{}\[\]+?.()|]`)

// Expand puts a view's values into a query, as Grafana's template service and its Prometheus data source do.
func (d *Dashboard) Expand(v View, text string) string {
	seconds := func(d time.Duration) string { return fmt.Sprintf("%ds", int64(d/time.Second)) }
	built := map[string]string{
		"__range": seconds(v.Range), "__interval": seconds(v.Step),
		// The larger of four scrapes, 15 s where the data source does not say otherwise, and a step and a scrape.
		"__rate_interval": seconds(max(time.Minute, v.Step+15*time.Second)),
	}
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		parts := variable.FindStringSubmatch(found)
		name := parts[1] + parts[2] + parts[4]
		if value, ok := built[name]; ok {
			return value
		}
		i := slices.IndexFunc(d.Templating.List, func(v Variable) bool { return v.Name == name })
		if i < 0 {
			return found
		}
		of := &d.Templating.List[i]
		chosen, ok := v.Values[name]
		if !ok {
			return d.Expand(v, of.AllValue) // as it is, but for variables in it
		}
		var escaped []string
		for _, value := range chosen {
			value = strings.ReplaceAll(value, `\`, `\\\\`)
			escaped = append(escaped, special.ReplaceAllString(value, `\\$0`))
		}
		if len(escaped) == 1 {
			return escaped[0]
		}
		return "(" + strings.Join(escaped, "|") + ")"
	})
}

// Variables are the names of variables that Grafana would find in a text.
func (d *Dashboard) Variables(text string) []string {
	found := map[string]bool{}
	for _, parts := range variable.FindAllStringSubmatch(text, -1) {
		name := parts[1] + parts[2] + parts[4]
		if strings.HasPrefix(name, "__") || slices.ContainsFunc(d.Templating.List, func(v Variable) bool { return v.Name == name }) {
			found[name] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// Overlaps names two panels that take the same place, or one that does not fit the grid; "" where there are none.
func (d *Dashboard) Overlaps() string {
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	for i := range d.Panels {
		p := &d.Panels[i]
		if ids[p.ID] || p.ID < 1 {
			return fmt.Sprintf("id %d of %q is not its own", p.ID, p.Title)
		}
		ids[p.ID] = true
		g := p.GridPos
		if g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
			return fmt.Sprintf("%q does not fit: %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok {
					return fmt.Sprintf("%q lies on %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	return ""
}
