//go:build unix

package rule

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadFileDoesNotWait: nobody writes into the pipe, so whoever opened it would wait for ever.
func TestReadFileDoesNotWait(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	_, err := ReadFile(pipe, Defaults{})
	require.EqualError(t, err, pipe+": must be a regular file (got a pipe)")
	_, err = ReadFile(os.DevNull, Defaults{})
	require.EqualError(t, err, os.DevNull+": must be a regular file (got a device)")
}
