package rule

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func resolved(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	text, err := Schema()
	require.NoError(t, err)
	var s jsonschema.Schema
	require.NoError(t, json.Unmarshal(text, &s))
	r, err := s.Resolve(nil)
	require.NoError(t, err)
	return r
}

// plainJSON is a YAML value as JSON would have it; false where JSON has no such value.
func plainJSON(v any) (any, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, !math.IsInf(v, 0) && !math.IsNaN(v)
	case []any:
		for i := range v {
			var ok bool
			if v[i], ok = plainJSON(v[i]); !ok {
				return nil, false
			}
		}
		return v, true
	case map[string]any:
		for key := range v {
			var ok bool
			if v[key], ok = plainJSON(v[key]); !ok {
				return nil, false
			}
		}
		return v, true
	case nil, string, bool:
		return v, true
	}
	return nil, false
}

// TestSchemaAcceptsWhatLoads holds the schema against every rule file that loads.
func TestSchemaAcceptsWhatLoads(t *testing.T) {
	s := resolved(t)
	files := 0
	for _, pattern := range []string{"testdata/good/*.yaml", "../../examples/rules/*.yaml", "../../rules/*.yaml", filepath.Join(publishedRules, "rules/*/*.y*ml")} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range found {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			if filepath.Dir(filepath.Dir(filepath.Dir(file))) == publishedRules {
				var understood bool
				if content, understood = prometheusFile(content); !understood {
					continue
				}
			}
			_, err = LoadFile(file, content, Defaults{})
			require.NoError(t, err)
			var document any
			require.NoError(t, yaml.Unmarshal(content, &document))
			value, ok := plainJSON(document)
			require.True(t, ok, file)
			require.NoError(t, s.Validate(value), file)
			files++
		}
	}
	require.Greater(t, files, 3)
}

// seenByLoadingOnly are the errors that a schema cannot say: other languages, numbers held against one another.
var seenByLoadingOnly = []string{
	"cannot be read as PromQL", "cannot be read as a template", "must be a valid", "does not compile", "must not run more than", "must not repeat that much",
	"can never be reached", "none is left that is healthy", "the threshold that it ends", "must lie within outside", "must be a band", "must be longer than",
	"must lie beyond rollback", "must lie beyond one of the tiers", "needs tiers", "must be a metric's name without braces", "must be an OTTL data point condition", "must not nest parentheses",
}

// TestSchemaRefuses takes the rules of testdata/bad one by one: what does not load the schema refuses, and what loads it
// accepts.
func TestSchemaRefuses(t *testing.T) {
	s := resolved(t)
	files, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(t, err)
	refused, unseen := 0, 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		var document struct{ Groups []yaml.Node }
		if yaml.Unmarshal(content, &document) != nil {
			continue // no YAML, or a shape that the next test is about
		}
		for i := range document.Groups {
			var group struct {
				Name  string
				Rules []yaml.Node
			}
			if document.Groups[i].Decode(&group) != nil {
				continue
			}
			for j := range group.Rules {
				node := &group.Rules[j]
				name := fmt.Sprintf("%s %s", filepath.Base(file[:len(file)-len(".yaml")]), nameIn(node, j))
				alone, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "g", "rules": []*yaml.Node{node}}}})
				require.NoError(t, err, name)
				_, loadErr := LoadFile("f.yaml", alone, Defaults{})
				var whole any
				if yaml.Unmarshal(alone, &whole) != nil {
					continue // a key that stands twice
				}
				value, ok := plainJSON(whole)
				if !ok {
					continue // a number that JSON has not
				}
				schemaErr := s.Validate(value)
				switch {
				case loadErr == nil:
					assert.NoError(t, schemaErr, "%s loads", name)
				case onlyLoading(loadErr):
					unseen++
					assert.NoError(t, schemaErr, "%s: what is this refused for? %v", name, loadErr)
				default:
					refused++
					assert.Error(t, schemaErr, "%s: %v", name, loadErr)
				}
			}
		}
	}
	require.Greater(t, refused, 20)
	t.Logf("%d wrong rules refused, %d seen by loading only", refused, unseen)
}

func onlyLoading(err error) bool {
	for _, line := range strings.Split(err.Error(), "\n") {
		if !slices.ContainsFunc(seenByLoadingOnly, func(text string) bool { return strings.Contains(line, text) }) {
			return false
		}
	}
	return true
}

func nameIn(node *yaml.Node, index int) string {
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		if key := node.Content[i].Value; (key == "alert" || key == "record") && node.Content[i+1].Kind == yaml.ScalarNode && node.Content[i+1].Value != "" {
			return node.Content[i+1].Value
		}
	}
	return fmt.Sprint(index)
}

func TestSchemaRefusesGroups(t *testing.T) {
	s := resolved(t)
	for text, good := range map[string]bool{
		`{}`: true, `null`: true, `{"groups": null}`: true, `{"groups": []}`: true, `{"groups": [{"name": "g"}]}`: true,
		`{"groups": [{"name": "g", "rules": null, "interval": "1m", "query_offset": "10s", "limit": 5, "labels": {"a": 1}}]}`: true,
		`{"groups": [{"name": "g", "interval": 0}]}`: true,
		`{"group": []}`: false, `[]`: false, `{"groups": {}}`: false, `{"groups": [{}]}`: false, `{"groups": [{"name": ""}]}`: false,
		`{"groups": ["text"]}`: false, `{"groups": [{"name": "g", "interval": "-1s"}]}`: false, `{"groups": [{"name": "g", "interval": 5}]}`: false,
		`{"groups": [{"name": "g", "limit": -1}]}`: false, `{"groups": [{"name": "g", "limit": 1.5}]}`: false,
		`{"groups": [{"name": "g", "rules": {}}]}`: false, `{"groups": [{"name": "g", "partial_response_strategy": "warn"}]}`: false,
	} {
		_, loadErr := LoadFile("f.yaml", []byte(text), Defaults{})
		assert.Equal(t, good, loadErr == nil, "%s: %v", text, loadErr)
		var value any
		require.NoError(t, json.Unmarshal([]byte(text), &value))
		err := s.Validate(value)
		assert.Equal(t, good, err == nil, "%s: %v", text, err)
	}
}
