package replay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate/translate"
)

// CSVOptions say which column is which, where their names do not.
type CSVOptions struct {
	// TimeColumn and ValueColumn are names of columns; "" finds them.
	TimeColumn, ValueColumn string
	// Metric names the metric of the long form (a value column); "" is the column `metric`, or else the value column's name.
	Metric string
	// FileLabel is a label that every series gets: the file's name without its endings. "" gives none.
	FileLabel string
}

// timeColumns and valueColumns are names that columns commonly have.
var (
	timeColumns  = []string{"time", "timestamp", "ts", "datetime", "date", "@timestamp", "_time", "unix", "epoch"}
	valueColumns = []string{"value", "_value", "val"}
	nameColumns  = []string{"metric", "__name__", "_measurement"}
)

// maxRow bounds the points of one batch: rows of one time go together.
const maxRow = 1000

// csvReader reads CSV in the long form (time, value, labels) or in the wide one (time, one column per metric, labels).
type csvReader struct {
	file   string
	opts   CSVOptions
	csv    *csv.Reader
	face   clockFace
	header []string
	// at are the columns: time, value and name (-1: there is none), and what is label and metric.
	time, value, name int
	labels, metrics   []int
	// ahead is a row that was read and belongs to the next batch.
	ahead     []string
	aheadTime time.Time
	failed    error
	done      bool
}

func newCSV(file string, r *bufio.Reader, opts CSVOptions) *csvReader {
	c := &csvReader{file: file, opts: opts, value: -1, name: -1, csv: csv.NewReader(&lineGuard{r: r})}
	c.csv.Comma = delimiter(r)
	c.csv.ReuseRecord = true
	c.csv.TrimLeadingSpace = true
	c.csv.Comment = '#'
	return c
}

// lineGuard refuses quoted fields and lines that grow without bound.
type lineGuard struct {
	r     *bufio.Reader
	since int
}

func (g *lineGuard) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	if i := bytes.LastIndexByte(p[:n], '\n'); i >= 0 {
		g.since = n - i
	} else if g.since += n; g.since > maxPart {
		return 0, errors.New(tooLong("a line"))
	}
	return n, err
}

// delimiter is the one that stands most often in the first line.
func delimiter(r *bufio.Reader) rune {
	head, _ := r.Peek(4096)
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	best, most := ',', 0
	for _, d := range ",;\t|" {
		if n := bytes.Count(line, []byte(string(d))); n > most {
			best, most = d, n
		}
	}
	return best
}

func (c *csvReader) Next(ctx context.Context) (Batch, error) {
	if err := c.failed; err != nil { // met while the batch before was filled
		c.failed = nil
		return Batch{}, err
	}
	if c.done {
		return Batch{}, io.EOF
	}
	if c.header == nil {
		if err := c.columns(); err != nil {
			c.done = true
			return Batch{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return Batch{}, err
	}
	for {
		b, err := c.batch()
		if err != nil || b.Points > 0 {
			return b, err
		}
	}
}

// batch reads rows of one time.
func (c *csvReader) batch() (Batch, error) {
	row, at := c.ahead, c.aheadTime
	c.ahead = nil
	if row == nil {
		var err error
		if row, at, err = c.row(); err != nil {
			return Batch{}, err
		}
	}
	b := Batch{Time: at, Metrics: pmetric.NewMetrics()}
	to := b.Metrics.ResourceMetrics()
	for {
		n, err := c.fill(to, row, at)
		b.Points += n
		if err == nil && b.Points < maxRow {
			row, at, err = c.row()
			if err == nil && at.Equal(b.Time) {
				continue
			}
			if err == nil {
				c.ahead, c.aheadTime = row, at
			}
		}
		switch {
		case err == nil, errors.Is(err, io.EOF) && b.Points > 0:
			return b, nil
		case b.Points == 0:
			return Batch{}, err
		default:
			c.failed = err
			return b, nil
		}
	}
}

// row reads one row and its time.
func (c *csvReader) row() ([]string, time.Time, error) {
	row, err := c.csv.Read()
	if err != nil {
		return nil, time.Time{}, c.readFailed(err)
	}
	at, ok := c.face.parse(strings.TrimSpace(row[c.time]))
	if !ok {
		return nil, time.Time{}, c.bad(c.time, "no time: RFC 3339, 2006-01-02 15:04:05 (UTC), or Unix seconds, milliseconds, microseconds or nanoseconds (got %q)", clip(row[c.time]))
	}
	return row, at, nil
}

// readFailed says what is wrong with the form of a row, or with the file.
func (c *csvReader) readFailed(err error) error {
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		c.done = true
		return io.EOF
	}
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return &InputError{File: c.file, Line: int64(parse.Line), Passable: true, Msg: fmt.Sprintf("not a row like the first: %v (column %d)", parse.Err, parse.Column)}
	}
	c.done = true
	line, _ := c.csv.FieldPos(0)
	return &InputError{File: c.file, Line: int64(line), Msg: fmt.Sprintf("cannot be read on: %v", err)}
}

func (c *csvReader) bad(column int, format string, args ...any) error {
	line, _ := c.csv.FieldPos(column)
	return &InputError{
		File: c.file, Line: int64(line), Passable: true,
		Msg: fmt.Sprintf("column %q: ", c.header[column]) + fmt.Sprintf(format, args...),
	}
}

