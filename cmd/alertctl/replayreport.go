package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/prometheus/common/model"

	"github.com/otelcol-escalation/otelcol-escalation/internal/replay"
)

// episodes is where episodes go as they end, and the summary behind them.
type episodes interface {
	episode(e *replay.Episode) error
	close(s *replay.Summary) error
}

func newEpisodes(output string, to io.Writer, limit int) episodes {
	switch output {
	case outputJSON:
		return &jsonEpisodes{to: to}
	case outputCSV:
		return &csvEpisodes{csv: csv.NewWriter(to)}
	default:
		return &textEpisodes{to: to, limit: limit}
	}
}

// jsonEpisodes writes {"episodes": […], "summary": {…}}, an episode per line.
type jsonEpisodes struct {
	to io.Writer
	n  int
}

func (j *jsonEpisodes) episode(e *replay.Episode) error {
	before := ",\n"
	if j.n == 0 {
		before = "{\"episodes\": [\n"
	}
	j.n++
	return j.write(before, e, "")
}

func (j *jsonEpisodes) close(s *replay.Summary) error {
	before := "\n],\n\"summary\": "
	if j.n == 0 {
		before = "{\"episodes\": []" + before[2:]
	}
	return j.write(before, s, "}\n")
}

func (j *jsonEpisodes) write(before string, v any, after string) error {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(j.to, before+strings.TrimSuffix(text.String(), "\n")+after)
	return err
}

// csvEpisodes writes a row per episode.
type csvEpisodes struct {
	csv *csv.Writer
	n   int
}

var episodeColumns = []string{
	"rule", "group", "tier", "owner", "labels", "start", "fired", "end", "open", "duration_seconds",
	"peak", "threshold", "firing_level", "firing_level_bound", "cause", "reason", "metric", "unit", "known_incident", "alert_id",
}

func (c *csvEpisodes) episode(e *replay.Episode) error {
	if err := c.header(); err != nil {
		return err
	}
	level, bound, known := "", "", ""
	if e.FiringLevel != nil {
		level, bound = number(&e.FiringLevel.Value), strconv.FormatBool(e.FiringLevel.Bound)
	}
	if e.Known != nil {
		known = strconv.FormatBool(*e.Known)
	}
	if err := c.csv.Write([]string{
		e.Rule, e.Group, e.Tier.String(), e.Owner, labelText(e.Labels), timeText(e.Start), timeText(e.Fired), timeText(e.End),
		strconv.FormatBool(e.Open), number(&e.Duration), number(e.Peak), number(e.Threshold), level, bound,
		string(e.Cause), string(e.Reason), e.Metric, e.Unit, known, e.ID,
	}); err != nil {
		return err
	}
	c.csv.Flush() // as it ends, not as buffers fill
	return c.csv.Error()
}

func (c *csvEpisodes) header() error {
	if c.n++; c.n > 1 {
		return nil
	}
	return c.csv.Write(episodeColumns)
}

func (c *csvEpisodes) close(*replay.Summary) error {
	if err := c.header(); err != nil {
		return err
	}
	c.csv.Flush()
	return c.csv.Error()
}

// textEpisodes writes a line per episode, and tables.
type textEpisodes struct {
	to    io.Writer
	limit int
	n     int
	err   error
}

func (t *textEpisodes) printf(format string, args ...any) {
	_, err := fmt.Fprintf(t.to, format, args...)
	t.err = errors.Join(t.err, err)
}

// episodeLine has fixed widths: lines go out as episodes end, before anybody knows how wide the next will be.
const episodeLine = "%-20s  %-9s  %-8s  %-20s  %-9s  %-9s  %-9s  %-11s  %s\n"

func (t *textEpisodes) episode(e *replay.Episode) error {
	if t.n++; t.limit > 0 && t.n > t.limit {
		return nil
	}
	if t.n == 1 {
		t.printf("EPISODES\n"+episodeLine, "FIRED", "LASTED", "TIER", "OWNER", "PEAK", "THRESHOLD", "LEVEL", "END", "RULE")
	}
	end := string(e.Reason)
	if e.Open {
		end = "still open"
	}
	level := "-"
	if l := e.FiringLevel; l != nil {
		if level = short(&l.Value); l.Bound {
			level += "+"
		}
	}
	about := e.Rule + labelText(e.Labels)
	if e.Cause == "no_data" {
		about += " (no data)"
	}
	if e.Known != nil && !*e.Known {
		about += " (no incident)"
	}
	t.printf(episodeLine, timeText(e.Fired), lasted(e.Duration), e.Tier, plain(e.Owner), short(e.Peak), short(e.Threshold), level, end, plain(about))
	return t.err
}

