package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// element is what a drawing holds.
type element struct {
	name  string
	attrs map[string]string
	text  string
}

// parsed reads a drawing as XML, strictly, and looks at every number.
func parsed(t require.TestingT, drawing string) (all []element) {
	decoder := xml.NewDecoder(strings.NewReader(drawing))
	var open []int
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err, drawing)
		switch token := token.(type) {
		case xml.StartElement:
			e := element{name: token.Name.Local, attrs: map[string]string{}}
			for _, a := range token.Attr {
				require.NotContains(t, e.attrs, a.Name.Local)
				e.attrs[a.Name.Local] = a.Value
				switch a.Name.Local {
				case "x", "y", "x1", "x2", "y1", "y2", "width", "height":
					v, err := strconv.ParseFloat(a.Value, 64)
					require.NoError(t, err)
					require.True(t, finite(v), "%s=%s", a.Name.Local, a.Value)
					if a.Name.Local == "width" || a.Name.Local == "height" {
						require.GreaterOrEqual(t, v, 0.0)
					}
				case "d":
					require.Regexp(t, path, a.Value)
				case "style":
					require.Fail(t, "the page's policy forbids styles in attributes")
				}
			}
			open = append(open, len(all))
			all = append(all, e)
		case xml.CharData:
			if len(open) > 0 {
				all[open[len(open)-1]].text += string(token)
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
	require.Empty(t, open)
	return all
}

var path = regexp.MustCompile(`^(M-?[0-9.]+ -?[0-9.]+(L-?[0-9.]+ -?[0-9.]+|[HV]-?[0-9.]+)*(h0)?z?)*$`)

// of are the elements with a class.
func of(all []element, class string) (found []element) {
	for _, e := range all {
		if strings.Contains(" "+e.attrs["class"]+" ", " "+class+" ") {
			found = append(found, e)
		}
	}
	return found
}

var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// example has one of everything.
func example() *Chart {
	day := func(n float64) float64 { return At(epoch) + n*86400 }
	return &Chart{
		Name: "Pages", Description: "What came", Heading: "Pages of a rule", Note: "and 3 more", Height: 240,
		X: Axis{Time: true, From: day(0), To: day(4)}, Y: Axis{Label: "pages", Zero: true, Whole: true},
		Spans: []Span{{Class: "high", From: day(1), To: day(1.5), Title: "high for half a day"}},
		Parts: []Part{{"real", "real"}, {"false", "false alarms"}},
		Bars: []Bar{
			{From: day(0), To: day(1), Sizes: []float64{1, 3}, Title: "4 pages"},
			{From: day(1), To: day(2), Sizes: []float64{0, 2}},
			{From: day(2), To: day(3), Sizes: []float64{5, math.NaN(), 7}},
		},
		Lines: []Line{
			{Class: "a", Label: "steps", Step: true, Points: []Point{{day(0), 1}, {day(1), 4}, {day(2), 4}, {day(3), 2}}},
			{Points: []Point{{day(0), 3}, {day(1), math.NaN()}, {day(2), 2}, {day(3), 5}}},
		},
		Levels:  []Level{{Class: "critical", At: 4, Label: "critical 4"}, {Class: "high", At: 3.9, Label: "high 3.9", Title: "in force"}},
		Markers: []Marker{{At: day(1), Label: "moved"}, {At: day(1.02), Label: "again"}, {At: day(9), Label: "later", Title: "on the 9th"}},
	}
}

func TestChart(t *testing.T) {
	c := example()
	all := parsed(t, c.String())
	root := all[0]
	assert.Equal(t, "img", root.attrs["role"])
	assert.Equal(t, "Pages", root.attrs["aria-label"])
	assert.Equal(t, "0 0 880 240", root.attrs["viewBox"])
	assert.Equal(t, element{"desc", map[string]string{}, "What came"}, all[1])
	assert.NotContains(t, c.String(), "<style", "the page has a sheet")
	assert.Len(t, of(all, "real"), 1+2, "the legend's and two bars'")
	assert.Len(t, of(all, "false"), 1+2)
	assert.Len(t, of(all, "hover"), 1+1, "where there is a title: a bar's and a marker's")
	assert.Len(t, of(all, "span"), 1)
	lines := of(all, "line")
	require.Len(t, lines, 1+2)
	assert.Regexp(t, `^M[^MLV]+H[0-9.]+V[0-9.]+H[0-9.]+(H[0-9.]+)?V[0-9.]+$`, lines[1].attrs["d"], "steps go across, then up or down")
	assert.Regexp(t, `^M[0-9.]+ [0-9.]+h0M[^M]+L[^L]+$`, lines[2].attrs["d"], "broken; a point alone is a dot")
	var texts []string
	for _, e := range all {
		if e.name == "text" || e.name == "title" {
			texts = append(texts, e.text)
		}
	}
	for _, want := range []string{"Pages of a rule", "pages", "and 3 more", "false alarms", "steps", "Nov 2", "2026-11-01 to 2026-11-05, UTC", "critical 4", "in force", "moved", "on the 9th", "4 pages"} {
		assert.Contains(t, texts, want)
	}

	// Labels do not cover each other.
	names := of(all, "name")
	require.Len(t, names, 2+3)
	y := func(e element) float64 { v, _ := strconv.ParseFloat(e.attrs["y"], 64); return v }
	assert.GreaterOrEqual(t, y(names[1])-y(names[0]), 12.0)
	assert.NotEqual(t, y(names[2]), y(names[3]), "one above the other")
	x, _ := strconv.ParseFloat(of(all, "marker")[0].attrs["x"], 64)
	assert.Less(t, x, 880.0)

	var file strings.Builder
	require.NoError(t, c.File(&file))
	all = parsed(t, file.String())
	assert.Equal(t, element{"title", map[string]string{}, "Pages"}, all[1])
	assert.Contains(t, file.String(), "prefers-color-scheme: dark")
	assert.NotContains(t, all[0].attrs, "aria-label")
	if dir := os.Getenv("CHART_PICTURES"); dir != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "example.svg"), []byte(file.String()), 0o600))
	}
}

