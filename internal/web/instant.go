package web

import "time"

// instant is a moment as the page tells it: from now, with the moment itself for who wants to know, and for the script that keeps the
// text true.
type instant struct {
	At time.Time
	// Relation is ago, for or in: the script knows the same three.
	Relation string
	Text     string
}

// String is the text alone.
func (i instant) String() string { return i.Text }

func ago(now, t time.Time) instant { return instant{t, "ago", span(now.Sub(t)) + " ago"} }

func lasting(now, t time.Time) instant { return instant{t, "for", span(now.Sub(t))} }

func until(now, t time.Time) instant {
	if !t.After(now) {
		return instant{t, "in", "now"}
	}
	return instant{t, "in", "in " + span(t.Sub(now))}
}
