package calibrate

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// recorded is a rule's life of n episodes in 30 days: most of them noise, a third of them judged, two tiers.
func recorded(n int) (samples []*ledger.Sample, misses []*ledger.Miss) {
	random := rand.New(rand.NewSource(1))
	between := 30 * 24 * time.Hour / time.Duration(n)
	for i := range n {
		at := epoch.Add(time.Duration(i) * between)
		threshold, level := 0.9, 0.9+random.ExpFloat64()/50
		s := &ledger.Sample{
			ID: fmt.Sprintf("%026d", i), RuleGroup: "vllm", Rule: "Full", Owner: "inference", SourceMetric: "kv", SourceUnit: "1", Highest: alert.High,
			OpenedAt: at, NotifiedAt: at, Levels: ledger.Levels{alert.High: {Threshold: &threshold, Firing: &level}},
		}
		if level > 0.98 {
			critical := 0.98
			s.Highest = alert.Critical
			s.Levels = ledger.Levels{alert.Critical: {Threshold: &critical, Firing: &level}, alert.High: {Firing: &level}}
		}
		switch {
		case i%3 != 0:
		case level > 0.97:
			s.Verdict, s.VerdictBy = ledger.TruePositive, "anna"
		default:
			s.Verdict, s.VerdictBy = ledger.FalsePositive, "bob"
		}
		if i%100 == 50 {
			misses = append(misses, &ledger.Miss{ID: fmt.Sprint(i), At: at.Add(between / 2)})
		}
		samples = append(samples, s)
	}
	return samples, misses
}

func sizes(b *testing.B, run func(b *testing.B, n int)) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			run(b, n)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/episode")
		})
	}
}

func BenchmarkAssess(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		samples, misses := recorded(n)
		for b.Loop() {
			Assess(Evidence{Samples: samples, Misses: misses}, DefaultLimits())
		}
	})
}

// BenchmarkAssess200Rules draws all conclusions over a ledger of 1,000,000 episodes of 200 rules.
func BenchmarkAssess200Rules(b *testing.B) {
	samples, misses := recorded(5000)
	b.ReportAllocs()
	for b.Loop() {
		for range 200 {
			Assess(Evidence{Samples: samples, Misses: misses}, DefaultLimits())
		}
	}
}

func BenchmarkSuggest(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		all := alarmsOf(n)
		for b.Loop() {
			Suggest(Above, 0.9, 0.9, all, DefaultLimits())
		}
	})
}

func BenchmarkCurve(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		all := alarmsOf(n)
		for b.Loop() {
			Curve(Above, all)
		}
	})
}

// alarmsOf are those of the rule's second tier.
func alarmsOf(n int) []Alarm {
	samples, _ := recorded(n)
	all := Assess(Evidence{Samples: samples}, DefaultLimits())
	return all[len(all)-1].Alarms
}