func (t *textEpisodes) close(s *replay.Summary) error {
	if t.limit > 0 && t.n > t.limit {
		t.printf("… and %s (--limit 0 shows all)\n", count(t.n-t.limit, "more episode"))
	}
	if t.n > 0 {
		t.printf("\n")
	}
	t.table("PAGES PER DAY\nOWNER\tTIER\tPAGES\tPER DAY\tWORST DAY\n", len(s.Pages), func(w io.Writer, i int) {
		p := s.Pages[i]
		fmt.Fprintf(w, "%s\t%s\t%d\t%.2f\t%d on %s\n", plain(p.Owner), p.Tier, p.Pages, p.PerDay, p.Most, p.Busiest)
	})
	t.rules(s)
	t.whatIf(s)
	if s.Incidents != nil {
		t.incidents(s)
	}
	t.table("PROBLEMS\nRULE\tKIND\tDETAIL\n", len(s.Problems), func(w io.Writer, i int) {
		p := s.Problems[i]
		fmt.Fprintf(w, "%s\t%s\t%s\n", plain(p.Rule), p.Kind, plain(p.Detail))
	})
	t.table("NOT JUDGED\nREASON\tPOINTS\n", len(s.Unjudged), func(w io.Writer, i int) {
		reason := slices.Sorted(maps.Keys(s.Unjudged))[i]
		fmt.Fprintf(w, "%s\t%d\n", reason, s.Unjudged[reason])
	})
	for _, name := range s.Plots {
		t.printf("drawn: %s\n", name)
	}
	t.printf("%s\n", summaryLine(s))
	return t.err
}

// table writes rows in columns, and nothing where there are none.
func (t *textEpisodes) table(head string, rows int, row func(w io.Writer, i int)) {
	if rows == 0 {
		return
	}
	title, columns, _ := strings.Cut(head, "\n")
	t.printf("%s\n", title)
	w := tabwriter.NewWriter(t.to, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, columns)
	for i := range rows {
		row(w, i)
	}
	t.err = errors.Join(t.err, w.Flush())
	t.printf("\n")
}

func (t *textEpisodes) rules(s *replay.Summary) {
	t.table("RULES\nRULE\tEPISODES\tOPEN\tFIRING\tLONGEST\tMEDIAN\n", len(s.Rules), func(w io.Writer, i int) {
		r := s.Rules[i]
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\n", plain(r.Rule), r.Episodes, r.Open, lasted(r.Firing), lasted(r.Longest), lasted(r.Median))
	})
}

// whatIf writes the thresholds of the rules that fired, or for which others were asked.
func (t *textEpisodes) whatIf(s *replay.Summary) {
	var rows [][4]string
	for _, r := range s.Rules {
		for _, tier := range r.Tiers {
			if len(tier.Thresholds) < 2 && tier.Thresholds[0].Episodes == 0 {
				continue
			}
			for _, line := range tier.Thresholds {
				how := "from firing levels"
				switch {
				case line.Current:
					how = "as it is"
				case line.Replayed:
					how = "replayed"
				}
				n := strconv.FormatInt(line.Episodes, 10)
				if line.AtLeast {
					n = "≥ " + n
				}
				rows = append(rows, [4]string{plain(r.Rule) + "/" + tier.Tier.String(), line.Condition, n, how})
			}
		}
	}
	t.table("WHAT IF\nRULE\tTHRESHOLD\tEPISODES\t\n", len(rows), func(w io.Writer, i int) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", rows[i][0], rows[i][1], rows[i][2], rows[i][3])
	})
}

func (t *textEpisodes) incidents(s *replay.Summary) {
	t.table("KNOWN INCIDENTS\nRULE\tCAUGHT\tMISSED\tFALSE EPISODES\n", len(s.Rules)+1, func(w io.Writer, i int) {
		name, c := "(all)", s.Incidents
		if i < len(s.Rules) {
			name, c = s.Rules[i].Rule, s.Rules[i].Caught
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\n", plain(name), c.Caught, c.Missed, c.False)
	})
}

func summaryLine(s *replay.Summary) string {
	if s.Points == 0 {
		return "0 points: the recording is empty"
	}
	line := fmt.Sprintf("%s from %s to %s: %s", count(int(s.Points), "point"), timeText(s.Start), timeText(s.End), count(int(s.Episodes), "episode"))
	if s.Late > 0 {
		line += fmt.Sprintf(", %d points late (--window puts more in order)", s.Late)
	}
	if s.Untimed > 0 {
		line += fmt.Sprintf(", %d points without a time", s.Untimed)
	}
	if s.Refused > 0 {
		line += fmt.Sprintf(", %s passed over that cannot be read", count(int(s.Refused), "piece"))
	}
	return line
}

func timeText(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.999Z07:00")
}

// lasted writes seconds as Prometheus writes durations.
func lasted(seconds float64) string {
	if seconds < 1 {
		return model.Duration(time.Duration(seconds * float64(time.Second)).Truncate(time.Millisecond)).String()
	}
	return model.Duration(time.Duration(seconds) * time.Second).String()
}

func number(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}

func short(v *float64) string {
	if v == nil {
		return "-"
	}
	return strconv.FormatFloat(*v, 'g', 5, 64)
}

func labelText(labels map[string]string) string {
	parts := make([]string, 0, len(labels))
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, name+"="+strconv.Quote(labels[name]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// plain keeps what a recording says from moving the terminal's cursor.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '·'
		}
		return r
	}, s)
}
