package escalate

import "time"

const (
	firstRetry = time.Second
	// lastRetry bounds the time between two tries, and with it how long a destination that is back stays unused.
	lastRetry = time.Minute
	// permanentRetry is for what the far side refuses: a key is replaced or a channel comes back by somebody's hand.
	permanentRetry = 5 * time.Minute
	// askedRetry bounds what the far side may ask for.
	askedRetry = time.Hour
)

// Backoff is how long to wait after a number of failures in a row (1: the first). asked is what the far side asked
// for, which is never cut short below the hour; jitter in [0, 1) spreads what failed together over a fifth more.
func Backoff(failures int, permanent bool, asked time.Duration, jitter float64) time.Duration {
	wait := lastRetry
	if permanent {
		wait = permanentRetry
	} else if shift := max(failures, 1) - 1; shift < 6 {
		wait = min(firstRetry<<shift, lastRetry)
	}
	wait = max(wait, min(asked, askedRetry))
	return wait + time.Duration(jitter*float64(wait)/5)
}
