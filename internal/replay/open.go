package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Format is how a recording is written.
type Format string

// The formats. Auto looks at the content.
const (
	Auto     Format = "auto"
	JSON     Format = "otlp-json"
	Proto    Format = "otlp-proto"
	PromText Format = "prometheus"
	CSV      Format = "csv"
)

// Formats lists them.
var Formats = []string{string(Auto), string(JSON), string(Proto), string(PromText), string(CSV)}

// file is one file of a recording.
type file struct {
	name   string // "-" is the standard input
	format Format
	stdin  io.Reader
	csv    CSVOptions
	// untimedAt is when a scrape without timestamps was.
	untimedAt time.Time
	// read counts the bytes read of all files.
	read *atomic.Int64
	// untimed counts points without a time.
	untimed *int64
}

// opened is a file that is being read.
type opened struct {
	Reader
	format  Format
	closers []func() error
}

func (o *opened) close() {
	for _, c := range slices.Backward(o.closers) {
		_ = c() // it was only read
	}
	o.closers = nil
}

type counted struct {
	from io.Reader
	n    *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// sniffed is how much of a file is looked at to tell its format.
const sniffed = 1 << 20

// open opens a file, whatever it is compressed with, and finds its format.
func (f *file) open() (*opened, error) {
	o := &opened{}
	from := f.stdin
	if f.name != "-" {
		at, err := os.Open(f.name)
		if err != nil {
			return nil, err
		}
		o.closers = append(o.closers, at.Close)
		from = at
	}
	r := bufio.NewReaderSize(counted{from, f.read}, sniffed)
	plain, err := f.decompress(r, o)
	if err != nil {
		o.close()
		return nil, &InputError{File: f.name, Msg: err.Error()}
	}
	if err := f.reader(plain, o); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// decompress looks through gzip and zstd.
func (f *file) decompress(r *bufio.Reader, o *opened) (*bufio.Reader, error) {
	head, _ := r.Peek(4)
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("not a gzip file after all: %w", err)
		}
		o.closers = append(o.closers, z.Close)
		return bufio.NewReaderSize(z, sniffed), nil
	case bytes.HasPrefix(head, zstdMagic):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxPart))
		if err != nil {
			return nil, fmt.Errorf("not a zstd file after all: %w", err)
		}
		o.closers = append(o.closers, func() error { z.Close(); return nil })
		return bufio.NewReaderSize(z, sniffed), nil
	}
	return r, nil
}

// reader gives the format's reader.
func (f *file) reader(r *bufio.Reader, o *opened) error {
	if head, _ := r.Peek(3); bytes.Equal(head, []byte("\xef\xbb\xbf")) {
		_, _ = r.Discard(3)
	}
	head, err := r.Peek(sniffed)
	if len(head) == 0 && err != nil && err != io.EOF {
		return &InputError{File: f.name, Msg: fmt.Sprintf("cannot be read: %v", err)}
	}
	o.format = f.format
	if o.format == Auto || o.format == "" {
		if o.format = sniff(head); o.format == Auto {
			return &InputError{File: f.name, Msg: fmt.Sprintf("no format that is known: say which with --format (%s); it begins %q", strings.Join(Formats[1:], ", "), clip(string(head[:min(len(head), 40)])))}
		}
	}
	switch o.format {
	case JSON:
		if hasJSONLines(head) {
			o.Reader = f.timed(&jsonLines{file: f.name, r: r})
		} else {
			o.Reader = f.timed(newJSONElements(f.name, r))
		}
	case Proto:
		if isPrefixed(head) {
			o.Reader = f.timed(&prefixed{file: f.name, r: r})
		} else {
			o.Reader = f.timed(&single{file: f.name, r: r})
		}
	case PromText:
		o.Reader = f.timed(&promText{file: f.name, r: r, untimedAt: f.untimedAt, kinds: map[string]string{}})
	case CSV:
		o.Reader = newCSV(f.name, r, f.csv)
	default:
		return fmt.Errorf("unknown format %q", o.format)
	}
	return nil
}

func (f *file) timed(d documents) Reader { return &timed{from: d, untimed: f.untimed} }

var promSample = regexp.MustCompile(`^(#|[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})?[ \t]+\S+([ \t]+\S+)?$|\{")`)

// sniff tells the format by how a file begins; Auto: it cannot.
func sniff(head []byte) Format {
	if isBinary(head) {
		return Proto
	}
	text := strings.TrimLeft(string(head), " \t\r\n")
	if strings.HasPrefix(text, "{") {
		if inner := strings.TrimLeft(text[1:], " \t\r\n"); strings.HasPrefix(inner, `"resource`) || strings.HasPrefix(inner, "}") || !promSample.MatchString(firstLine(text)) {
			return JSON
		}
		return PromText
	}
	line := firstLine(text)
	switch {
	case text == "":
		return PromText // an empty file is an empty recording
	case promSample.MatchString(line):
		return PromText
	case strings.ContainsAny(line, ",;\t|"):
		return CSV
	}
	return Auto
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimRight(line, "\r")
}

// isBinary reports whether there are bytes that no text has.
func isBinary(head []byte) bool {
	return bytes.ContainsFunc(head[:min(len(head), 512)], func(r rune) bool { return r < '\t' || r > '\r' && r < ' ' && r != 0x1b })
}

// isPrefixed reports whether a protobuf file begins with a message's length: what follows then is a message's first
// field (1, length-delimited), a zstd frame or a JSON document. A message itself begins with that field.
func isPrefixed(head []byte) bool {
	if len(head) < 4 {
		return false
	}
	n := binary.BigEndian.Uint32(head)
	if head[0] == 0x0a && n > maxPart {
		return false
	}
	rest := head[4:]
	return n == 0 || len(rest) > 0 && (rest[0] == 0x0a || rest[0] == '{' || bytes.HasPrefix(rest, zstdMagic))
}

// hasJSONLines reports whether every line is a document: the first ends where its line does, and the next begins another.
// A document without an end in sight is read piece by piece.
func hasJSONLines(head []byte) bool {
	line, rest, found := bytes.Cut(bytes.TrimLeft(head, " \t\r\n"), []byte{'\n'})
	if !found {
		return false
	}
	line, rest = bytes.TrimSpace(line), bytes.TrimSpace(rest)
	return bytes.HasPrefix(line, []byte("{")) && bytes.HasSuffix(line, []byte("}")) && (len(rest) == 0 || rest[0] == '{')
}
