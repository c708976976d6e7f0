package calibrate

import (
	"fmt"
	"math"
	"time"
)

// Sentence says in one what the suggestion would change, or why none stands. window is the time from which the alarms
// are.
func (s *Suggestion) Sentence(window time.Duration) string {
	switch s.Reason {
	case Stands:
		return s.change(int(math.Round(window.Hours() / 24)))
	case FewEpisodes:
		return fmt.Sprintf("%d of %d labelled episodes", s.Labelled, s.Limits.MinEpisodes)
	case FewDays:
		return fmt.Sprintf("the labelled episodes span %.1f of %.1f days", s.Span.Hours()/24, s.Limits.MinAge.Hours()/24)
	case FewPeople:
		return fmt.Sprintf("verdicts of %d of %d people", s.People, s.Limits.MinPeople)
	case NothingGone:
		if s.Before.Incidents == 0 {
			return fmt.Sprintf("no threshold within %g %% would remove pages, and half of them at most; no incident has been verified yet", s.Limits.MaxStep*100)
		}
		return "no threshold would remove pages and keep what must be kept"
	case JustMoved:
		return "no page has come at the threshold in force yet"
	case NoLevels:
		return "no episode has a firing level"
	default:
		return "no threshold is in force"
	}
}

// change says what the suggestion would have changed in so many days.
func (s *Suggestion) change(days int) string {
	var text string
	switch gone := s.Before.Episodes - s.After.Episodes; {
	case gone > 0:
		text = fmt.Sprintf("%d of %d pages in %d days would have gone", gone, s.Before.Episodes, days)
	case gone < 0:
		text = fmt.Sprintf("%s more than the %d in %d days would have come", many(-gone, "page"), s.Before.Episodes, days)
	default:
		text = fmt.Sprintf("the %s in %d days would have stayed for now", many(s.Before.Episodes, "page"), days)
	}
	switch missed := s.After.Incidents - s.Before.Incidents; {
	case s.AtGoal.Incidents == 0:
		text += ", no incident has been verified yet, so that half may go at most"
	case missed > 0:
		text += fmt.Sprintf(", %s caught that went unseen, all others kept", many(missed, "incident"))
	case s.After.Incidents == 1:
		text += ", the one incident kept"
	case s.After.Incidents > 1:
		text += fmt.Sprintf(", all %d incidents kept", s.After.Incidents)
	}
	if n := s.Before.Unjudged - s.After.Unjudged; n > 0 {
		text += fmt.Sprintf("; nobody judged %d of those that would have gone", n)
	}
	if !s.Capped {
		return text
	}
	text += fmt.Sprintf("; a step is %g %% at most", s.Limits.MaxStep*100)
	switch missed := s.AtGoal.Incidents - s.Before.Incidents; {
	case s.Goal == s.Threshold:
	case missed > 0:
		text += fmt.Sprintf(": at %g, %s would be caught that went unseen", s.Goal, many(missed, "incident"))
	default:
		text += fmt.Sprintf(": at %g, %d would have gone", s.Goal, s.Before.Episodes-s.AtGoal.Episodes)
	}
	return text
}

func many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
