package replay

import (
	"math"
	"slices"
)

// counts holds how many numbers lie beyond which value, in bounded memory however many numbers there are: bins that are
// merged when there are too many. At the bounds of its bins every count is exact.
type counts struct {
	bins []bin
	n    int64
}

// bin holds n numbers from low to high.
type bin struct {
	low, high float64
	n         int64
}

// maxBins bounds one of these to 48 KiB.
const maxBins = 2048

// add counts v.
func (c *counts) add(v float64) {
	if math.IsNaN(v) {
		return
	}
	c.n++
	i, _ := slices.BinarySearchFunc(c.bins, v, func(b bin, v float64) int {
		switch {
		case b.high < v:
			return -1
		case b.high > v:
			return 1
		}
		return 0
	})
	if i < len(c.bins) && c.bins[i].low <= v {
		c.bins[i].n++
		return
	}
	c.bins = slices.Insert(c.bins, i, bin{v, v, 1})
	if len(c.bins) >= maxBins {
		c.halve()
	}
}

// halve merges neighbours, those that hold least first.
func (c *counts) halve() {
	merged := c.bins[:0]
	for i := 0; i < len(c.bins); i++ {
		b := c.bins[i]
		if i+1 < len(c.bins) && b.n+c.bins[i+1].n <= max(2, 4*c.n/maxBins) {
			next := c.bins[i+1]
			b = bin{b.low, next.high, b.n + next.n}
			i++
		}
		merged = append(merged, b)
	}
	c.bins = merged
}

// at returns the bin in which the share q of all numbers is reached, from below.
func (c *counts) at(q float64) (bin, bool) {
	var below int64
	for _, b := range c.bins {
		below += b.n
		if float64(below) >= q*float64(c.n) {
			return b, true
		}
	}
	return bin{}, false
}

// above counts the numbers greater than the upper bound of a bin, or with orEqual those from the lower bound of one on.
func (c *counts) above(v float64, orEqual bool) int64 {
	var n int64
	for _, b := range c.bins {
		if b.low > v || orEqual && b.low >= v {
			n += b.n
		}
	}
	return n
}
