-- Times are nanoseconds since 1970 in UTC, 0 where there is none. Maps and lists are JSON. Tiers are 1 (low) to 4
-- (critical), so that they sort by urgency. Text sorts by its bytes (COLLATE "C"), whatever the server's language.

-- +goose Up
CREATE TABLE episodes (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    alert_id TEXT COLLATE "C" NOT NULL,
    group_id TEXT COLLATE "C" NOT NULL,
    rule_group TEXT COLLATE "C" NOT NULL,
    rule TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    severity BIGINT NOT NULL,
    highest BIGINT NOT NULL,
    labels TEXT COLLATE "C" NOT NULL,
    annotations TEXT COLLATE "C" NOT NULL,
    response TEXT COLLATE "C" NOT NULL,
    source_metric TEXT COLLATE "C" NOT NULL,
    source_unit TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    value DOUBLE PRECISION,
    peak DOUBLE PRECISION,
    threshold DOUBLE PRECISION,
    firing_level DOUBLE PRECISION,
    actions TEXT COLLATE "C" NOT NULL,
    started_at BIGINT NOT NULL,
    starts_at BIGINT NOT NULL,
    observed_at BIGINT NOT NULL,
    judged_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    raised_at BIGINT NOT NULL,
    lost_at BIGINT NOT NULL,
    notified_at BIGINT NOT NULL,
    acknowledged_at BIGINT NOT NULL,
    acknowledged_by TEXT COLLATE "C" NOT NULL,
    snoozed_until BIGINT NOT NULL,
    snoozed_by TEXT COLLATE "C" NOT NULL,
    ended_at BIGINT NOT NULL,
    ended_by TEXT COLLATE "C" NOT NULL,
    ender TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    suppressed TEXT COLLATE "C" NOT NULL,
    verdict TEXT COLLATE "C" NOT NULL,
    verdict_by TEXT COLLATE "C" NOT NULL,
    verdict_at BIGINT NOT NULL,
    note TEXT COLLATE "C" NOT NULL,
    -- what a tally asks of an episode, in one number: see tallyState
    tally BIGINT NOT NULL
);
CREATE UNIQUE INDEX episodes_one_open ON episodes (alert_id) WHERE ended_at = 0;
CREATE INDEX episodes_of_alert ON episodes (alert_id, judged_at, opened_at);
CREATE INDEX episodes_of_group ON episodes (group_id, opened_at, id);
CREATE INDEX episodes_in_time ON episodes (opened_at, id);
CREATE INDEX episodes_open ON episodes (opened_at, id) WHERE ended_at = 0;
CREATE INDEX episodes_of_rule ON episodes (rule, opened_at, id);
CREATE INDEX episodes_of_owner ON episodes (owner, opened_at, id);
CREATE INDEX episodes_of_severity ON episodes (severity, opened_at, id);
CREATE INDEX episodes_of_verdict ON episodes (verdict, opened_at, id);
CREATE INDEX episodes_ended ON episodes (ended_at) WHERE ended_at > 0;
CREATE INDEX episodes_tally ON episodes (rule, owner, source_metric, highest, tally, opened_at);

CREATE TABLE page_groups (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    group_key TEXT COLLATE "C" NOT NULL,
    labels TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    tier BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    tier_since BIGINT NOT NULL,
    paged_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    dirty BIGINT NOT NULL,
    step BIGINT NOT NULL,
    step_at BIGINT NOT NULL,
    paged TEXT COLLATE "C" NOT NULL,
    acknowledged_at BIGINT NOT NULL,
    acknowledged_by TEXT COLLATE "C" NOT NULL,
    digest_id TEXT COLLATE "C" NOT NULL,
    closed_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    next_step TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL
);
CREATE UNIQUE INDEX page_groups_one_open ON page_groups (group_key) WHERE closed_at = 0;
CREATE INDEX page_groups_due ON page_groups (tier, due_at, id) WHERE due_at > 0;
CREATE INDEX page_groups_of_digest ON page_groups (digest_id) WHERE digest_id <> '';
CREATE INDEX page_groups_closed ON page_groups (closed_at) WHERE closed_at > 0;

CREATE TABLE deliveries (
    topic TEXT COLLATE "C" NOT NULL,
    destination TEXT COLLATE "C" NOT NULL,
    receiver TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    tier BIGINT NOT NULL,
    step BIGINT NOT NULL,
    wanted BIGINT NOT NULL,
    sent BIGINT NOT NULL,
    sent_firing BIGINT NOT NULL,
    due BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    ordered_at BIGINT NOT NULL,
    last_error TEXT COLLATE "C" NOT NULL,
    leased_until BIGINT NOT NULL,
    -- when it can be claimed: the later of due and leased_until; NULL where nothing is owed
    ready_at BIGINT,
    PRIMARY KEY (topic, destination)
);
CREATE INDEX deliveries_due ON deliveries (tier, ready_at, topic, destination) WHERE ready_at IS NOT NULL;
CREATE INDEX deliveries_in_time ON deliveries (ordered_at);

CREATE TABLE events (
    -- in the order of commits: one transaction writes at a time
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    episode_id TEXT COLLATE "C" NOT NULL REFERENCES episodes (id) ON DELETE CASCADE,
    person TEXT COLLATE "C" NOT NULL,
    severity BIGINT NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    rule TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    receiver TEXT COLLATE "C" NOT NULL,
    note TEXT COLLATE "C" NOT NULL,
    before TEXT COLLATE "C" NOT NULL,
    step BIGINT NOT NULL
);
CREATE INDEX events_of_episode ON events (episode_id, seq);

CREATE TABLE counters (
    metric TEXT COLLATE "C" NOT NULL,
    rule TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    source_metric TEXT COLLATE "C" NOT NULL,
    severity BIGINT NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (metric, rule, owner, source_metric, severity, value)
);

CREATE TABLE histograms (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    metric TEXT COLLATE "C" NOT NULL,
    rule TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    source_metric TEXT COLLATE "C" NOT NULL,
    severity BIGINT NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    scale BIGINT NOT NULL,
    zero BIGINT NOT NULL,
    n BIGINT NOT NULL,
    total DOUBLE PRECISION    NOT NULL,
    lowest DOUBLE PRECISION    NOT NULL,
    highest DOUBLE PRECISION    NOT NULL,
    UNIQUE (metric, rule, owner, source_metric, severity, value)
);
CREATE TABLE histogram_buckets (
    histogram_id BIGINT NOT NULL REFERENCES histograms (id) ON DELETE CASCADE,
    bucket BIGINT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (histogram_id, bucket)
);

CREATE TABLE cursors (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL
);

CREATE TABLE settings (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);
