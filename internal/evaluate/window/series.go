package window

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// sample is one as it comes: a float histogram if fh is set, else a histogram if h is, else v.
type sample struct {
	st, t int64
	v     float64
	h     *histogram.Histogram
	fh    *histogram.FloatHistogram
}

func (sm *sample) encoding() chunkenc.Encoding {
	switch {
	case sm.fh != nil:
		return chunkenc.EncFloatHistogramST
	case sm.h != nil:
		return chunkenc.EncHistogramST
	default:
		return chunkenc.EncXOR2
	}
}

// series is one series. There may be hundreds of thousands: every field counts. Its shard's lock guards all but the
// labels, which never change.
//
// The newest sample, if it is a float, is as it came, and so are the few before it, behind the open chunk: to encode
// several at once is cheaper. Before them are the open chunk and the closed ones. Chunks are bytes of Prometheus'
// encodings of exactly their size, and are replaced, never written into, so that whoever reads them needs no lock. The
// encodings chosen are those that can be taken up again from their bytes; no appender is kept.
type series struct {
	labels labels.Labels
	match  *match
	open   []byte
	past   *past
	t      int64 // of the newest sample
	v      float64
	hash   uint32
	// encoding is the open chunk's.
	encoding chunkenc.Encoding
	shard    uint8
	// raw is how many samples lie behind the open chunk.
	raw uint8
	// plain says that the newest sample is v, and not in the open chunk.
	plain bool
}

// past is what few series have: closed chunks, start timestamps.
type past struct {
	closed []closed
	st     int64 // of v
}

// closed is a chunk to which nothing is added any more.
type closed struct {
	bytes    []byte
	encoding chunkenc.Encoding
	last     int64 // time of its last sample
}

func newSeries(ls labels.Labels, shard int, hash uint32, m *match) *series {
	return &series{labels: ls.Copy(), shard: uint8(shard), hash: hash, match: m, t: math.MinInt64}
}

// A chunk is closed when it has as many samples as this. Whole chunks leave the window, so they are small; where many are
// kept they are larger, as each begins with about 20 bytes that say where it starts. A series that has only one chunk
// has it cut at the front instead.
const (
	sole           = 48
	small          = 32
	large          = 120
	many           = 8
	histograms     = 12
	histogramsLong = 48
)

func (s *series) append(sm sample, c clock, to *scratch) reason {
	if !c.known {
		c.now = sm.t
	}
	cut := s.match.cut(c.now)
	if sm.t < cut {
		return tooOld
	}
	if c.known && s.t > c.now && sm.t <= c.now && !s.withdraw(sm.t, c.now, to) {
		return lateOrRepeated
	}
	if sm.t <= s.t {
		return lateOrRepeated
	}
	s.dropBefore(cut)
	encoding := sm.encoding()
	s.settle(encoding == chunkenc.EncXOR2, cut, sm.t, to)
	if s.open != nil && (s.encoding != encoding || s.full()) {
		s.close()
	}
	s.encoding = encoding
	if encoding != chunkenc.EncXOR2 {
		s.histogram(sm, to)
		s.t = sm.t
		return kept
	}
	s.t, s.v, s.plain = sm.t, sm.v, true
	if sm.st != 0 || s.past != nil {
		s.edit().st = sm.st
	}
	return kept
}

// settle moves the newest sample behind the open chunk, and into it with all others there when they are enough, or when
// they must. That is the time to drop what leaves the window at the front of it: next is the time of the sample that
// comes.
func (s *series) settle(may bool, cut, next int64, to *scratch) {
	if !s.plain {
		return
	}
	s.plain = false
	if may && s.raw < raws && s.start() == 0 {
		s.open = withRaw(s.open, s.t, s.v)
		s.raw++
		return
	}
	from := int64(math.MinInt64)
	if s.past == nil || len(s.past.closed) == 0 {
		if first, ok := firstTime(s.open); ok && first < cut-(next-s.t) {
			from = cut
		}
	}
	s.open = to.float(s.open, int(s.raw), from, s.start(), s.t, s.v)
	s.raw = 0
}

