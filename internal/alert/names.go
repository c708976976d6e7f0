// Package alert is the contract between the components: what an alert is, what it is called on the wire,
// and how it is put into and read from OTLP. It imports nothing else of this module.
package alert

// Names of metrics that this project emits. Each stands here once and nowhere else.
const (
	// MetricState is the gauge that carries every alert through the pipeline: 0 inactive, 1 pending, 2 firing.
	MetricState = "alert.state"
	// MetricExplore is the same for the silent track, whose episodes are recorded and never sent.
	MetricExplore = "alert.explore"

	MetricEpisodes            = "alert.episodes"
	MetricOpenCount           = "alert.open.count"
	MetricOpenAge             = "alert.open.age"
	MetricVerdicts            = "alert.verdicts"
	MetricFalsePositiveRatio  = "alert.false_positive.ratio"
	MetricFalsePositiveLower  = "alert.false_positive.lower"
	MetricFalsePositiveUpper  = "alert.false_positive.upper"
	MetricPrecision           = "alert.precision"
	MetricVerdictCoverage     = "alert.verdict.coverage"
	MetricRecall              = "alert.recall"
	MetricTransientRatio      = "alert.transient.ratio"
	MetricFlappingRatio       = "alert.flapping.ratio"
	MetricUnacknowledgedRatio = "alert.unacknowledged.ratio"
	MetricBudgetUsed          = "alert.budget.used"
	MetricThresholdCurrent    = "alert.threshold.current"
	MetricThresholdSuggested  = "alert.threshold.suggested"
	MetricSuggestionPrecision = "alert.suggestion.precision"
	MetricSuggestionRecall    = "alert.suggestion.recall"
	MetricSuggestionEpisodes  = "alert.suggestion.episodes"
	MetricTimeToNotify        = "alert.time_to_notify"
	MetricTimeToAcknowledge   = "alert.time_to_acknowledge"
	MetricTimeToResolve       = "alert.time_to_resolve"
	MetricEscalations         = "alert.escalations"
)

// UnitState is the unit of MetricState.
const UnitState = "{state}"

// Scope is the instrumentation scope of everything that carries alert state.
const Scope = "github.com/otelcol-escalation/otelcol-escalation"

// Attributes of the identity of an alert.state point. They stand on the data point itself.
const (
	AttrID       = "alert.id"
	AttrGroup    = "alert.rule.group"
	AttrRule     = "alert.rule.name"
	AttrSeverity = "alert.severity"
	AttrOwner    = "alert.owner.name"
)

// Attributes that describe an alert without being part of its identity. On alert.state they are filtered
// attributes of the exemplar; calibration metrics and alert events carry some of them on the point or record.
const (
	AttrThreshold        = "alert.threshold"          // double, in the unit of the source metric
	AttrFiringLevel      = "alert.firing_level"       // double, in the unit of the source metric
	AttrFiringLevelBound = "alert.firing_level_bound" // boolean: the level may be more extreme in truth
	// One double per tier that was active, as "alert.firing_levels.critical", and those of them that are bounds (string
	// array of severities).
	AttrFiringLevelPrefix = "alert.firing_levels."
	AttrFiringLevelBounds = "alert.firing_level_bounds"
	AttrValidFor          = "alert.valid_for" // double, seconds
	AttrAction            = "alert.action"    // string array of Action
	AttrReason            = "alert.reason"    // a Reason, or a suppression's reason
	AttrSourceMetric      = "alert.source.metric"
	AttrSourceUnit        = "alert.source.unit"
	AttrThresholdBound    = "alert.threshold.bound" // low or high, of a band's thresholds
	AttrResponse          = "alert.response"
	AttrAnnotationPrefix  = "alert.annotation."
	AttrOutcome           = "alert.outcome" // on MetricEpisodes
	AttrVerdict           = "alert.verdict" // on MetricVerdicts
	AttrEpisodeID         = "alert.episode.id"
	AttrStep              = "alert.step"
	AttrBy                = "alert.by"
	AttrNote              = "alert.note"
	AttrReceiver          = "alert.receiver" // who was told, on alert.paged and alert.escalated
	AttrFrom              = "alert.from"     // the value before a change, on alert events
	// AttrOverflow, a boolean, stands instead of what tells series apart where there are too many: OpenTelemetry's SDKs call it so.
	AttrOverflow = "otel.metric.overflow"
)

// Names of alert events, as the event name of a log record.
const (
	EventFired          = "alert.fired"
	EventSeverity       = "alert.severity_changed"
	EventOwner          = "alert.owner_changed"
	EventNoData         = "alert.no_data"
	EventPaged          = "alert.paged"
	EventPageFailed     = "alert.page_failed"
	EventEscalated      = "alert.escalated"
	EventAcknowledged   = "alert.acknowledged"
	EventAckExpired     = "alert.acknowledgement_expired"
	EventSnoozed        = "alert.snoozed"
	EventUnacknowledged = "alert.unacknowledged"
	EventResolved       = "alert.resolved"
	EventVerdict        = "alert.verdict"
	// EventThreshold says that a rule's threshold was moved; it is about a rule, not about one alert.
	EventThreshold      = "alert.threshold_changed"
	EventRollbackWanted = "alert.rollback.requested"
	// What became of it, and of a manual intervention, whose event is EventIntervention.
	EventIntervention    = "alert.manual_intervention.requested"
	EventActionApproved  = "alert.action.approved"
	EventActionRejected  = "alert.action.rejected"
	EventActionDone      = "alert.action.done"
	EventActionFailed    = "alert.action.failed"
	EventActionCancelled = "alert.action.cancelled"
)

// Labels of a page, in Alertmanager's data model.
const (
	LabelName      = "alertname"
	LabelSeverity  = "severity"
	LabelOwner     = "owner"
	LabelAlertID   = "alert_id"
	LabelEpisodeID = "episode_id"
)
