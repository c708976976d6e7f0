package escalate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBatchTime(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return parsed
	}
	for _, c := range []struct {
		why          string
		hour, minute int
		from         string
		want         []string
	}{
		{"later today", 9, 0, "2026-01-12T07:59:59Z", []string{"2026-01-12T09:00:00+01:00", "2026-01-13T09:00:00+01:00"}},
		{"at the time itself: tomorrow", 9, 0, "2026-01-12T08:00:00Z", []string{"2026-01-13T09:00:00+01:00"}},
		{"over the year's end", 9, 0, "2026-12-31T12:00:00Z", []string{"2027-01-01T09:00:00+01:00"}},
		{"nine stays nine when summer time begins", 9, 0, "2026-03-28T08:00:00Z", []string{"2026-03-29T09:00:00+02:00", "2026-03-30T09:00:00+02:00"}},
		{"nine stays nine when it ends", 9, 0, "2026-10-24T07:00:00Z", []string{"2026-10-25T09:00:00+01:00"}},
		{"a time that the day leaves out", 2, 30, "2026-03-28T01:30:00Z", []string{"2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"a time that the day has twice", 2, 30, "2026-10-24T00:30:00Z", []string{"2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00"}},
	} {
		b := timeOfDay{hour: c.hour, minute: c.minute, zone: berlin}
		now := at(c.from)
		for _, want := range c.want {
			now = b.next(now)
			require.Equal(t, want, now.Format(time.RFC3339), c.why)
		}
	}
}

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		failures  int
		permanent bool
		asked     time.Duration
		jitter    float64
		want      time.Duration
	}{
		{1, false, 0, 0, time.Second},
		{3, false, 0, 0, 4 * time.Second},
		{6, false, 0, 0, 32 * time.Second},
		{7, false, 0, 0, time.Minute},
		{1 << 40, false, 0, 0, time.Minute},
		{1, false, 0, 0.5, 1100 * time.Millisecond},
		{1, false, 90 * time.Second, 0, 90 * time.Second},
		{1, false, 24 * time.Hour, 0, time.Hour},
		{1, true, 0, 0, 5 * time.Minute},
		{9, true, time.Second, 0, 5 * time.Minute},
	} {
		require.Equal(t, c.want, Backoff(c.failures, c.permanent, c.asked, c.jitter), "%+v", c)
	}
}
