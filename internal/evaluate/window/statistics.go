package window

// Reason says why a sample was dropped.
type Reason string

// Why samples are dropped.
const (
	// ReasonLate: the series has one of that time or a later one.
	ReasonLate Reason = "late_or_repeated"
	// ReasonTooOld: it lies before whatever is read.
	ReasonTooOld Reason = "too_old"
	// ReasonUnselected: nothing selects its series.
	ReasonUnselected Reason = "unselected"
	// ReasonWithdrawn: it lay ahead of the clock and gave way to one that did not.
	ReasonWithdrawn Reason = "withdrawn"
	// ReasonSeriesLimit: it is of a new series, and there is no room.
	ReasonSeriesLimit Reason = "series_limit"
)

// reason is a Reason as the fields of an array are numbered.
type reason uint8

const (
	kept reason = iota
	lateOrRepeated
	tooOld
	unselected
	seriesLimit
	reasons
)

var names = [reasons]Reason{
	lateOrRepeated: ReasonLate, tooOld: ReasonTooOld, unselected: ReasonUnselected, seriesLimit: ReasonSeriesLimit,
}

var refusals = [reasons]error{lateOrRepeated: ErrLate, tooOld: ErrTooOld, seriesLimit: ErrSeriesLimit}

// drop counts a sample that is not kept and returns the error for it, nil where it is none.
func (w *Window) drop(r reason) error {
	w.dropped[r].Add(1)
	return refusals[r]
}

// Statistics is what the window holds and what it refused since it was made.
type Statistics struct {
	Series  int
	Samples int
	// Bytes is what series and samples take, places in lists and tables included, as far as it can be told without
	// asking the allocator, which rounds up.
	Bytes   int64
	Dropped map[Reason]int64
}

// Statistics looks at each shard in turn.
func (w *Window) Statistics() Statistics {
	st := Statistics{Dropped: make(map[Reason]int64, reasons)}
	for i := range w.shards {
		sh := &w.shards[i]
		sh.mu.Lock()
		st.Series += sh.count
		st.Samples += sh.samples
		st.Bytes += int64(sh.size + pointer*cap(sh.table))
		for _, list := range sh.lists {
			st.Bytes += int64(pointer * cap(list))
		}
		st.Dropped[ReasonWithdrawn] += sh.scratch.withdrawn
		sh.mu.Unlock()
	}
	for r := kept + 1; r < reasons; r++ {
		st.Dropped[names[r]] = w.dropped[r].Load()
	}
	return st
}

const pointer = 8
