package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// played reads files to their end through the merger: the times in seconds since epoch, in the order of playing.
func played(t *testing.T, window time.Duration, names ...string) (times []int, m *merger) {
	t.Helper()
	var read atomic.Int64
	var untimed int64
	var files []*file
	for _, name := range names {
		files = append(files, &file{name: name, format: Auto, read: &read, untimed: &untimed, untimedAt: epoch})
	}
	m, err := newMerger(context.Background(), files, window, func(err error) error { return err })
	require.NoError(t, err)
	defer m.close()
	for {
		b, late, err := m.next(context.Background())
		if errors.Is(err, io.EOF) {
			return times, m
		}
		require.NoError(t, err)
		at := int(b.Time.Sub(epoch) / time.Second)
		if late {
			at = -at
		}
		for range b.Points {
			times = append(times, at)
		}
	}
}

// at makes CSV with a row at each of these seconds.
func at(seconds ...int) string {
	var b strings.Builder
	b.WriteString("time,value\n")
	for _, s := range seconds {
		fmt.Fprintf(&b, "%s,%d\n", epoch.Add(time.Duration(s)*time.Second).Format(time.RFC3339), s)
	}
	return b.String()
}

func TestFilesAreMergedInOrderOfTime(t *testing.T) {
	a := write(t, "a.csv", at(10, 40, 70, 100))
	b := write(t, "b.csv", at(20, 30, 110))
	c := write(t, "c.csv", at(5))
	times, _ := played(t, time.Minute, a, b, c)
	assert.Equal(t, []int{5, 10, 20, 30, 40, 70, 100, 110}, times)
}

func TestDisorderWithinTheWindowIsPutInOrder(t *testing.T) {
	name := write(t, "a.csv", at(30, 10, 60, 20, 90, 70, 200, 140))
	times, m := played(t, time.Minute, name)
	assert.Equal(t, []int{10, 20, 30, 60, 70, 90, 140, 200}, times)
	assert.Zero(t, m.late)
}

func TestWhatComesTooLateIsPlayedLateAndCounted(t *testing.T) {
	name := write(t, "a.csv", at(100, 200, 300, 50, 400))
	times, m := played(t, time.Minute, name)
	assert.Equal(t, []int{100, 200, -50, 300, 400}, times, "50 came when 300 was not played yet, and 200 was")
	assert.EqualValues(t, 1, m.late)
}

func TestAWildTimeDoesNotMoveTheClock(t *testing.T) {
	name := write(t, "a.csv", at(10, 1_000_000_000, 20, 30, 40))
	times, m := played(t, time.Minute, name)
	assert.Equal(t, []int{10, 20, 30, 40, 1_000_000_000}, times)
	assert.Zero(t, m.late)
}

// More files than may be open at a time are closed again until their time comes.
func TestManyFiles(t *testing.T) {
	var names []string
	var want []int
	const n = 3 * maxOpen
	for i := range n {
		names = append(names, write(t, "a.csv", at(n-i, 10*n-i, 20*n-i)))
	}
	for from := 1; from <= 19*n+1; from += map[bool]int{true: 9 * n, false: 10 * n}[from == 1] {
		for i := range n {
			want = append(want, from+i)
		}
	}
	times, m := played(t, time.Minute, names...)
	assert.Equal(t, want, times)
	assert.Zero(t, m.open, "every file is closed")
}

