package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// JSON is the dashboard as Grafana imports it.
func (d *Dashboard) JSON() ([]byte, error) {
	var compact, b bytes.Buffer
	e := json.NewEncoder(&compact)
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		return nil, fmt.Errorf("dashboard %s: %w", d.Title, err)
	}
	fold(&b, bytes.TrimSpace(compact.Bytes()), "", 0)
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// wide is how long a line may be for a value to stand on it as a whole.
const wide = 140

// fold writes compact JSON over lines, as few as are readable: what fits into one stands there. taken is how much of the first
// line is written already.
func fold(b *bytes.Buffer, value []byte, indent string, taken int) {
	whole := value[0] != '{' && value[0] != '[' || len(value) == len("{}")
	if whole || taken+len(value) <= wide {
		b.Write(value)
		return
	}
	const tab = "  "
	b.WriteByte(value[0])
	for i, part := range parts(value) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n" + indent + tab)
		lead := len(indent) + len(tab)
		if value[0] == '{' {
			key := stringEnd(part, 0)
			b.Write(part[:key])
			b.WriteString(": ")
			lead, part = lead+key+2, part[key+1:]
		}
		fold(b, part, indent+tab, lead)
	}
	b.WriteString("\n" + indent)
	b.WriteByte(value[len(value)-1])
}

// parts are the members of a compact object or array.
func parts(value []byte) (all [][]byte) {
	depth, begin := 0, 1
	for i := 1; i < len(value)-1; i++ {
		switch value[i] {
		case '"':
			i = stringEnd(value, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 0 {
				all, begin = append(all, value[begin:i]), i+1
			}
		}
	}
	return append(all, value[begin:len(value)-1])
}

// stringEnd is where the string that begins at a place has ended.
func stringEnd(text []byte, at int) int {
	for i := at + 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}
