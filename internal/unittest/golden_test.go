package unittest

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestFiles runs the test files of testdata. A test whose name begins with "fails:" must fail, and the golden file
// beside the test file says how; every other one must pass.
func TestFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	require.NoError(t, err)
	ran := 0
	for _, file := range files {
		if strings.HasSuffix(file, ".rules.yaml") {
			continue
		}
		ran++
		t.Run(strings.TrimPrefix(file, "testdata/"), func(t *testing.T) {
			r := Run(context.Background(), file, Options{})
			require.NoError(t, r.Err)
			for _, test := range r.Tests {
				assert.Equal(t, strings.HasPrefix(test.Title, "fails: "), len(test.Failures) > 0, "%s\n%v", test.Title, test.Failures)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			got := render(r)
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644)) //nolint:gosec // as all files of the repository
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err, "make it with -update, and read it")
			assert.Equal(t, string(want), got)
		})
	}
	assert.GreaterOrEqual(t, ran, 10)
}

func render(r *Result) string {
	var b strings.Builder
	for _, w := range r.Warnings {
		b.WriteString("warning: " + w.String() + "\n")
	}
	for _, test := range r.Tests {
		b.WriteString(test.Title + "\n")
		for _, f := range test.Failures {
			b.WriteString("  " + strings.ReplaceAll(f.Error(), "\n", "\n  ") + "\n")
		}
	}
	return b.String()
}