// fill makes points of a row. Empty fields are no points.
func (c *csvReader) fill(to pmetric.ResourceMetricsSlice, row []string, at time.Time) (int, error) {
	columns := c.metrics
	if c.value >= 0 {
		columns = []int{c.value}
	}
	n := 0
	for _, i := range columns {
		text := strings.TrimSpace(row[i])
		if text == "" {
			continue
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return n, c.bad(i, "not a number (got %q): name the value's column with --value-column, or leave missing values empty", clip(text))
		}
		c.point(to, row, c.metric(row, i), at).SetDoubleValue(v)
		n++
	}
	return n, nil
}

func (c *csvReader) metric(row []string, column int) string {
	switch {
	case c.value < 0:
		return c.header[column]
	case c.opts.Metric != "":
		return c.opts.Metric
	case c.name >= 0:
		return row[c.name]
	default:
		return c.header[column]
	}
}

// point appends a point of a gauge. The labels job and instance become the resource's attributes from which they come in
// a pipeline.
func (c *csvReader) point(to pmetric.ResourceMetricsSlice, row []string, metric string, at time.Time) pmetric.NumberDataPoint {
	rm := to.AppendEmpty()
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(metric)
	m.Metadata().PutStr(translate.TypeKey, translate.TypeUnknown) // a table says nothing of types
	p := m.SetEmptyGauge().DataPoints().AppendEmpty()
	p.SetTimestamp(pcommon.NewTimestampFromTime(at))
	if c.opts.FileLabel != "" {
		putLabel(rm.Resource().Attributes(), p.Attributes(), c.opts.FileLabel, stem(c.file))
	}
	for _, i := range c.labels {
		if row[i] != "" {
			putLabel(rm.Resource().Attributes(), p.Attributes(), c.header[i], row[i])
		}
	}
	return p
}

func putLabel(resource, point pcommon.Map, name, value string) {
	switch name {
	case "job":
		resource.PutStr("service.name", value)
	case "instance":
		resource.PutStr("service.instance.id", value)
	default:
		point.PutStr(name, value)
	}
}

// stem is a file's name without directories and endings.
func stem(path string) string {
	name := filepath.Base(path)
	for _, ending := range []string{".gz", ".zst", ".csv", ".tsv", ".txt"} {
		name = strings.TrimSuffix(name, ending)
	}
	return name
}

// columns reads the header and finds out which column is which.
func (c *csvReader) columns() error {
	row, err := c.csv.Read()
	if err != nil {
		return c.readFailed(err)
	}
	c.header = slices.Clone(row)
	for i := range c.header {
		c.header[i] = strings.TrimSpace(strings.TrimPrefix(c.header[i], "\ufeff"))
	}
	first, err := c.csv.Read()
	if err != nil {
		return c.readFailed(err)
	}
	if c.time, err = c.find("--time-column", c.opts.TimeColumn, timeColumns); err != nil {
		return err
	}
	if c.time < 0 {
		c.time = slices.IndexFunc(first, func(field string) bool {
			_, ok := c.face.parse(strings.TrimSpace(field))
			return ok
		})
	}
	if c.time < 0 {
		return &InputError{File: c.file, Line: 1, Msg: fmt.Sprintf("no column holds times: name one with --time-column (columns: %s)", clip(strings.Join(c.header, ", ")))}
	}
	if c.value, err = c.find("--value-column", c.opts.ValueColumn, valueColumns); err != nil {
		return err
	}
	c.name = -1
	if c.value >= 0 && c.opts.Metric == "" {
		c.name, _ = c.find("", "", nameColumns)
	}
	for i := range c.header {
		_, err := strconv.ParseFloat(strings.TrimSpace(first[i]), 64)
		number := err == nil || strings.TrimSpace(first[i]) == ""
		switch {
		case i == c.time, i == c.value, i == c.name:
		case c.value < 0 && number:
			c.metrics = append(c.metrics, i)
		default:
			c.labels = append(c.labels, i)
		}
	}
	if c.value < 0 && len(c.metrics) == 0 {
		return &InputError{File: c.file, Line: 1, Msg: fmt.Sprintf("no column holds numbers: name the value's with --value-column (columns: %s)", clip(strings.Join(c.header, ", ")))}
	}
	at, ok := c.face.parse(strings.TrimSpace(first[c.time]))
	if !ok {
		c.failed = c.bad(c.time, "no time (got %q)", clip(first[c.time]))
		return nil
	}
	c.ahead, c.aheadTime = slices.Clone(first), at
	return nil
}

// find is the column of a name, or the first that has one of the usual names; -1: none.
func (c *csvReader) find(flag, name string, usual []string) (int, error) {
	if name != "" {
		i := slices.Index(c.header, name)
		if i < 0 {
			return -1, &InputError{File: c.file, Line: 1, Msg: fmt.Sprintf("there is no column %q, which %s names (columns: %s)", name, flag, clip(strings.Join(c.header, ", ")))}
		}
		return i, nil
	}
	for _, want := range usual {
		if i := slices.IndexFunc(c.header, func(h string) bool { return strings.EqualFold(h, want) }); i >= 0 {
			return i, nil
		}
	}
	return -1, nil
}

// clip shortens what is shown of a file.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