// firstTime is the time of a float chunk's first sample, if it has one.
func firstTime(chunk []byte) (t int64, ok bool) {
	if chunk == nil || count(chunk) == 0 {
		return 0, false
	}
	t, _ = binary.Varint(chunk[len(emptyFloats):])
	return t, true
}

func (s *series) start() int64 {
	if s.past == nil {
		return 0
	}
	return s.past.st
}

func (s *series) edit() *past {
	if s.past == nil {
		s.past = &past{}
	}
	return s.past
}

func (s *series) full() bool {
	closed := 0
	if s.past != nil {
		closed = len(s.past.closed)
	}
	n := count(s.open)
	switch {
	case s.raw > 0:
		return false
	case s.encoding != chunkenc.EncXOR2 && closed < many:
		return n >= histograms
	case s.encoding != chunkenc.EncXOR2:
		return n >= histogramsLong
	case closed == 0:
		return n >= sole
	case closed < many:
		return n >= small
	default:
		return n >= large
	}
}

// close closes the open chunk, which ends with the newest sample.
func (s *series) close() {
	p := s.edit()
	list := make([]closed, len(p.closed)+1)
	copy(list, p.closed)
	list[len(p.closed)] = closed{bytes: s.open, encoding: s.encoding, last: s.t}
	p.closed, s.open = list, nil
}

// dropBefore drops the closed chunks that lie wholly before cut.
func (s *series) dropBefore(cut int64) {
	if s.past == nil {
		return
	}
	gone := 0
	for gone < len(s.past.closed) && s.past.closed[gone].last < cut {
		gone++
	}
	if gone == 0 {
		return
	}
	// Whoever reads has the old list.
	s.past.closed = append(make([]closed, 0, len(s.past.closed)-gone), s.past.closed[gone:]...)
	if len(s.past.closed) == 0 && s.past.st == 0 {
		s.past = nil
	}
}

// withdraw takes back the samples that lie ahead of now, if that makes room for one at t.
func (s *series) withdraw(t, now int64, to *scratch) bool {
	var it iterator
	it.reset(s, math.MinInt64, now, false)
	last := int64(math.MinInt64)
	for it.Next() != chunkenc.ValNone {
		last = it.AtT()
	}
	if it.Err() != nil || last >= t {
		return false
	}
	again := &series{match: &match{before: forever}, t: math.MinInt64}
	it.reset(s, math.MinInt64, now, false)
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		sm := sample{st: it.AtST()}
		switch kind {
		case chunkenc.ValHistogram:
			sm.t, sm.h = it.AtHistogram(nil)
		case chunkenc.ValFloatHistogram:
			sm.t, sm.fh = it.AtFloatHistogram(nil)
		default:
			sm.t, sm.v = it.At()
		}
		again.append(sm, clock{}, to)
	}
	to.withdrawn += int64(s.samples() - again.samples())
	s.open, s.past, s.t, s.v = again.open, again.past, again.t, again.v
	s.encoding, s.raw, s.plain = again.encoding, again.raw, again.plain
	return true
}

func (s *series) samples() int {
	n := 0
	if s.plain {
		n++
	}
	if s.open != nil {
		n += count(s.open) + int(s.raw)
	}
	if s.past != nil {
		for i := range s.past.closed {
			n += count(s.past.closed[i].bytes)
		}
	}
	return n
}

// count is how many samples a chunk has. Every encoding begins with that; those of histograms use the two highest bits
// for something else, which are 0 in those of floats, as no chunk here is that large.
func count(chunk []byte) int { return int(binary.BigEndian.Uint16(chunk)) & 0x3fff }

// size is how many bytes a series takes, but for its places in the table and the lists.
func (s *series) size() int {
	n := int(unsafe.Sizeof(*s)) + int(s.labels.ByteSize()) + len(s.open)
	if s.past != nil {
		n += int(unsafe.Sizeof(*s.past)) + len(s.past.closed)*int(unsafe.Sizeof(closed{}))
		for i := range s.past.closed {
			n += len(s.past.closed[i].bytes)
		}
	}
	return n
}
