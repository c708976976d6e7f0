package calibrate

import (
	"strings"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// FalsePositives returns the share of false alarms among the episodes that people judged to be real or false. Expected
// and duplicate ones do not count: they say nothing about the threshold. ok is false where nobody has judged.
func FalsePositives(verdicts map[ledger.Verdict]int64) (p Proportion, ok bool) {
	return NewProportion(verdicts[ledger.FalsePositive], verdicts[ledger.FalsePositive]+verdicts[ledger.TruePositive])
}

// Precision is the other share: of real ones, among the same episodes.
func Precision(verdicts map[ledger.Verdict]int64) (p Proportion, ok bool) {
	return NewProportion(verdicts[ledger.TruePositive], verdicts[ledger.FalsePositive]+verdicts[ledger.TruePositive])
}

// FScore is precision and recall in one number in [0, 1]: their harmonic mean, in which recall counts beta times as much as
// precision (C. J. van Rijsbergen, "Information Retrieval", 1979, chapter 7). Where both are 0, or one is no number in [0, 1], it is 0.
func FScore(precision, recall, beta float64) float64 {
	weight := beta * beta
	sum := weight*precision + recall
	if !(sum > 0) || !(precision <= 1) || !(recall <= 1) || !(precision >= 0) || !(recall >= 0) {
		return 0
	}
	return (1 + weight) * precision * recall / sum
}

// Local is the one person that all callers are who did not authenticate: who can reach the loopback interface can give
// any name.
const Local = "local"

const localPrefix = Local + "/"

// LocalPerson returns what a verdict's VerdictBy holds where the caller did not authenticate and called themselves
// name, which may be empty.
func LocalPerson(name string) string {
	if name == "" || name == Local {
		return Local
	}
	return localPrefix + name
}

// Authenticated returns what a verdict's VerdictBy holds for an authenticated subject: the subject, unless it could be
// taken for a caller that did not authenticate.
func Authenticated(subject string) string {
	if Person(subject) == Local {
		return "authenticated/" + subject
	}
	return subject
}

// Person returns whom a verdict counts for, in every statistic that counts people.
func Person(verdictBy string) string {
	if strings.HasPrefix(verdictBy, localPrefix) {
		return Local
	}
	return verdictBy
}

// Name returns what a VerdictBy is shown as: the name that the person gave.
func Name(verdictBy string) string { return strings.TrimPrefix(verdictBy, localPrefix) }
