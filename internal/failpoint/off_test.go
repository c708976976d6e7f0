//go:build !failpoints

package failpoint

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A build for people cannot be told to end itself.
func TestOffUnlessBuiltIn(t *testing.T) {
	require.False(t, Enabled)
	t.Setenv(Variable, string(BeforeCommit))
	Reach(BeforeCommit)
}
