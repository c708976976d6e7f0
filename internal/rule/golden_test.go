package rule

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what comes out into testdata")

// golden compares text with a file beside the input.
func golden(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

// TestBadFiles reads every file of testdata/bad and compares its errors, all of them, with the .txt beside it.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			groups, err := ReadFile(file, Defaults{})
			require.Error(t, err)
			require.Nil(t, groups, "a bad file is refused whole")
			text := strings.ReplaceAll(err.Error(), filepath.ToSlash(file)+":", "")
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", text+"\n")
		})
	}
}
