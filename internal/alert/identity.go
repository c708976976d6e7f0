package alert

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
)

// idBytes is the length of an alert.id before hex: 128 bits keep the chance of one collision among a billion alerts
// below 1e-20.
const idBytes = 16

// Identity returns the alert.id: the same in every restart, in sidecar and gateway. It hashes the rule's group and
// name, the series' labels, the rule's own labels as written (templates unexpanded, so that `$value` in a label does
// not make a new alert of every value) and the external labels. Every part is length-prefixed, so that no two
// different inputs share an encoding.
func Identity(group, rule string, series, ruleLabels, external map[string]string) string {
	h := sha256.New()
	writePart(h, group)
	writePart(h, rule)
	for _, labels := range []map[string]string{series, ruleLabels, external} {
		writeCount(h, len(labels))
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			writePart(h, name)
			writePart(h, labels[name])
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:idBytes])
}

func writePart(h hash.Hash, part string) {
	writeCount(h, len(part))
	h.Write([]byte(part))
}

func writeCount(h hash.Hash, n int) {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(n))
	h.Write(size[:])
}
