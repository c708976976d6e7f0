package escalate

import (
	"fmt"
	"time"
)

// timeOfDay is a wall-clock time in a place.
type timeOfDay struct {
	hour, minute int
	zone         *time.Location
}

func parseTimeOfDay(text string) (hour, minute int, err error) {
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, 0, fmt.Errorf(`must be a time of day as "HH:MM" (got %q)`, text)
	}
	return t.Hour(), t.Minute(), nil
}

func parseZone(name string) (*time.Location, error) {
	if name == "Local" { // the machine's own zone: replicas need not agree on it
		return nil, fmt.Errorf(`must be a name such as "Europe/Berlin" or "UTC" (got %q)`, name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf(`must be a name such as "Europe/Berlin" or "UTC": %w (got %q)`, err, name)
	}
	return zone, nil
}

// next returns the first occurrence after t. Days are counted on the calendar, so a change to or from summer time
// moves no digest off its wall-clock time; a time that a day leaves out comes as much later or earlier as the clock
// jumps, and one that a day has twice comes once.
func (b timeOfDay) next(t time.Time) time.Time {
	year, month, day := t.In(b.zone).Date()
	for ; ; day++ { // time.Date carries a day beyond the month's end over
		at := time.Date(year, month, day, b.hour, b.minute, 0, 0, b.zone)
		if at.After(t) {
			return at
		}
	}
}
