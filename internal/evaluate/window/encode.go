package window

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// What chunks without samples look like.
var (
	emptyFloats     = chunkenc.NewXOR2Chunk().Bytes()
	emptyHistograms = chunkenc.NewHistogramSTChunk().Bytes() // the same for both kinds
)

// scratch is what encoding needs, to be used again.
type scratch struct {
	chunk   chunkenc.XOR2Chunk
	reading chunkenc.XOR2Chunk
	bytes   []byte
	read    chunkenc.Iterator
	// withdrawn is how many samples were taken back.
	withdrawn int64
}

// raws is how many samples may lie behind an open chunk as they are, of rawSize bytes each.
const (
	raws    = 3
	rawSize = 16
)

// withRaw returns the chunk with one more sample behind it.
func withRaw(open []byte, t int64, v float64) []byte {
	if open == nil {
		open = emptyFloats
	}
	to := make([]byte, len(open)+rawSize)
	n := copy(to, open)
	binary.LittleEndian.PutUint64(to[n:], uint64(t))
	binary.LittleEndian.PutUint64(to[n+8:], math.Float64bits(v))
	return to
}

// firstRaw reads the first of some raw samples and returns the others.
func firstRaw(b []byte) (t int64, v float64, others []byte) {
	return int64(binary.LittleEndian.Uint64(b)), math.Float64frombits(binary.LittleEndian.Uint64(b[8:])), b[rawSize:]
}

// split returns the chunk and the raw samples behind it.
func split(open []byte, raw int) (chunk, samples []byte) {
	n := len(open) - raw*rawSize
	return open[:n:n], open[n:]
}

// float returns a new chunk: what the open one and the raw samples behind it have since from, and the sample.
func (to *scratch) float(open []byte, raw int, from, st, t int64, v float64) []byte {
	if open == nil {
		open = emptyFloats
	}
	old, samples := split(open, raw)
	whole := from == math.MinInt64
	if whole {
		to.bytes = append(to.bytes[:0], old...)
	} else {
		to.bytes = append(to.bytes[:0], emptyFloats...)
	}
	to.chunk.Reset(to.bytes)
	appender := resume(&to.chunk)
	if !whole {
		to.reading.Reset(old)
		to.read = to.reading.Iterator(to.read)
		for to.read.Next() != chunkenc.ValNone {
			if t, v := to.read.At(); t >= from {
				appender.Append(to.read.AtST(), t, v)
			}
		}
	}
	for len(samples) > 0 {
		var t int64
		var v float64
		t, v, samples = firstRaw(samples)
		appender.Append(0, t, v)
	}
	appender.Append(st, t, v)
	to.bytes = to.chunk.Bytes()
	return exactly(to.bytes)
}

// resume takes up a chunk where it ends. These chunks are the window's own; one that cannot be read is a defect here.
func resume(c chunkenc.Chunk) chunkenc.Appender {
	a, err := c.Appender()
	if err != nil {
		panic(fmt.Sprintf("window: a chunk of its own making cannot be read: %v", err))
	}
	return a
}

func exactly(b []byte) []byte {
	to := make([]byte, len(b))
	copy(to, b)
	return to
}

// histogram adds a histogram to the open chunk, or to a new one where the appender asks for it: after a counter reset or
// where the schema changes. Where buckets come or go the chunk is encoded anew.
func (s *series) histogram(sm sample, to *scratch) {
	open := s.open
	if open == nil {
		open = emptyHistograms
	}
	to.bytes = append(to.bytes[:0], open...)
	chunk, err := chunkenc.FromData(s.encoding, to.bytes)
	if err != nil {
		panic(fmt.Sprintf("window: %v", err))
	}
	appender := resume(chunk)
	var other chunkenc.Chunk
	var recoded bool
	// The appender may change the spans and buckets of what it is given, though never those that they share: a copy of
	// the struct is enough to leave the caller's as it is.
	if sm.fh != nil {
		h := *sm.fh
		other, recoded, _, err = appender.AppendFloatHistogram(nil, sm.st, sm.t, &h, false)
	} else {
		h := *sm.h
		other, recoded, _, err = appender.AppendHistogram(nil, sm.st, sm.t, &h, false)
	}
	if err != nil {
		panic(fmt.Sprintf("window: a histogram cannot be appended: %v", err))
	}
	switch {
	case other == nil:
		to.bytes = chunk.Bytes()
		s.open = exactly(to.bytes)
		return
	case !recoded:
		s.close()
	}
	s.open = exactly(other.Bytes())
}
