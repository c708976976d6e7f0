package replay

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// byTime is a heap of what waits to be played, earliest first; what came first in a file stays first.
type byTime struct {
	batches []Batch
	order   []int64
	next    int64
}

func (h *byTime) Len() int { return len(h.batches) }
func (h *byTime) Less(i, j int) bool {
	if c := h.batches[i].Time.Compare(h.batches[j].Time); c != 0 {
		return c < 0
	}
	return h.order[i] < h.order[j]
}

func (h *byTime) Swap(i, j int) {
	h.batches[i], h.batches[j] = h.batches[j], h.batches[i]
	h.order[i], h.order[j] = h.order[j], h.order[i]
}

func (h *byTime) Push(x any) {
	h.batches = append(h.batches, x.(Batch))
	h.order = append(h.order, h.next)
	h.next++
}

func (h *byTime) Pop() any {
	n := len(h.batches) - 1
	b := h.batches[n]
	h.batches[n] = Batch{}
	h.batches, h.order = h.batches[:n], h.order[:n]
	return b
}

// stream is one file in order of time, as far as a bounded look-ahead can bring it in order.
type stream struct {
	file   *file
	opened *opened
	ahead  byTime
	held   int // points in ahead
	newest time.Time
	ended  bool
	// first is the time of the first batch of a file that was closed again until its time comes; told counts the errors
	// that were met in it until then.
	first time.Time
	told  int
	again int
	index int
}

// head is the time of the next batch as far as is known.
func (s *stream) head() time.Time {
	if len(s.ahead.batches) > 0 {
		return s.ahead.batches[0].Time
	}
	return s.first
}

// merger plays all files in order of time.
type merger struct {
	window  time.Duration
	streams []*stream // those that are not at their end, as a heap
	open    int
	budget  int // points that may be held by one file
	failed  func(error) error
	// counts, for the report
	last             time.Time
	late, outOfOrder int64
}

// Limits of what is held: at most maxOpen files are open beside those whose time has come, at most maxHeld points wait.
const (
	maxOpen = 64
	maxHeld = 200_000
)

// newMerger looks at the beginning of every file.
func newMerger(ctx context.Context, files []*file, window time.Duration, failed func(error) error) (*merger, error) {
	m := &merger{window: window, failed: failed, budget: max(1, maxHeld/max(1, min(len(files), maxOpen)))}
	waiting := 0
	for i, f := range files {
		s := &stream{file: f, index: i}
		before, untimed := f.read.Load(), *f.untimed
		if err := m.fill(ctx, s); err != nil {
			m.close()
			return nil, err
		}
		if s.ended && len(s.ahead.batches) == 0 {
			continue
		}
		waiting += s.held
		if (m.open > maxOpen || waiting > maxHeld) && f.name != "-" {
			waiting -= s.held
			if !s.ended {
				s.opened.close()
				m.open--
			}
			f.read.Store(before)
			*f.untimed = untimed
			s = &stream{file: f, index: i, first: s.head(), told: s.told}
		}
		m.streams = append(m.streams, s)
	}
	heap.Init(m)
	return m, nil
}

func (m *merger) Len() int { return len(m.streams) }
func (m *merger) Less(i, j int) bool {
	if c := m.streams[i].head().Compare(m.streams[j].head()); c != 0 {
		return c < 0
	}
	return m.streams[i].index < m.streams[j].index
}
func (m *merger) Swap(i, j int) { m.streams[i], m.streams[j] = m.streams[j], m.streams[i] }
func (m *merger) Push(x any)    { m.streams = append(m.streams, x.(*stream)) }

func (m *merger) Pop() any {
	n := len(m.streams) - 1
	s := m.streams[n]
	m.streams = m.streams[:n]
	return s
}

// next gives the next batch of all files. late says that it is older than what was played before.
func (m *merger) next(ctx context.Context) (b Batch, late bool, err error) {
	for len(m.streams) > 0 {
		s := m.streams[0]
		if len(s.ahead.batches) == 0 { // it was closed, and its time has come
			if err := m.fill(ctx, s); err != nil {
				return Batch{}, false, err
			}
			m.settle(s)
			continue
		}
		b = heap.Pop(&s.ahead).(Batch)
		s.held -= b.Points
		if err := m.fill(ctx, s); err != nil {
			return Batch{}, false, err
		}
		m.settle(s)
		if b.Time.Before(m.last) {
			m.late += int64(b.Points)
			return b, true, nil
		}
		m.last = b.Time
		return b, false, nil
	}
	return Batch{}, false, io.EOF
}

// settle moves the first stream to its place, or out.
func (m *merger) settle(s *stream) {
	if s.ended && len(s.ahead.batches) == 0 {
		heap.Pop(m)
		return
	}
	heap.Fix(m, 0)
}

// fill reads a file on until its next batch is known to be the earliest within the window.
func (m *merger) fill(ctx context.Context, s *stream) error {
	if s.opened == nil && !s.ended {
		o, err := s.file.open()
		if err != nil {
			s.ended = true
			return m.tell(s, err)
		}
		s.opened = o
		m.open++
	}
	for !s.ended && (len(s.ahead.batches) == 0 || s.held < m.budget && s.newest.Sub(s.ahead.batches[0].Time) < m.window) {
		b, err := s.opened.Next(ctx)
		if err != nil {
			if err := m.refused(ctx, s, err); err != nil {
				return err
			}
			continue
		}
		if b.Time.Before(s.newest) {
			m.outOfOrder += int64(b.Points)
		} else {
			s.newest = b.Time
		}
		s.held += b.Points
		heap.Push(&s.ahead, b)
	}
	return nil
}

// refused decides what becomes of a file after an error; without an error the reading goes on.
func (m *merger) refused(ctx context.Context, s *stream, err error) error {
	var bad *InputError
	passable := errors.As(err, &bad) && bad.Passable
	if !passable {
		s.ended = true
		s.opened.close()
		m.open--
	}
	switch {
	case errors.Is(err, io.EOF) && bad == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case bad == nil:
		err = fmt.Errorf("%s: %w", s.file.name, err)
	}
	return m.tell(s, err)
}

// tell reports an error, once: a file may be read twice from its beginning.
func (m *merger) tell(s *stream, err error) error {
	if !s.first.IsZero() && s.again < s.told {
		s.again++
		return nil
	}
	s.told++
	s.again = s.told
	return m.failed(err)
}

func (m *merger) close() {
	for _, s := range m.streams {
		if s.opened != nil {
			s.opened.close()
		}
	}
}
