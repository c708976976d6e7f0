package rule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// publishedRules is where rule files that other projects publish lie, beside the checkout. They are not part of this
// repository.
const publishedRules = "../../../shared/testdata"

// TestPublishedRules reads rule files as they were published for Prometheus. They run unchanged.
func TestPublishedRules(t *testing.T) {
	var files []string
	for _, pattern := range []string{"rules/*/*.y*ml", "promtests/odh-unit-tests/*.rules.yaml", "promtests/promtool/rules*.yml", "promtests/promtool/*lint.yml"} {
		found, err := filepath.Glob(filepath.Join(publishedRules, pattern))
		require.NoError(t, err)
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Skipf("NOT TESTED: no published rule files in %s", publishedRules)
	}
	rules, documents := 0, 0
	for _, file := range files {
		name := strings.TrimPrefix(file, publishedRules+"/")
		t.Run(name, func(t *testing.T) {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			plain, understood := prometheusFile(content)
			if !understood {
				t.Skip("not YAML, or no rules in it (a chart's template, a test's own file)")
			}
			documents++
			groups, err := LoadFile(name, plain, Defaults{})
			want, known := published[name]
			if known {
				require.ErrorContains(t, err, want)
				return
			}
			require.NoError(t, err)
			for _, g := range groups {
				rules += len(g.Rules)
			}
		})
	}
	t.Logf("%d files, %d rules understood", documents, rules)
	require.Positive(t, rules)
}

// published are the files that are wrong on purpose.
var published = map[string]string{
	"promtests/promtool/rules-bad.yml": `undefined variable "$label"`,
}

// prometheusFile takes the rule file out of what people wrap it in: Kubernetes' PrometheusRule and ConfigMap.
func prometheusFile(content []byte) ([]byte, bool) {
	var document struct {
		Groups yaml.Node         `yaml:"groups"`
		Data   map[string]string `yaml:"data"`
		Spec   struct {
			Groups yaml.Node `yaml:"groups"`
		} `yaml:"spec"`
	}
	if yaml.Unmarshal(content, &document) != nil {
		return nil, false
	}
	for _, groups := range []yaml.Node{document.Groups, document.Spec.Groups} {
		if groups.Kind == yaml.SequenceNode {
			plain, err := yaml.Marshal(map[string]*yaml.Node{"groups": &groups})
			return plain, err == nil
		}
	}
	for _, plain := range document.Data {
		return []byte(plain), true
	}
	return nil, false
}
