package dashboard

import (
	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// overview is where to look first.
func (d *drawing) overview() {
	d.row("Overview")
	severity, outcome, owner := d.by(alert.AttrSeverity), d.by(alert.AttrOutcome), d.by(alert.AttrOwner)

	open := figures("Open alerts", "Alerts that are open now, by tier.", 8, number)
	open.askNow(aggregated("sum", d.of(alert.MetricOpenCount, d.selected()...), severity), d.legend(alert.AttrSeverity))
	for _, s := range alert.Severities {
		open.override(byName, s.String(), fixed(colors[s]))
	}
	ended := figures("Ended alerts", "Alerts that ended within the time shown, by what became of them as a page.", 8, number)
	ended.askNow(grown(d.of(alert.MetricEpisodes, d.selected()...), outcome, rangeVariable), d.legend(alert.AttrOutcome))
	verdicts := figures("Verdicts", "What people said about alerts within the time shown. One that is changed moves.", 8, number)
	verdicts.askNow(grown(d.of(alert.MetricVerdicts, d.selected()...), d.by(alert.AttrVerdict), rangeVariable), d.legend(alert.AttrVerdict))
	d.line(4, open, ended, verdicts)

	d.line(10, d.worst())

	now := d.table("Open now", "What is open, the oldest on top.", 8,
		[]label{{alert.AttrRule, "Rule"}, {alert.AttrSeverity, "Tier"}, {alert.AttrOwner, "Owner"}},
		[]column{
			{"Alerts", aggregated("sum", d.of(alert.MetricOpenCount, d.selected()...), d.by(alert.AttrRule, alert.AttrSeverity, alert.AttrOwner)) + " > 0", number},
			{"Oldest", aggregated("max", d.of(alert.MetricOpenAge, d.selected()...), d.by(alert.AttrRule, alert.AttrSeverity, alert.AttrOwner)) + " > 0", seconds},
		}, "Oldest")
	became := bars("What became of alerts", "Alerts that ended, by what became of them as a page. Together they are all that ended: nothing is left out.", 16)
	became.ask(grown(d.of(alert.MetricEpisodes, d.selected()...), outcome, stepVariable), d.legend(alert.AttrOutcome))
	d.line(8, now, became)

	budget := timeline("Alert budget used, by owner", "Pages of an owner within the span of the owner's alert budget, over the budget. Above the line there were more than agreed. "+
		"Owners without a budget are not here.", 12, share)
	budget.FieldConfig.Defaults.Min = pointer(0.0)
	budget.mark(step{Color: colors[alert.Critical], Value: pointer(1.0)})
	budget.ask(aggregated("max", d.of(alert.MetricBudgetUsed, d.chosen(alert.AttrOwner, ownerVariable)), owner), d.legend(alert.AttrOwner))
	steps := bars("Escalation steps, by owner", "Steps taken: the first page of an alert is one, and each time that it went on to the next because nobody had acknowledged.", 12)
	steps.ask(grown(d.of(alert.MetricEscalations, d.selected()...), owner, stepVariable), d.legend(alert.AttrOwner))
	d.line(8, budget, steps)
}

// worst is a table of rules, the worst on top.
func (d *drawing) worst() *panel {
	key := []label{{alert.AttrRule, "Rule"}, {alert.AttrSeverity, "Tier"}, {alert.AttrOwner, "Owner"}, {alert.AttrSourceMetric, "Metric"}}
	by := d.by(alert.AttrRule, alert.AttrSeverity, alert.AttrOwner, alert.AttrSourceMetric)
	ratio := func(metric string) string { return aggregated("max", d.of(metric, d.selected()...), by) }
	paged := d.of(alert.MetricEpisodes, d.with(d.oneOf(alert.AttrOutcome, string(ledger.OutcomeNotified), string(ledger.OutcomeBatched)))...)
	return d.table("Rules, worst first",
		"Sorted by the part of their alerts that is surely false (the lower bound of the interval: a rule with one verdict is not worse than one of which forty in "+
			"fifty were false), then by pages. Coverage is the part of the pages that somebody judged: how much the ratios rest on. Ratios are over the "+
			"calibration receiver's window, pages over the time shown.", columns, key,
		[]column{
			{"Surely false", ratio(alert.MetricFalsePositiveLower), share},
			{"False", ratio(alert.MetricFalsePositiveRatio), share},
			{"At most false", ratio(alert.MetricFalsePositiveUpper), share},
			{"Precision", ratio(alert.MetricPrecision), share},
			{"Recall", ratio(alert.MetricRecall), share},
			{"Coverage", ratio(alert.MetricVerdictCoverage), share},
			{"Pages", grown(paged, by, rangeVariable), number},
		}, "Surely false", "Pages")
}

// cycle is how long things take.
func (d *drawing) cycle() {
	d.row("Cycle time")
	all := []struct{ metric, what, title, description string }{
		{alert.MetricTimeToNotify, "notify", "Time to notify", "From an alert's arrival to the first page that was accepted."},
		{alert.MetricTimeToAcknowledge, "acknowledge", "Time to acknowledge", "From the first page to the first acknowledgement."},
		{alert.MetricTimeToResolve, "resolve", "Time to resolve", "From an alert's arrival to its end."},
	}
	const median, slow = 0.5, 0.95
	var lines []*panel
	var columns []column
	for _, c := range all {
		of := d.of(c.metric, d.selected()...)
		p := timeline(c.title, c.description+" Each point is about the 7 days before it.", 8, seconds)
		p.FieldConfig.Defaults.Min = pointer(0.0)
		p.ask(quantile(median, of, "", "7d"), "median")
		p.ask(quantile(slow, of, "", "7d"), "95 %")
		lines = append(lines, p)
		by := d.by(alert.AttrRule, alert.AttrOwner)
		columns = append(columns,
			column{"Median to " + c.what, quantile(median, of, by, rangeVariable), seconds},
			column{"95 % to " + c.what, quantile(slow, of, by, rangeVariable), seconds})
	}
	d.line(8, lines...)
	d.line(8, d.table("Cycle time by rule", "Of the alerts within the time shown.", 24,
		[]label{{alert.AttrRule, "Rule"}, {alert.AttrOwner, "Owner"}}, columns, columns[3].title))
}

// verdicts is what people say about alerts, and noise what can be said without them.
func (d *drawing) verdicts() {
	d.row("What people said")
	by, name := d.by(alert.AttrRule, alert.AttrSeverity), d.legend(alert.AttrRule, alert.AttrSeverity)
	line := func(p *panel, metric, what string) {
		p.ask(aggregated("max", d.of(metric, d.selected()...), by), name+what)
	}
	wrong := ratios("False alarms", "False alarms among the alerts that people judged to be real or false. Each rule's interval is drawn below: a few verdicts do not say much.", 12)
	line(wrong, alert.MetricFalsePositiveRatio, "")
	coverage := ratios("Coverage", "Alerts with a verdict among those that people were paged for: how much all other ratios of this section rest on.", 12)
	line(coverage, alert.MetricVerdictCoverage, "")
	d.line(8, wrong, coverage)
	right := ratios("Precision and recall", "Precision: real ones among the alerts that were judged. Recall: verified incidents that were caught, among those and the "+
		"misses that people have reported; without a report there is none.", 12)
	line(right, alert.MetricPrecision, " precision")
	line(right, alert.MetricRecall, " recall")
	given := bars("Verdicts", "Verdicts that were given. One that is changed moves, so that its old kind falls.", 12)
	given.ask(grown(d.of(alert.MetricVerdicts, d.selected()...), d.by(alert.AttrVerdict), stepVariable), d.legend(alert.AttrVerdict))
	d.line(8, right, given)

	d.row("What nobody had to judge")
	noise := ratios("Noise, inferred", "Transient: ended alerts that recovered within 5 minutes with nobody having taken them on. Flapping: alerts that came and went. "+
		"Nobody judged these, and none of it is in the ratios above.", columns)
	line(noise, alert.MetricTransientRatio, " transient")
	line(noise, alert.MetricFlappingRatio, " flapping")
	d.line(8, noise)
}

// intervals draws false alarms of every chosen rule with their bounds: a panel that Grafana repeats.
func (d *drawing) intervals() {
	d.row("False alarms, with what the verdicts can tell")
	p := d.band("$"+ruleVariable, 8, alert.Severities[:], d.selected()...)
	p.Repeat, p.RepeatDirection, p.MaxPerRow = ruleVariable, "h", 3
	d.line(8, p)
}

// band draws false alarms as a line for each of the tiers, within the bounds of what is known.
func (d *drawing) band(title string, width int, tiers []alert.Severity, matchers ...matcher) *panel {
	p := ratios(title, "False alarms among the judged ones, by tier. The band is the 95 % interval: it is wide where few were judged. "+
		"Dashed: coverage, the part of the pages that somebody judged.", width)
	severity := d.by(alert.AttrSeverity)
	ask := func(operator, metric, what string) string {
		return p.ask(aggregated(operator, d.of(metric, matchers...), severity), d.legend(alert.AttrSeverity)+what)
	}
	ask("max", alert.MetricFalsePositiveUpper, atMost)
	ask("min", alert.MetricFalsePositiveLower, atLeast)
	p.override(byQuery, ask("avg", alert.MetricFalsePositiveRatio, falseAlarms), custom("lineWidth", 2))
	p.override(byQuery, ask("avg", alert.MetricVerdictCoverage, covered), dashed())
	p.override(byPattern, "/("+atMost+"|"+atLeast+")$/", custom("lineWidth", 0), custom("hideFrom", object{"legend": true, "tooltip": false, "viz": false}))
	for _, s := range tiers {
		p.override(byPattern, "/^"+s.String()+" /", fixed(colors[s]))
		p.override(byName, s.String()+atMost, custom("fillBelowTo", s.String()+atLeast), custom("fillOpacity", 15))
	}
	return p
}

// What the lines of a band are called, after the tier.
const (
	atMost      = " at most"
	atLeast     = " at least"
	falseAlarms = " false"
	covered     = " coverage"
)

// suggestions are the thresholds in force and what would be better, a row for each set of the key's labels.
func (d *drawing) suggestions(title string, width int, key []label, matchers ...matcher) *panel {
	var attributes []string
	for _, l := range key {
		attributes = append(attributes, l.attribute)
	}
	by := d.by(attributes...)
	of := func(metric string) string { return aggregated("max", d.of(metric, matchers...), by) }
	return d.table(title, "The threshold in force, in the metric's unit, the suggested one where one stands, and what that would have made of the recorded alerts.", width, key,
		[]column{
			{"In force", of(alert.MetricThresholdCurrent), "none"},
			{"Suggested", of(alert.MetricThresholdSuggested), "none"},
			{"Alerts left", of(alert.MetricSuggestionEpisodes), number},
			{"Precision", of(alert.MetricSuggestionPrecision), share},
			{"Verified kept", of(alert.MetricSuggestionRecall), share},
		}, "Suggested")
}
