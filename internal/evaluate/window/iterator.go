package window

import (
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// iterator reads one series as it was when the iterator was set on it. It holds no lock and can be set on another series.
type iterator struct {
	mint, maxt int64
	closed     []closed
	open       []byte
	encoding   chunkenc.Encoding
	// plain says that the newest sample is still to come: st, t, v.
	plain bool
	st, t int64
	v     float64

	// in reads a chunk, nil before the first and after the last.
	in      chunkenc.Iterator
	at      chunkenc.ValueType // what the iterator stands on
	atPlain bool
	err     error

	floats     chunkenc.XOR2Chunk
	onFloats   chunkenc.Iterator
	histograms [2]chunkenc.Iterator
}

var _ chunkenc.Iterator = (*iterator)(nil)

// reset sets the iterator on the samples of s from mint to maxt; the caller holds the series' shard. With newest, only
// the newest of them is needed.
func (it *iterator) reset(s *series, mint, maxt int64, newest bool) {
	it.mint, it.maxt = mint, maxt
	it.closed, it.open, it.encoding = nil, s.open, s.encoding
	it.plain, it.st, it.t, it.v = s.plain, s.start(), s.t, s.v
	it.in, it.at, it.atPlain, it.err = nil, chunkenc.ValNone, false, nil
	switch {
	case s.t < mint:
		it.open, it.plain = nil, false
	case newest && s.plain && s.t <= maxt:
		it.open = nil
	case s.past != nil:
		it.closed = s.past.closed
	}
}

// Next goes on to the next sample.
func (it *iterator) Next() chunkenc.ValueType {
	return it.seek(it.mint, true)
}

// Seek goes on to the first sample at t or later, or stays where it is if that is one.
func (it *iterator) Seek(t int64) chunkenc.ValueType { //nolint:govet // Prometheus' Seek, not io.Seeker's
	if it.at != chunkenc.ValNone && it.AtT() >= t {
		return it.at
	}
	return it.seek(max(t, it.mint), false)
}

func (it *iterator) seek(t int64, next bool) chunkenc.ValueType {
	if it.err != nil || it.at == chunkenc.ValNone && it.finished() {
		return it.end()
	}
	for {
		if it.in == nil && !it.enter(t) {
			break
		}
		var at chunkenc.ValueType
		if next {
			at = it.in.Next()
			if at != chunkenc.ValNone && it.in.AtT() < t {
				at = it.in.Seek(t)
			}
		} else {
			at = it.in.Seek(t)
		}
		if at == chunkenc.ValNone {
			if it.err = it.in.Err(); it.err != nil {
				return it.end()
			}
			it.in = nil
			continue
		}
		if it.in.AtT() > it.maxt {
			return it.end()
		}
		it.at = at
		return at
	}
	if it.plain && it.t >= t && it.t <= it.maxt {
		it.plain, it.atPlain, it.at = false, true, chunkenc.ValFloat
		return it.at
	}
	return it.end()
}

func (it *iterator) finished() bool {
	return it.in == nil && len(it.closed) == 0 && it.open == nil && !it.plain
}

// end makes the iterator one that has nothing more.
func (it *iterator) end() chunkenc.ValueType {
	it.in, it.closed, it.open, it.plain, it.atPlain = nil, nil, nil, false, false
	it.at = chunkenc.ValNone
	return it.at
}

// enter begins the next chunk that may have samples at t or later, and reports whether there is one.
func (it *iterator) enter(t int64) bool {
	for len(it.closed) > 0 {
		c := it.closed[0]
		it.closed = it.closed[1:]
		if c.last >= t {
			it.begin(c.bytes, c.encoding)
			return true
		}
	}
	if it.open == nil {
		return false
	}
	it.begin(it.open, it.encoding)
	it.open = nil
	return true
}

func (it *iterator) begin(chunk []byte, encoding chunkenc.Encoding) {
	if encoding == chunkenc.EncXOR2 {
		it.floats.Reset(chunk)
		it.onFloats = it.floats.Iterator(it.onFloats)
		it.in = it.onFloats
		return
	}
	i := 0
	if encoding == chunkenc.EncFloatHistogramST {
		i = 1
	}
	c, err := chunkenc.FromData(encoding, chunk)
	if err != nil { // not with encodings that are written here
		it.err, it.in = err, chunkenc.NewNopIterator()
		return
	}
	it.histograms[i] = c.Iterator(it.histograms[i])
	it.in = it.histograms[i]
}

// At is the current sample, if it is a float.
func (it *iterator) At() (int64, float64) {
	if it.atPlain {
		return it.t, it.v
	}
	return it.in.At()
}

// AtHistogram is the current sample, if it is a histogram.
func (it *iterator) AtHistogram(h *histogram.Histogram) (int64, *histogram.Histogram) {
	return it.in.AtHistogram(h)
}

// AtFloatHistogram is the current sample, if it is a histogram of either kind.
func (it *iterator) AtFloatHistogram(h *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return it.in.AtFloatHistogram(h)
}

// AtT is the current sample's time.
func (it *iterator) AtT() int64 {
	if it.atPlain {
		return it.t
	}
	return it.in.AtT()
}

// AtST is the current sample's start time, 0 where it is not known.
func (it *iterator) AtST() int64 {
	if it.atPlain {
		return it.st
	}
	return it.in.AtST()
}

// Err is what went wrong.
func (it *iterator) Err() error { return it.err }
