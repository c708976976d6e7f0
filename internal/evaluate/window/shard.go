package window

import (
	"encoding/binary"
	"math"
	"slices"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// shard is a share of the series, by their labels' hash.
type shard struct {
	mu     sync.Mutex
	number int
	// table finds series by hash: it is open, probed onwards, at most 7/8 full, and rebuilt where series go. A map would
	// take twice the memory.
	table []*series
	count int
	// lists are the series of each selector of the selection.
	lists [][]*series
	// left is, for each selector, the newest sample of the series that have left the window.
	left      []int64
	selection *selection
	matches   map[string]*match

	scratch       scratch
	samples, size int // size in bytes
	matched       []int
	key           []byte
}

const smallest = 8 // of tables

func reference(shard, position int) storage.SeriesRef {
	return storage.SeriesRef(position<<shardBits|shard) + 1
}

func place(ref storage.SeriesRef) (shard, position int) {
	return int((ref - 1) % shards), int((ref - 1) >> shardBits)
}

// home is where in a table the search for a hash begins.
func home(hash uint32, size int) int {
	return int(uint64(hash) * uint64(size) >> 32)
}

func (sh *shard) find(hash uint32, ls labels.Labels) (int, bool) {
	if sh.count == 0 {
		return 0, false
	}
	for i := home(hash, len(sh.table)); ; {
		s := sh.table[i]
		if s == nil {
			return 0, false
		}
		if s.hash == hash && labels.Equal(s.labels, ls) {
			return i, true
		}
		if i++; i == len(sh.table) {
			i = 0
		}
	}
}

// insert adds a series that is not there, to the table and to the lists of its selectors.
func (sh *shard) insert(s *series) int {
	if (sh.count+1)*8 > len(sh.table)*7 {
		sh.rebuild(max(smallest, len(sh.table)+len(sh.table)/4))
	}
	sh.count++
	sh.size += s.size()
	for _, i := range s.match.selectors {
		sh.lists[i] = append(sh.lists[i], s)
	}
	return settle(sh.table, s)
}

func settle(table []*series, s *series) int {
	i := home(s.hash, len(table))
	for table[i] != nil {
		if i++; i == len(table) {
			i = 0
		}
	}
	table[i] = s
	return i
}

func (sh *shard) rebuild(size int) {
	old := sh.table
	sh.table = make([]*series, size)
	for _, s := range old {
		if s != nil {
			settle(sh.table, s)
		}
	}
}

// match returns which selectors match ls, nil if the series is not to be kept.
func (sh *shard) match(ls labels.Labels) *match {
	sh.matched = sh.selection.match(sh.matched[:0], ls)
	if len(sh.matched) == 0 && !sh.selection.everything {
		return nil
	}
	sh.key = sh.key[:0]
	for _, i := range sh.matched {
		sh.key = binary.AppendUvarint(sh.key, uint64(i))
	}
	m := sh.matches[string(sh.key)]
	if m == nil {
		m = sh.selection.newMatch(sh.matched)
		sh.matches[string(sh.key)] = m
	}
	return m
}

// reselect replaces the selection and returns how many series went.
func (sh *shard) reselect(next *selection) int {
	old := sh.table
	sh.selection, sh.matches = next, map[string]*match{}
	sh.lists = make([][]*series, len(next.selectors))
	sh.left = slices.Repeat([]int64{math.MinInt64}, len(next.selectors))
	before := sh.count
	sh.empty()
	for _, s := range old {
		if s == nil {
			continue
		}
		if m := sh.match(s.labels); m != nil {
			s.match = m
			sh.insert(s)
			sh.samples += s.samples()
		}
	}
	return before - sh.count
}

func (sh *shard) empty() {
	sh.table, sh.count, sh.samples, sh.size = nil, 0, 0, 0
}

// append adds a sample to one of the shard's series.
func (sh *shard) append(s *series, sm sample, c clock) reason {
	size, samples := s.size(), s.samples()
	reason := s.append(sm, c, &sh.scratch)
	sh.size += s.size() - size
	sh.samples += s.samples() - samples
	return reason
}

// newest is the time of the newest sample of a selector's series.
func (sh *shard) newest(selector int) int64 {
	t := sh.left[selector]
	for _, s := range sh.lists[selector] {
		t = max(t, s.t)
	}
	return t
}

// prune drops what lies before the window and returns how many series went.
func (sh *shard) prune(now int64) int {
	var gone map[int]bool
	removed := 0
	for i, s := range sh.table {
		if s == nil {
			continue
		}
		cut := s.match.cut(now)
		size, samples := s.size(), s.samples()
		if s.t >= cut {
			s.dropBefore(cut)
			sh.size += s.size() - size
			sh.samples += s.samples() - samples
			continue
		}
		if gone == nil {
			gone = map[int]bool{}
		}
		for _, selector := range s.match.selectors {
			gone[selector] = true
			sh.left[selector] = max(sh.left[selector], s.t)
		}
		sh.table[i] = nil
		sh.size -= size
		sh.samples -= samples
		removed++
	}
	if removed == 0 {
		return 0
	}
	sh.count -= removed
	for selector := range gone {
		sh.lists[selector] = sh.remaining(sh.lists[selector], now)
	}
	sh.rebuild(max(smallest, sh.count+sh.count/4+1))
	return removed
}

// remaining is the list without the series that prune takes away.
func (sh *shard) remaining(list []*series, now int64) []*series {
	kept := make([]*series, 0, len(list))
	for _, s := range list {
		if s.t >= s.match.cut(now) {
			kept = append(kept, s)
		}
	}
	return kept
}
