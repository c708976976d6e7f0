package unittest

// pair finds for as many of n expected things as possible one of m that there are, each used once, so that all pairs
// match. It returns for each expected thing its partner, or -1. (Augmenting paths, H. W. Kuhn 1955: what an alert that
// says little takes is given back to one that says more.)
func pair(n, m int, match func(i, j int) bool) []int {
	partner := make([]int, n)
	taken := make([]int, m)
	for j := range taken {
		taken[j] = -1
	}
	var seen []bool
	var find func(i int) bool
	find = func(i int) bool {
		for j := range m {
			if seen[j] || !match(i, j) {
				continue
			}
			seen[j] = true
			if taken[j] < 0 || find(taken[j]) {
				taken[j], partner[i] = i, j
				return true
			}
		}
		return false
	}
	for i := range n {
		partner[i] = -1
		seen = make([]bool, m)
		find(i)
	}
	return partner
}

// unpaired are the expected things without a partner, and those of m things that are nobody's.
func unpaired(partner []int, m int) (missing, unexpected []int) {
	used := make([]bool, m)
	for i, j := range partner {
		if j < 0 {
			missing = append(missing, i)
		} else {
			used[j] = true
		}
	}
	for j := range m {
		if !used[j] {
			unexpected = append(unexpected, j)
		}
	}
	return missing, unexpected
}
