package alert

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Names that a sender makes too long are cut, and stay different where only what was cut differs.
func TestLongNamesAreBounded(t *testing.T) {
	decode := func(id, rule string) Alert {
		p := pmetric.NewNumberDataPoint()
		p.SetTimestamp(1)
		p.SetIntValue(2)
		for name, v := range map[string]string{AttrID: id, AttrRule: rule, AttrSeverity: "high", AttrOwner: rule, AttrGroup: rule} {
			p.Attributes().PutStr(name, v)
		}
		p.Exemplars().AppendEmpty().FilteredAttributes().PutStr(AttrSourceMetric, rule)
		a, problem := Decode(p)
		require.Empty(t, problem)
		return a
	}
	long := strings.Repeat("ü", 10_000)
	one, two := decode(long+"1", long+"1"), decode(long+"2", long+"1")
	assert.NotEqual(t, one.ID, two.ID)
	assert.Equal(t, one.Rule, two.Rule)
	for _, name := range []string{one.ID, one.Rule, one.Owner, one.Group, one.SourceMetric} {
		assert.LessOrEqual(t, len(name), longestName)
		assert.True(t, utf8.ValidString(name))
		assert.True(t, strings.HasPrefix(name, "üüü"))
	}
	same := strings.Repeat("x", longestName)
	assert.Equal(t, same, decode(same, same).ID)
}
