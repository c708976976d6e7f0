package unittest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// describe shows a whole alert on one line, its annotations on lines of their own.
func describe(ls, annotations map[string]string, words []string) string {
	var b strings.Builder
	b.WriteString(formatLabels(ls))
	if len(words) > 0 {
		b.WriteString(" " + strings.Join(words, ", "))
	}
	for _, key := range differing(annotations, nil) {
		fmt.Fprintf(&b, "\n    annotation %s: %q", key, annotations[key])
	}
	return b.String()
}

func formatLabels(ls map[string]string) string { return labels.FromMap(ls).String() }

// differing are the keys whose values are not the same in both, in order.
func differing(a, b map[string]string) []string {
	var keys []string
	for key, v := range a {
		if other, ok := b[key]; !ok || other != v {
			keys = append(keys, key)
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// quoted is the value of a key, or that there is none.
func quoted(m map[string]string, key string) string {
	v, ok := m[key]
	if !ok {
		return "nothing"
	}
	return strconv.Quote(v)
}

// formatDuration writes a duration as test files have it.
func formatDuration(d time.Duration) string { return model.Duration(d).String() }

func number(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "1 " + what
	default:
		return strconv.Itoa(n) + " " + what + "s"
	}
}
