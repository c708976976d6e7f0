package replay

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// prefixed reads messages that each follow their length (4 bytes, big-endian), as the Collector's file exporter writes
// protobuf, and whatever it compresses: then each message is a zstd frame of its own, of protobuf or of JSON.
type prefixed struct {
	file   string
	r      *bufio.Reader
	offset int64
	buf    []byte
	zstd   *zstd.Decoder
	done   bool
}

var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

func (p *prefixed) next() (pmetric.Metrics, error) {
	if p.done {
		return pmetric.Metrics{}, io.EOF
	}
	start := p.offset
	var size [4]byte
	if _, err := io.ReadFull(p.r, size[:]); err != nil {
		p.done = true
		if errors.Is(err, io.EOF) {
			return pmetric.Metrics{}, io.EOF
		}
		return pmetric.Metrics{}, p.bad(start, false, "a message's length is cut off: %v", err)
	}
	n := int64(binary.BigEndian.Uint32(size[:]))
	p.offset += 4 + n
	if n > maxPart {
		if _, err := io.CopyN(io.Discard, p.r, n); err != nil {
			p.done = true
			return pmetric.Metrics{}, p.bad(start, false, "no message can be %d bytes long: the file is damaged here, or no length-prefixed protobuf", n)
		}
		return pmetric.Metrics{}, p.bad(start, true, "%s", tooLong("a message"))
	}
	if int64(cap(p.buf)) < n {
		p.buf = make([]byte, n)
	}
	p.buf = p.buf[:n]
	if _, err := io.ReadFull(p.r, p.buf); err != nil {
		p.done = true
		return pmetric.Metrics{}, p.bad(start, false, "a message of %d bytes is cut off: the recording was not finished, or is still being written: %v", n, err)
	}
	md, err := p.message(p.buf)
	if err != nil {
		return md, p.bad(start, true, "%v", err)
	}
	return md, nil
}

func (p *prefixed) message(b []byte) (pmetric.Metrics, error) {
	if bytes.HasPrefix(b, zstdMagic) {
		if p.zstd == nil {
			decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPart))
			if err != nil {
				return pmetric.Metrics{}, err
			}
			p.zstd = decoder
		}
		plain, err := p.zstd.DecodeAll(b, nil)
		if err != nil {
			return pmetric.Metrics{}, fmt.Errorf("the message cannot be decompressed: %w", err)
		}
		b = plain
	}
	if trimmed := bytes.TrimSpace(b); len(trimmed) > 0 && trimmed[0] == '{' {
		return unmarshalJSON(trimmed)
	}
	return unmarshalProto(b)
}

func (p *prefixed) bad(offset int64, passable bool, format string, args ...any) error {
	return &InputError{File: p.file, Offset: offset, Msg: fmt.Sprintf(format, args...), Passable: passable}
}

func unmarshalProto(b []byte) (pmetric.Metrics, error) {
	md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(b)
	if err != nil {
		return md, fmt.Errorf("not an OTLP protobuf message of metrics: %w", err)
	}
	return md, nil
}

// single reads a file that is one ExportMetricsServiceRequest.
type single struct {
	file string
	r    io.Reader
	done bool
}

func (s *single) next() (pmetric.Metrics, error) {
	if s.done {
		return pmetric.Metrics{}, io.EOF
	}
	s.done = true
	b, err := io.ReadAll(io.LimitReader(s.r, maxPart+1))
	if err != nil {
		return pmetric.Metrics{}, readError(s.file, 0, int64(len(b)), err)
	}
	if len(b) > maxPart {
		return pmetric.Metrics{}, &InputError{File: s.file, Msg: tooLong("a message")}
	}
	md, err := unmarshalProto(b)
	if err != nil {
		return md, &InputError{File: s.file, Msg: err.Error()}
	}
	return md, nil
}
