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
	// raw are the samples behind the open chunk; plain says that the newest is still to come.
	raw   []byte
	plain bool
	last  point

	// in reads a chunk, nil before the first and after the last.
	in      chunkenc.Iterator
	at      chunkenc.ValueType // what the iterator stands on
	current point              // that, if it is none of a chunk
	err     error

	floats     chunkenc.XOR2Chunk
	onFloats   chunkenc.Iterator
	histograms [2]chunkenc.Iterator
}

// point is a sample that is not in a chunk.
type point struct {
	st, t int64
	v     float64
}

var _ chunkenc.Iterator = (*iterator)(nil)

// reset sets the iterator on the samples of s from mint to maxt; the caller holds the series' shard. With newest, only
// the newest of them is needed.
func (it *iterator) reset(s *series, mint, maxt int64, newest bool) {
	it.mint, it.maxt = mint, maxt
	it.closed, it.open, it.raw, it.encoding = nil, nil, nil, s.encoding
	it.plain, it.last = s.plain, point{s.start(), s.t, s.v}
	it.in, it.at, it.err = nil, chunkenc.ValNone, nil
	switch {
	case s.t < mint:
		it.plain = false
		return
	case newest && s.plain && s.t <= maxt:
		return
	case s.past != nil:
		it.closed = s.past.closed
	}
	it.open, it.raw = split(s.open, int(s.raw))
}

// Next goes on to the next sample.
func (it *iterator) Next() chunkenc.ValueType {
	if it.in == nil {
		return it.proceed(it.mint)
	}
	return it.take(it.in.Next(), it.mint)
}

// Seek goes on to the first sample at t or later, or stays where it is if that is one.
func (it *iterator) Seek(t int64) chunkenc.ValueType { //nolint:govet // Prometheus' Seek, not io.Seeker's
	if it.at != chunkenc.ValNone && it.AtT() >= t {
		return it.at
	}
	t = max(t, it.mint)
	if it.in == nil {
		return it.proceed(t)
	}
	return it.take(it.in.Seek(t), t)
}

// take stands on what the chunk is at, or on the next sample at t or later.
func (it *iterator) take(at chunkenc.ValueType, t int64) chunkenc.ValueType {
	for ; at != chunkenc.ValNone; at = it.in.Seek(t) {
		is := it.in.AtT()
		if is > it.maxt {
			return it.end()
		}
		if is >= t {
			it.at = at
			return at
		}
	}
	if err := it.in.Err(); err != nil {
		it.err = err
		return it.end()
	}
	return it.proceed(t)
}

// proceed goes on to the first sample at t or later of the chunks to come, and to the newest after the last of them.
func (it *iterator) proceed(t int64) chunkenc.ValueType {
	if it.enter(t) {
		return it.take(it.in.Seek(t), t)
	}
	it.in = nil
	for len(it.raw) > 0 {
		it.current.st = 0
		it.current.t, it.current.v, it.raw = firstRaw(it.raw)
		if it.current.t >= t {
			return it.stand()
		}
	}
	if it.plain && it.last.t >= t {
		it.plain, it.current = false, it.last
		return it.stand()
	}
	return it.end()
}

// stand stands on a point.
func (it *iterator) stand() chunkenc.ValueType {
	if it.current.t > it.maxt {
		return it.end()
	}
	it.at = chunkenc.ValFloat
	return it.at
}

// end makes the iterator one that has nothing more.
func (it *iterator) end() chunkenc.ValueType {
	it.in, it.closed, it.open, it.raw, it.plain = nil, nil, nil, nil, false
	it.at = chunkenc.ValNone
	return it.at
}

// enter begins the next chunk that may have samples at t or later, and reports whether there is one.
func (it *iterator) enter(t int64) bool {
	for len(it.closed) > 0 {
		c := it.closed[0]
		it.closed = it.closed[1:]
		if c.last >= t {
			return it.begin(c.bytes, c.encoding)
		}
	}
	open := it.open
	it.open = nil
	return open != nil && it.begin(open, it.encoding)
}

func (it *iterator) begin(chunk []byte, encoding chunkenc.Encoding) bool {
	i := 0
	switch encoding {
	case chunkenc.EncXOR2:
		it.floats.Reset(chunk)
		it.onFloats = it.floats.Iterator(it.onFloats)
		it.in = it.onFloats
		return true
	case chunkenc.EncFloatHistogramST:
		i = 1
	}
	c, err := chunkenc.FromData(encoding, chunk)
	if err != nil { // not with the encodings that are written here
		it.err = err
		it.end()
		return false
	}
	it.histograms[i] = c.Iterator(it.histograms[i])
	it.in = it.histograms[i]
	return true
}

// At is the current sample, if it is a float.
func (it *iterator) At() (int64, float64) {
	if it.in == nil {
		return it.current.t, it.current.v
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
	if it.in == nil {
		return it.current.t
	}
	return it.in.AtT()
}

// AtST is the current sample's start time, 0 where it is not known.
func (it *iterator) AtST() int64 {
	if it.in == nil {
		return it.current.st
	}
	return it.in.AtST()
}

// Err is what went wrong.
func (it *iterator) Err() error { return it.err }
