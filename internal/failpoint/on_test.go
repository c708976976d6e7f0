//go:build failpoints

package failpoint

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]plan{
		"":                    {},
		"before_send":         {name: BeforeSend, at: 1},
		"before_send:3":       {name: BeforeSend, at: 3},
		"before_send:3+1.5ms": {name: BeforeSend, at: 3, after: 1500 * time.Microsecond},
	} {
		got, err := parse(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"before_send:", "before_send:0", "before_send:x", "before_send:1+", "before_send:1+-2s"} {
		_, err := parse(text)
		require.Error(t, err, text)
	}
}

// The process ends at the third time, by SIGKILL, and at no other name.
func TestReach(t *testing.T) {
	if os.Getenv(Variable) != "" {
		Reach(AfterSend)
		Reach(BeforeSend)
		Reach(BeforeSend)
		_, _ = os.Stdout.WriteString("twice\n")
		Reach(BeforeSend)
		_, _ = os.Stdout.WriteString("thrice\n")
		return
	}
	again := exec.Command(os.Args[0], "-test.run=^TestReach$")
	again.Env = append(os.Environ(), Variable+"=before_send:3")
	said, err := again.Output()
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit))
	require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal())
	require.Equal(t, "twice\n", string(said))
}
