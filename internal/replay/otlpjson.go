package replay

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// jsonLines reads OTLP JSON with one document per line, as the Collector's file exporter writes it.
type jsonLines struct {
	file string
	r    *bufio.Reader
	line int64
	buf  []byte
}

func (j *jsonLines) next() (pmetric.Metrics, error) {
	for {
		j.line++
		line, whole, err := readLine(j.r, j.buf[:0])
		j.buf = line
		if !whole {
			return pmetric.Metrics{}, &InputError{File: j.file, Line: j.line, Msg: tooLong("a line"), Passable: true}
		}
		if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
			return pmetric.Metrics{}, readError(j.file, j.line, 0, err)
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		md, err := unmarshalJSON(line)
		if err != nil {
			return pmetric.Metrics{}, &InputError{File: j.file, Line: j.line, Msg: notOTLP(err), Passable: true}
		}
		return md, nil
	}
}

func unmarshalJSON(text []byte) (pmetric.Metrics, error) {
	if !json.Valid(text) { // what the unmarshaler takes for JSON is more than JSON
		var v json.RawMessage
		return pmetric.Metrics{}, json.Unmarshal(text, &v)
	}
	return (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(text)
}

func notOTLP(err error) string {
	return fmt.Sprintf("not an OTLP JSON document of metrics: %v", err)
}

// readLine reads one line into buf. whole is false where it is longer than maxPart; it is passed over then.
func readLine(r *bufio.Reader, buf []byte) (line []byte, whole bool, err error) {
	whole = true
	for {
		chunk, err := r.ReadSlice('\n')
		if whole && len(buf)+len(chunk) > maxPart {
			whole, buf = false, buf[:0]
		}
		if whole {
			buf = append(buf, chunk...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return buf, whole, err
		}
	}
}

// jsonElements reads OTLP JSON documents of any size, laid out in any way: one resource at a time.
type jsonElements struct {
	file string
	at   position
	dec  *json.Decoder
	// inside says that the decoder stands in a document, among the elements of resourceMetrics (elements) or its keys.
	inside, elements bool
	done             bool
}

func newJSONElements(file string, r io.Reader) *jsonElements {
	j := &jsonElements{file: file}
	j.at.r = r
	j.dec = json.NewDecoder(&bounded{from: &j.at, dec: &j.dec})
	return j
}

// bounded stops a decoder that buffers more than maxPart for one value.
type bounded struct {
	from *position
	dec  **json.Decoder
}

var errTooLong = errors.New(tooLong("a resource's metrics"))

func (b *bounded) Read(p []byte) (int, error) {
	if *b.dec != nil && b.from.bytes-(*b.dec).InputOffset() > maxPart {
		return 0, errTooLong
	}
	return b.from.Read(p)
}

func (j *jsonElements) next() (pmetric.Metrics, error) {
	if j.done {
		return pmetric.Metrics{}, io.EOF
	}
	md, err := j.element()
	if err == nil {
		return md, nil
	}
	var bad *InputError
	if errors.As(err, &bad) && bad.Passable {
		return md, err
	}
	j.done = true
	if errors.Is(err, io.EOF) && !j.inside {
		return md, io.EOF
	}
	if bad != nil {
		return md, err
	}
	return md, &InputError{File: j.file, Offset: j.dec.InputOffset(), Msg: notOTLP(err)}
}

// element gives the next resource.
func (j *jsonElements) element() (pmetric.Metrics, error) {
	for {
		switch {
		case !j.inside:
			if err := j.delim('{'); err != nil {
				return pmetric.Metrics{}, err
			}
			j.inside = true
		case j.elements && j.dec.More():
			offset := j.dec.InputOffset()
			var element json.RawMessage
			if err := j.dec.Decode(&element); err != nil {
				return pmetric.Metrics{}, unexpectedEOF(err)
			}
			md, err := unmarshalJSON(slicesConcat(`{"resourceMetrics":[`, element, `]}`))
			if err != nil {
				err = &InputError{File: j.file, Offset: offset, Msg: notOTLP(err), Passable: true}
			}
			return md, err
		case j.elements:
			if err := j.delim(']'); err != nil {
				return pmetric.Metrics{}, err
			}
			j.elements = false
		case !j.dec.More():
			if err := j.delim('}'); err != nil {
				return pmetric.Metrics{}, err
			}
			j.inside = false
		default:
			if err := j.key(); err != nil {
				return pmetric.Metrics{}, err
			}
		}
	}
}

// key reads one key of a document: resourceMetrics is gone into, whatever else there is passed over.
func (j *jsonElements) key() error {
	key, err := j.dec.Token()
	if err != nil {
		return unexpectedEOF(err)
	}
	if key != "resourceMetrics" && key != "resource_metrics" {
		var passed json.RawMessage
		return unexpectedEOF(j.dec.Decode(&passed))
	}
	token, err := j.dec.Token()
	switch {
	case err != nil:
		return unexpectedEOF(err)
	case token == nil: // null
	case token == json.Delim('['):
		j.elements = true
	default:
		return fmt.Errorf("resourceMetrics must be a list (got %v)", token)
	}
	return nil
}

func (j *jsonElements) delim(want json.Delim) error {
	token, err := j.dec.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("expected %q (got %v)", want.String(), token)
	}
	return nil
}

func unexpectedEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func slicesConcat(before string, middle []byte, after string) []byte {
	b := make([]byte, 0, len(before)+len(middle)+len(after))
	return append(append(append(b, before...), middle...), after...)
}
