package rule

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/cespare/xxhash/v2"
)

// stateHash hashes what Hash is about. Its input is part of what is stored over restarts: change it and every rule
// counts as changed.
func (r *Rule) stateHash() uint64 {
	h := hasher{}
	h.text("rule/1")
	h.text(r.Group)
	h.text(r.Name)
	h.text(r.Record)
	h.text(r.Metric)
	h.text(r.Where.String())
	h.text(r.Expr)
	h.number(uint64(len(r.Tiers)))
	for i := range r.Tiers {
		h.number(uint64(r.Tiers[i].Severity))
		h.threshold(&r.Tiers[i].Threshold)
	}
	h.threshold(r.Rollback)
	h.threshold(r.ManualIntervention)
	h.duration(r.For)
	h.number(uint64(r.Severity))
	h.number(uint64(r.NoData.Action))
	h.duration(r.NoData.After)
	h.number(uint64(r.NoData.Tier))
	h.duration(r.NoData.HoldFor)
	h.duration(r.KeepFiringFor)
	h.duration(r.WarmUp)
	h.labels(r.Labels)
	if r.Explore > 0 || r.Twin != "" || r.Silent {
		h.number(math.Float64bits(r.Explore))
		h.text(r.Twin)
		h.text(fmt.Sprint(r.Silent))
	}
	return xxhash.Sum64(h)
}

// hasher is the bytes to be hashed: every part with its length, so that no two different rules share them.
type hasher []byte

func (h *hasher) number(v uint64) { *h = binary.BigEndian.AppendUint64(*h, v) }

func (h *hasher) text(s string) {
	h.number(uint64(len(s)))
	*h = append(*h, s...)
}

func (h *hasher) duration(d time.Duration) { h.number(uint64(d)) }

func (h *hasher) labels(m map[string]string) {
	h.number(uint64(len(m)))
	for _, name := range sortedKeys(m) {
		h.text(name)
		h.text(m[name])
	}
}

func (h *hasher) threshold(t *Threshold) {
	if t == nil {
		h.number(0)
		return
	}
	h.number(1)
	h.number(uint64(t.Op))
	for _, bound := range []float64{t.Low, t.High, t.ClearLow, t.ClearHigh} {
		h.number(math.Float64bits(bound + 0)) // -0 and 0 are one threshold
	}
	h.duration(t.For)
}