// A document may hold hours.
func TestPointsOfOneDocumentAreTakenApart(t *testing.T) {
	md := pmetric.NewMetrics()
	for r := range 2 {
		rm := md.ResourceMetrics().AppendEmpty()
		rm.Resource().Attributes().PutInt("r", int64(r))
		m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName("m")
		m.SetUnit("By")
		points := m.SetEmptyGauge().DataPoints()
		for i := range 3 {
			p := points.AppendEmpty()
			p.SetTimestamp(pcommon.NewTimestampFromTime(epoch.Add(time.Duration(60*(2-i)) * time.Second)))
			p.SetIntValue(int64(10*r + i))
		}
	}
	points := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints()
	points.AppendEmpty().SetIntValue(99) // without a time
	batches, untimed := apart(md)
	assert.Equal(t, 1, untimed)
	require.Len(t, batches, 3)
	for i, b := range batches {
		assert.Equal(t, epoch.Add(time.Duration(i)*time.Minute), b.Time)
		require.Equal(t, 2, b.Metrics.ResourceMetrics().Len(), "both resources have a point at every time")
		m := b.Metrics.ResourceMetrics().At(1).ScopeMetrics().At(0).Metrics().At(0)
		assert.Equal(t, "By", m.Unit())
		assert.EqualValues(t, 12-i, m.Gauge().DataPoints().At(0).IntValue())
		if i == 2 {
			assert.Equal(t, 3, b.Points, "what has no time goes with the newest")
		}
	}
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"a.csv", "time,value\n2026-03-01T08:00:00Z,1\nyesterday,2\n", "a.csv:3: column \"time\": no time: RFC 3339"},
		{"a.csv", "time,value\n2026-03-01T08:00:00Z,1\n2026-03-01T08:00:00Z,1,2\n", "a.csv:3: not a row like the first"},
		{"a.csv", "time,value\n2026-03-01T08:00:00Z,1\n2026-03-01T08:01:00Z,x\n", "a.csv:3: column \"value\": not a number (got \"x\")"},
		{"a.csv", "a,b\nx,y\n", "a.csv:1: no column holds times: name one with --time-column (columns: a, b)"},
		{"a.json", "{\"resourceMetrics\":[]}\n{\"resourceMetrics\":7}\n{\"resourceMetrics\":[]}\n", "a.json:2: not an OTLP JSON document of metrics"},
		{"a.json", "{\"resourceMetrics\": [\n{\"resource\":{}},\n{\"resource\":", "a.json: byte 38: not an OTLP JSON document of metrics: unexpected EOF"},
		{"a.prom", "m 1 1772352000000\nm{a=\"b\" 1\n", "a.prom:2: not a sample"},
		{"a.prom", "m 1 1772352000000\nm{a=b} 1 1772352060000\n", "a.prom:2: the scrape that begins here is not in Prometheus' text format"},
		{"a.pb", "\x00\x00\x00\x09\x0a\x00", "a.pb: byte 0: a message of 9 bytes is cut off"},
		{"a.bin", "\x00\x00\x00\x01\x0a", "a.bin: byte 0: not an OTLP protobuf message"},
		{"a.gz", "\x1f\x8bno gzip", "a.gz: byte 0: not a gzip file after all"},
		{"a.txt", "hello\n", "a.txt: byte 0: no format that is known: say which with --format"},
	} {
		t.Run(c.want, func(t *testing.T) {
			path := write(t, c.name, c.content)
			_, err := Run(context.Background(), defaults(rulesOf(t, modelRules), path))
			require.ErrorContains(t, err, c.want)
			assert.True(t, strings.HasPrefix(err.Error(), path), err.Error())
		})
	}
	_, err := Run(context.Background(), defaults(rulesOf(t, modelRules), "nowhere.json"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestKeepGoingPassesOverAndCounts(t *testing.T) {
	good := `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"timeUnixNano":"%d","asDouble":1}]}}]}]}]}` + "\n"
	json := fmt.Sprintf(good, epoch.UnixNano()) + "{]}\n" + fmt.Sprintf(good, epoch.Add(time.Minute).UnixNano())
	csv := "time,value\n" + epoch.Format(time.RFC3339) + ",1\nno,2\n" + epoch.Add(time.Minute).Format(time.RFC3339) + ",3\nno,4\n"
	prom := fmt.Sprintf("m 1 %d\nm{ 1\nm 2 %d\n", epoch.UnixMilli(), epoch.Add(time.Minute).UnixMilli())
	for name, c := range map[string]struct {
		content string
		refused int64
	}{"a.json": {json, 1}, "a.csv": {csv, 2}, "a.prom": {prom, 1}} {
		t.Run(name, func(t *testing.T) {
			opts := defaults(rulesOf(t, modelRules), write(t, name, c.content))
			opts.KeepGoing = true
			var told int64
			opts.Refused = func(error) { told++ }
			s, err := Run(context.Background(), opts)
			require.NoError(t, err)
			assert.EqualValues(t, 2, s.Points)
			assert.Equal(t, c.refused, s.Refused)
			assert.Equal(t, c.refused, told)
		})
	}
}
