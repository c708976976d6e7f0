package dashboard

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestFold: lines change nothing of what the JSON says.
func TestFold(t *testing.T) {
	assert.Equal(t, "{\n  \"a\": [1,2],\n  \"b\": \""+strings.Repeat("x", wide)+"\"\n}", folded(t, map[string]any{"a": []int{1, 2}, "b": strings.Repeat("x", wide)}))
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`"`, `\`, `{"[,`, `]},:`, strings.Repeat(`,"`, wide)}))
		var value func(depth int) any
		value = func(depth int) any {
			switch kind := rapid.IntRange(0, 4).Draw(t, "kind"); {
			case kind == 0 && depth > 0:
				list := []any{}
				for range rapid.IntRange(0, 4).Draw(t, "n") {
					list = append(list, value(depth-1))
				}
				return list
			case kind == 1 && depth > 0:
				object := map[string]any{}
				for range rapid.IntRange(0, 4).Draw(t, "n") {
					object[text.Draw(t, "key")] = value(depth - 1)
				}
				return object
			case kind == 2:
				return nil
			case kind == 3:
				return rapid.Float64Range(-1e9, 1e9).Draw(t, "number")
			default:
				return text.Draw(t, "text")
			}
		}
		v := value(4)
		want, err := json.Marshal(v)
		require.NoError(t, err)
		var again bytes.Buffer
		require.NoError(t, json.Compact(&again, []byte(folded(t, v))))
		assert.Equal(t, string(want), again.String())
	})
}

func folded(t require.TestingT, v any) string {
	compact, err := json.Marshal(v)
	require.NoError(t, err)
	var b bytes.Buffer
	fold(&b, compact, "", 0)
	return b.String()
}
