//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Enabled reports whether failpoints are compiled in.
const Enabled = true

// plan is which failpoint kills, at which time of reaching it, and how long after that.
type plan struct {
	name  Name
	at    int64
	after time.Duration
}

var (
	armed   = mustParse(os.Getenv(Variable))
	reached atomic.Int64
)

// Reach kills the process, as kill -9 does, where the environment says so.
func Reach(name Name) {
	if name != armed.name || reached.Add(1) != armed.at {
		return
	}
	if armed.after > 0 {
		time.AfterFunc(armed.after, kill)
		return
	}
	kill()
	select {} // nothing is done between the signal and its effect
}

func kill() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(err)
	}
}

func mustParse(text string) plan {
	p, err := parse(text)
	if err != nil {
		panic(fmt.Sprintf("%s: %v (got %q)", Variable, err, text))
	}
	return p
}

func parse(text string) (p plan, err error) {
	if text == "" {
		return plan{}, nil
	}
	name, rest, counted := strings.Cut(text, ":")
	p = plan{name: Name(name), at: 1}
	if !counted {
		return p, nil
	}
	times, after, delayed := strings.Cut(rest, "+")
	if p.at, err = strconv.ParseInt(times, 10, 64); err != nil || p.at < 1 {
		return plan{}, fmt.Errorf("must be name, name:times or name:times+duration")
	}
	if delayed {
		if p.after, err = time.ParseDuration(after); err != nil || p.after <= 0 {
			return plan{}, fmt.Errorf("must end in a positive duration")
		}
	}
	return p, nil
}
