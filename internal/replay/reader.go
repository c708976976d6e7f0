// Package replay says what rules would have done on a recording: recordings of any size in, in order of time, and
// episodes out. Time is the recording's own.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Batch is what a recording holds at one time.
type Batch struct {
	// Time is the time of its newest point; no point is more than a second older.
	Time    time.Time
	Metrics pmetric.Metrics
	Points  int
}

// Reader gives the batches of one file, in the file's order. It ends with io.EOF. After an *InputError the next call goes
// on behind what could not be read, or ends.
type Reader interface {
	Next(ctx context.Context) (Batch, error)
}

// InputError is something in a recording that cannot be read.
type InputError struct {
	File string
	// Line counts from 1; 0 where the format has no lines, then Offset says at which byte (decompressed, from 0) it is.
	Line   int64
	Offset int64
	Msg    string
	// Passable says that reading can go on behind it.
	Passable bool
}

// Error gives place and message.
func (e *InputError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
	}
	return fmt.Sprintf("%s: byte %d: %s", e.File, e.Offset, e.Msg)
}

// documents is a format whose parts may each hold points of many times: OTLP and text.
type documents interface {
	// next returns one part; io.EOF ends.
	next() (pmetric.Metrics, error)
}

// timed is the Reader of documents: it takes them apart by time.
type timed struct {
	from    documents
	waiting []Batch
	// untimed counts points without a timestamp, which no reader can place.
	untimed *int64
}

func (t *timed) Next(ctx context.Context) (Batch, error) {
	for len(t.waiting) == 0 {
		if err := ctx.Err(); err != nil {
			return Batch{}, err
		}
		md, err := t.from.next()
		if err != nil {
			return Batch{}, err
		}
		var untimed int
		t.waiting, untimed = apart(md)
		*t.untimed += int64(untimed)
	}
	b := t.waiting[0]
	t.waiting[0] = Batch{}
	t.waiting = t.waiting[1:]
	return b, nil
}

// maxPart bounds what must be in memory at once to read one part of a file: a line, a message, a resource.
const maxPart = 64 << 20

// tooLong says what to do about a part that does not fit.
func tooLong(what string) string {
	return fmt.Sprintf("%s of more than %d MiB: split the recording into smaller requests, as the Collector's batch processor does", what, maxPart>>20)
}

// position counts bytes and lines.
type position struct {
	r     io.Reader
	bytes int64
}

func (p *position) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.bytes += int64(n)
	return n, err
}

// readError is an error of the file itself, such as a compressed one that was cut off: nothing more can be read.
func readError(file string, line, offset int64, err error) error {
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return &InputError{File: file, Line: line, Offset: offset, Msg: fmt.Sprintf("cannot be read on: %v", err)}
}
