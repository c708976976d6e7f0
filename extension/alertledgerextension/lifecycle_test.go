package alertledgerextension

import (
	"os"
	"path/filepath"
)

// removeLifecycleFiles clears away what the generated lifecycle tests of an earlier run made: their configuration names
// a fixed file, and the run's end cannot be caught, since goleak exits.
func removeLifecycleFiles() {
	files, _ := filepath.Glob("testdata/lifecycle.db*")
	for _, file := range files {
		_ = os.Remove(file)
	}
}
