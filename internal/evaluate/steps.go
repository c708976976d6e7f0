package evaluate

// step says that every T beyond the step before and up to v has been breached since then.
type step struct {
	since int64
	v     float64
}

// maxSteps bounds the memory of one tier of one active series (8 KiB), storedSteps what is stored of it.
const (
	maxSteps    = 512
	storedSteps = 8
)

// steps is a queue of steps in a ring that grows as it must: its length is a power of two.
type steps struct {
	ring []step
	head int
	n    int
}

// at returns the i-th step from the front.
func (s *steps) at(i int) *step { return &s.ring[(s.head+i)&(len(s.ring)-1)] }

// push appends a step.
func (s *steps) push(next step) {
	if s.n == len(s.ring) {
		ring := make([]step, max(2*s.n, 1))
		for i := range s.n {
			ring[i] = *s.at(i)
		}
		s.ring, s.head = ring, 0
	}
	s.n++
	*s.at(s.n - 1) = next
}

// shift drops the first step.
func (s *steps) shift() {
	s.head = (s.head + 1) & (len(s.ring) - 1)
	s.n--
}