// Many small charts stand in one page.
func TestPlainBarsAreOnePath(t *testing.T) {
	c := &Chart{Width: 40, Height: 20, X: Axis{Hidden: true}, Y: Axis{Hidden: true, Zero: true, From: 0, To: 4}, Parts: []Part{{Class: "day"}}}
	for i, v := range []float64{1, 0, 4, math.NaN()} {
		c.Bars = append(c.Bars, Bar{From: float64(i), To: float64(i + 1), Sizes: []float64{v}})
	}
	all := parsed(t, c.String())
	require.Len(t, all, 2)
	assert.Equal(t, "M0 20V15H9V20zM20 20V0H29V20z", all[1].attrs["d"])
}

func TestHostileText(t *testing.T) {
	hostile := "</text><script>alert(1)</script>\x01\xff&\"'\u2028"
	c := example()
	c.Name, c.Description, c.Heading, c.Note, c.X.Label, c.Y.Label = hostile, hostile, hostile, hostile, hostile, hostile
	c.Spans[0].Title, c.Spans[0].Class = hostile, hostile
	c.Bars[0].Title, c.Parts[0] = hostile, Part{hostile, hostile}
	c.Lines[0].Label, c.Lines[0].Class = hostile, hostile
	c.Levels[0], c.Markers[0] = Level{hostile, hostile, hostile, 1}, Marker{hostile, hostile, hostile, At(epoch)}
	var file strings.Builder
	require.NoError(t, c.File(&file))
	for _, drawing := range []string{c.String(), file.String(), (&Split{Name: hostile, Parts: c.Parts, Sizes: []float64{1}}).String()} {
		for _, e := range parsed(t, drawing) {
			assert.NotEqual(t, "script", e.name)
		}
		assert.NotContains(t, drawing, "<script")
	}
}

func TestSplit(t *testing.T) {
	s := &Split{Name: "1 real, 3 false", Width: 101, Height: 10, Parts: []Part{{"real", "real"}, {"false", "false"}, {"other", ""}}, Sizes: []float64{1, 3, 0}}
	all := parsed(t, s.String())
	require.Len(t, of(all, "part"), 2)
	assert.Equal(t, "24", of(all, "real")[0].attrs["width"], "a quarter, and a gap")
	assert.Equal(t, "25.5", of(all, "false")[0].attrs["x"])
	assert.Equal(t, "1 real, 3 false", all[0].attrs["aria-label"])
	assert.Len(t, parsed(t, (&Split{}).String()), 1)
}

