package calibrate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// The first four are method 3 of table I in R. G. Newcombe, "Two-sided confidence intervals for the single proportion:
// comparison of seven methods", Statistics in Medicine 17 (1998), 857-872.
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		k, n         int64
		lower, upper float64
	}{
		{81, 263, 0.2553, 0.3662},
		{15, 148, 0.0624, 0.1605},
		{0, 20, 0.0000, 0.1611},
		{1, 29, 0.0061, 0.1718},
		{20, 20, 0.8389, 1.0000}, // the mirror image of the third
		{1, 1, 0.2065, 1.0000},   // 1/(1+z²)
	} {
		p, ok := NewProportion(c.k, c.n)
		require.True(t, ok)
		assert.InDelta(t, c.lower, p.Lower, 0.00005, "%d/%d", c.k, c.n)
		assert.InDelta(t, c.upper, p.Upper, 0.00005, "%d/%d", c.k, c.n)
	}
}

func TestNoProportionWithoutTrials(t *testing.T) {
	for _, c := range [][2]int64{{0, 0}, {1, 0}, {-1, 5}, {6, 5}, {0, -1}} {
		p, ok := NewProportion(c[0], c[1])
		assert.False(t, ok, "%v", c)
		assert.Zero(t, p)
	}
}

func TestProportionProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 1<<40).Draw(t, "n")
		k := rapid.Int64Range(0, n).Draw(t, "k")
		p, ok := NewProportion(k, n)
		require.True(t, ok)
		assert.True(t, 0 <= p.Lower && p.Lower <= p.Ratio && p.Ratio <= p.Upper && p.Upper <= 1, "%+v", p)
		assert.Less(t, p.Lower, p.Upper, "a sample never settles it")
		mirror, _ := NewProportion(n-k, n)
		assert.InDelta(t, 1-p.Upper, mirror.Lower, 1e-9)
		assert.InDelta(t, 1-p.Lower, mirror.Upper, 1e-9)
	})
}

func TestFalsePositives(t *testing.T) {
	p, ok := FalsePositives(map[ledger.Verdict]int64{
		ledger.TruePositive: 3, ledger.FalsePositive: 1, ledger.Expected: 90, ledger.Duplicate: 7,
	})
	require.True(t, ok)
	assert.Equal(t, 0.25, p.Ratio)
	assert.Equal(t, int64(4), p.N)

	p, ok = Precision(map[ledger.Verdict]int64{ledger.TruePositive: 3, ledger.FalsePositive: 1, ledger.Expected: 90})
	require.True(t, ok)
	assert.Equal(t, 0.75, p.Ratio)
	_, ok = Precision(nil)
	assert.False(t, ok)

	_, ok = FalsePositives(map[ledger.Verdict]int64{ledger.Expected: 5})
	assert.False(t, ok, "expected says nothing about the threshold")
	_, ok = FalsePositives(nil)
	assert.False(t, ok)
}

func TestPeople(t *testing.T) {
	for _, c := range []struct{ by, person, name string }{
		{LocalPerson("anna"), Local, "anna"},
		{LocalPerson("bob"), Local, "bob"},
		{LocalPerson(""), Local, Local},
		{LocalPerson(Local), Local, Local},
		{Authenticated("anna"), "anna", "anna"},
		{Authenticated("local"), "authenticated/local", "authenticated/local"},
		{Authenticated("local/anna"), "authenticated/local/anna", "authenticated/local/anna"},
		{Authenticated("localhost"), "localhost", "localhost"},
	} {
		assert.Equal(t, c.person, Person(c.by), c.by)
		assert.Equal(t, c.name, Name(c.by), c.by)
	}
}
