package calibrate_test

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/chart"
)

// stories are the series that are drawn, with what each shows.
var stories = map[string]string{
	"Twitter_volume_IBM":                   "the threshold follows, and one incident that begins mildly is seen later",
	"cpu_utilization_asg_misconfiguration": "two levels of noise, of which one goes",
	"outbound-23":                          "step by step to a threshold far off",
	"Twitter_volume_CRM":                   "one real page just above the threshold holds it there",
}

// curveOf is the series whose what-if curve is drawn, at its first suggestion.
const curveOf = "app1-01"

// columns is how coarsely a series is drawn: of the series itself the picture must not tell more than one sees.
const columns = 360

// draw writes the pictures of docs/calibration.md, and the table of all series, into a folder.
func draw(t *testing.T, folder string, rows []row) {
	t.Helper()
	require.NoError(t, os.MkdirAll(folder, 0o755))
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644)) //nolint:gosec // for everybody to read
	}
	write("series.md", "# Every labelled series\n\nWritten by `make calibration PLOTS=docs/calibration`; [calibration.md](../calibration.md) says what it means.\n\n"+seriesTable(rows))
	write("pages.svg", drawPages(rows))
	for i := range rows {
		r := &rows[i]
		if what, ok := stories[r.name]; ok {
			write(strings.ToLower(r.name)+".svg", drawStory(t, r, what))
		}
		if r.name == curveOf {
			write("what-if.svg", drawCurve(t, r))
		}
	}
}

// marks are what the charts have besides the page's: dots for pages, the moving threshold.
const marks = `.chart .line.value { stroke: var(--soft); stroke-width: 1; } .chart .line.threshold { stroke: var(--critical); stroke-width: 2; }
.chart .line.none { stroke: var(--false); stroke-width: 5; } .chart .line.met { stroke: var(--real); stroke-width: 5; }
.chart .line.kept { stroke: var(--real); stroke-width: 2; }
.chart .row { stroke: var(--line); } .chart .gain { stroke: var(--soft); stroke-width: 2; }
.chart .fixed { fill: var(--card); stroke: var(--soft); stroke-width: 1.5; } .chart .calibrated { fill: var(--link); } .chart .hindsight { stroke: var(--real); stroke-width: 2.5; }
`

func file(t *testing.T, c *chart.Chart) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, c.File(&b))
	return strings.Replace(b.String(), "</style>", marks+"</style>", 1)
}

// drawStory draws a series with its incidents, its pages and the threshold as it moved.
func drawStory(t *testing.T, r *row, what string) string {
	t.Helper()
	begin, last := r.begin(), len(r.at)-1
	fixed := r.firstThreshold(3)
	top := fixed
	for _, m := range r.moving.moves {
		top = max(top, m.To)
	}
	top *= 4 // a peak far above would leave no room for anything else
	axis := chart.Axis{Zero: true}
	if slices.Max(r.value) > top {
		axis = chart.Axis{From: 0, To: top, Label: fmt.Sprintf("cut at %.0f, greatest value %.0f", top, slices.Max(r.value))}
	}
	value := chart.Line{Class: "value", Label: "value, lowest to highest of each of 360 columns"}
	width := r.at[last].Sub(r.at[0]).Seconds() / columns
	for i := 0; i <= last; {
		column := math.Floor(r.at[i].Sub(r.at[0]).Seconds() / width)
		low, high := r.value[i], r.value[i]
		for ; i <= last && math.Floor(r.at[i].Sub(r.at[0]).Seconds()/width) == column; i++ {
			low, high = min(low, r.value[i]), max(high, r.value[i])
		}
		x := chart.At(r.at[0]) + (column+0.5)*width
		value.Points = append(value.Points, chart.Point{X: x, Y: min(low, top)}, chart.Point{X: x, Y: min(high, top)})
	}
	threshold := chart.Line{Class: "threshold", Label: "threshold", Step: true}
	at := fixed
	threshold.Points = append(threshold.Points, chart.Point{X: chart.At(r.at[begin]), Y: at})
	for _, m := range r.moving.moves {
		threshold.Points = append(threshold.Points, chart.Point{X: chart.At(m.At), Y: m.To})
		at = m.To
	}
	threshold.Points = append(threshold.Points, chart.Point{X: chart.At(r.at[last]), Y: at})
	dots := [2]chart.Line{{Class: "none", Label: "page on no incident"}, {Class: "met", Label: "page on an incident"}}
	for _, p := range r.moving.pages {
		d := &dots[0]
		if p.incident >= 0 {
			d = &dots[1]
		}
		d.Points = append(d.Points, chart.Point{X: chart.At(p.start), Y: min(p.peak, top)}, chart.Point{X: chart.At(p.start), Y: math.NaN()})
	}
	c := &chart.Chart{
		Name: r.name, Heading: fmt.Sprintf("%s: %s", r.name, what), Width: 960, Height: 340,
		Description: fmt.Sprintf("Value of the series %s (%s) with its incidents, the threshold as it moved and %d pages; with the fixed threshold %d.",
			r.name, r.source, len(r.moving.pages), len(r.fixed.pages)),
		Note: fmt.Sprintf("%d pages, fixed %d; %d of %d incidents; %s", len(r.moving.pages), len(r.fixed.pages), len(r.moving.caught), r.incidents, r.source),
		X:    chart.Axis{Time: true}, Y: axis,
		Lines:  []chart.Line{value, threshold, dots[0], dots[1]},
		Levels: []chart.Level{{Class: "low", Label: "fixed", At: fixed}},
	}
	for _, i := range r.series.incidents {
		c.Spans = append(c.Spans, chart.Span{Class: "low", Title: "incident", From: chart.At(i.start), To: chart.At(i.end)})
	}
	return file(t, c)
}