// number is any number that a caller may come with.
func number() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Float64(), rapid.Float64Range(-2, 2),
		rapid.SampledFrom([]float64{0, 1, -1, 1e308, -1e308, math.MaxFloat64, -math.MaxFloat64, 5e-324, -5e-324, 1e-300, math.Inf(1), math.Inf(-1), math.NaN(), 1.7e9, 1.7e9 + 1e-6, 1e16, 1e16 + 2}),
	)
}

func anyChart(t *rapid.T) *Chart {
	n := number()
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "a", strings.Repeat("long ", 100), "\x00<&>\"'\xff"}))
	axis := func(name string) Axis {
		return Axis{
			Label: text.Draw(t, name), Time: rapid.Bool().Draw(t, name), From: n.Draw(t, name), To: n.Draw(t, name),
			Zero: rapid.Bool().Draw(t, name), Whole: rapid.Bool().Draw(t, name), Hidden: rapid.Bool().Draw(t, name),
		}
	}
	c := &Chart{Name: text.Draw(t, "name"), Heading: text.Draw(t, "heading"), Width: n.Draw(t, "width"), Height: n.Draw(t, "height"), X: axis("x"), Y: axis("y")}
	times := func(name string) int { return rapid.IntRange(0, 4).Draw(t, name) }
	for range times("spans") {
		c.Spans = append(c.Spans, Span{Title: text.Draw(t, "span"), From: n.Draw(t, "from"), To: n.Draw(t, "to")})
	}
	for range times("parts") {
		c.Parts = append(c.Parts, Part{text.Draw(t, "class"), text.Draw(t, "label")})
	}
	for range times("bars") {
		c.Bars = append(c.Bars, Bar{From: n.Draw(t, "from"), To: n.Draw(t, "to"), Title: text.Draw(t, "bar"), Sizes: rapid.SliceOfN(n, 0, 4).Draw(t, "sizes")})
	}
	for range times("lines") {
		l := Line{Label: text.Draw(t, "line"), Step: rapid.Bool().Draw(t, "step")}
		for range times("points") {
			l.Points = append(l.Points, Point{n.Draw(t, "x"), n.Draw(t, "y")})
		}
		c.Lines = append(c.Lines, l)
	}
	for range times("levels") {
		c.Levels = append(c.Levels, Level{At: n.Draw(t, "level"), Label: text.Draw(t, "label")})
	}
	for range times("markers") {
		c.Markers = append(c.Markers, Marker{At: n.Draw(t, "marker"), Label: text.Draw(t, "label"), Title: text.Draw(t, "title")})
	}
	return c
}

// Whatever a chart is given, what comes out is well-formed, and every number in it is one.
func TestAnyChartIsWellFormed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyChart(t)
		parsed(t, c.String())
		var file strings.Builder
		require.NoError(t, c.File(&file))
		parsed(t, file.String())
		parsed(t, (&Split{Name: c.Name, Width: c.Width, Height: c.Height, Parts: c.Parts, Sizes: rapid.SliceOfN(number(), 0, 5).Draw(t, "split")}).String())
	})
}

func FuzzChart(f *testing.F) {
	f.Add(0.0, 1.0, 2.0, math.NaN(), "text", true)
	f.Add(-math.MaxFloat64, math.MaxFloat64, math.Inf(1), 5e-324, "</svg>\x00", false)
	f.Fuzz(func(t *testing.T, a, b, c, d float64, text string, time bool) {
		parsed(t, (&Chart{
			Name: text, X: Axis{Time: time, From: c, To: d, Label: text}, Y: Axis{From: d, To: a},
			Lines:  []Line{{Label: text, Points: []Point{{a, b}, {b, c}, {c, d}, {d, a}}}},
			Levels: []Level{{At: a, Label: text}}, Markers: []Marker{{At: b, Label: text, Title: text}},
			Bars: []Bar{{From: a, To: b, Sizes: []float64{c, d}, Title: text}}, Parts: []Part{{text, text}, {text, text}}, Spans: []Span{{From: a, To: d}},
		}).String())
	})
}