// drawCurve draws the what-if curve as it was when the first suggestion stood.
func drawCurve(t *testing.T, r *row) string {
	t.Helper()
	a := r.moving.first
	require.NotNil(t, a)
	pages := chart.Line{Class: "value", Label: "pages that would have come", Step: true}
	kept := chart.Line{Class: "kept", Label: "incidents that would have been kept", Step: true}
	for _, p := range calibrate.Curve(a.Side, a.Alarms) {
		pages.Points = append(pages.Points, chart.Point{X: p.Threshold, Y: float64(p.Episodes)})
		kept.Points = append(kept.Points, chart.Point{X: p.Threshold, Y: float64(p.Incidents)})
	}
	return file(t, &chart.Chart{
		Name: "What-if curve of " + r.name, Heading: r.name + ": what each threshold would have made of the first pages", Width: 960, Height: 300,
		Description: a.Sentence(window), Note: a.Sentence(a.Span), X: chart.Axis{Label: "threshold"}, Y: chart.Axis{Zero: true, Whole: true},
		Lines: []chart.Line{pages, kept},
		Markers: []chart.Marker{
			{Class: "high", Label: "in force", At: a.Current}, {Class: "low", Label: "suggested", At: a.Threshold},
		},
	})
}

// drawPages draws a row for each series in which a suggestion stood: the pages of the fixed threshold, of the moving one,
// and of the best one in hindsight that is nowhere more than an hour later.
func drawPages(rows []row) string {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return len(r.moving.moves) == 0 })
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(len(b.fixed.pages)-len(b.moving.pages), len(a.fixed.pages)-len(a.moving.pages)), cmp.Compare(a.name, b.name))
	})
	const width, left, right, top, high = 960, 270, 20, 64, 18
	x := func(pages int) float64 { return left + (width-left-right)*math.Log10(float64(max(pages, 1)))/3 }
	height := top + len(rows)*high + 34
	var b strings.Builder
	put := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	put(`<text class="heading" x="6" y="18">Pages of each series in which a suggestion stood, the most gained first</text>`)
	put(`<circle class="fixed" cx="12" cy="38" r="4.5"/><text x="22" y="42">fixed threshold</text>`)
	put(`<circle class="calibrated" cx="142" cy="38" r="4.5"/><text x="152" y="42">with suggestions</text>`)
	put(`<line class="hindsight" x1="280" x2="280" y1="32" y2="44"/><text x="288" y="42">best fixed threshold in hindsight, at most an hour later anywhere</text>`)
	for _, tick := range []int{1, 10, 100, 1000} {
		put(`<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/><text class="soft" text-anchor="middle" x="%.1f" y="%d">%d</text>`,
			x(tick), x(tick), top-6, height-28, x(tick), height-12, tick)
	}
	put(`<text class="soft" x="6" y="%d">pages, logarithmic; + held out</text>`, height-12)
	for i, r := range rows {
		y := float64(top + i*high + high/2)
		mark := ""
		if !r.development() {
			mark = " +"
		}
		fixed, moving, within := len(r.fixed.pages), len(r.moving.pages), len(r.within.pages)
		put(`<g><title>%s: %d fixed, %d with suggestions, %d in hindsight</title><text text-anchor="end" x="%d" y="%.1f">%s</text>`,
			html.EscapeString(r.name), fixed, moving, within, left-14, y+4, html.EscapeString(r.name+mark))
		put(`<line class="row" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><line class="gain" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, left-6, width-right, y, y, x(fixed), x(moving), y, y)
		put(`<line class="hindsight" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, x(within), x(within), y-6, y+6)
		put(`<circle class="fixed" cx="%.1f" cy="%.1f" r="4.5"/><circle class="calibrated" cx="%.1f" cy="%.1f" r="4.5"/></g>`, x(fixed), y, x(moving), y)
	}
	var empty bytes.Buffer
	_ = (&chart.Chart{Name: "Pages by series", Width: width, Height: float64(height), X: chart.Axis{Hidden: true}, Y: chart.Axis{Hidden: true}}).File(&empty) // a buffer takes all
	return strings.Replace(strings.Replace(empty.String(), "</style>", marks+"</style>", 1), "</svg>", b.String()+"</svg>", 1)
}
