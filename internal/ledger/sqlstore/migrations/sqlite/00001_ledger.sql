-- Times are nanoseconds since 1970 in UTC, 0 where there is none. Floats that are not numbers are the text 'NaN'.
-- Maps and lists are JSON. Tiers are 1 (low) to 4 (critical), so that they sort by urgency.

-- +goose Up
CREATE TABLE episodes (
    id              TEXT    NOT NULL PRIMARY KEY,
    alert_id        TEXT    NOT NULL,
    group_id        TEXT    NOT NULL,
    rule_group      TEXT    NOT NULL,
    rule            TEXT    NOT NULL,
    owner           TEXT    NOT NULL,
    severity        INTEGER NOT NULL,
    highest         INTEGER NOT NULL,
    labels          TEXT    NOT NULL,
    annotations     TEXT    NOT NULL,
    response        TEXT    NOT NULL,
    source_metric   TEXT    NOT NULL,
    source_unit     TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    value           REAL,
    peak            REAL,
    threshold       REAL,
    firing_level    REAL,
    actions         TEXT    NOT NULL,
    started_at      INTEGER NOT NULL,
    starts_at       INTEGER NOT NULL,
    observed_at     INTEGER NOT NULL,
    judged_at       INTEGER NOT NULL,
    seen_at         INTEGER NOT NULL,
    opened_at       INTEGER NOT NULL,
    raised_at       INTEGER NOT NULL,
    lost_at         INTEGER NOT NULL,
    notified_at     INTEGER NOT NULL,
    acknowledged_at INTEGER NOT NULL,
    acknowledged_by TEXT    NOT NULL,
    snoozed_until   INTEGER NOT NULL,
    snoozed_by      TEXT    NOT NULL,
    ended_at        INTEGER NOT NULL,
    ended_by        TEXT    NOT NULL,
    ender           TEXT    NOT NULL,
    outcome         TEXT    NOT NULL,
    suppressed      TEXT    NOT NULL,
    verdict         TEXT    NOT NULL,
    verdict_by      TEXT    NOT NULL,
    verdict_at      INTEGER NOT NULL,
    note            TEXT    NOT NULL,
    -- what a tally asks of an episode, in one number: see tallyState
    tally           INTEGER NOT NULL
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
    id              TEXT    NOT NULL PRIMARY KEY,
    group_key       TEXT    NOT NULL,
    labels          TEXT    NOT NULL,
    owner           TEXT    NOT NULL,
    tier            INTEGER NOT NULL,
    opened_at       INTEGER NOT NULL,
    tier_since      INTEGER NOT NULL,
    paged_at        INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    dirty           INTEGER NOT NULL,
    step            INTEGER NOT NULL,
    step_at         INTEGER NOT NULL,
    paged           TEXT    NOT NULL,
    acknowledged_at INTEGER NOT NULL,
    acknowledged_by TEXT    NOT NULL,
    digest_id       TEXT    NOT NULL,
    closed_at       INTEGER NOT NULL,
    due_at          INTEGER NOT NULL,
    next_step       TEXT    NOT NULL,
    sequence        INTEGER NOT NULL
);
CREATE UNIQUE INDEX page_groups_one_open ON page_groups (group_key) WHERE closed_at = 0;
CREATE INDEX page_groups_due ON page_groups (tier, due_at, id) WHERE due_at > 0;
CREATE INDEX page_groups_of_digest ON page_groups (digest_id) WHERE digest_id <> '';
CREATE INDEX page_groups_closed ON page_groups (closed_at) WHERE closed_at > 0;

CREATE TABLE deliveries (
    topic        TEXT    NOT NULL,
    destination  TEXT    NOT NULL,
    receiver     TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    tier         INTEGER NOT NULL,
    step         INTEGER NOT NULL,
    wanted       INTEGER NOT NULL,
    sent         INTEGER NOT NULL,
    sent_firing  INTEGER NOT NULL,
    due          INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    ordered_at   INTEGER NOT NULL,
    last_error   TEXT    NOT NULL,
    leased_until INTEGER NOT NULL,
    -- when it can be claimed: the later of due and leased_until; NULL where nothing is owed
    ready_at     INTEGER,
    PRIMARY KEY (topic, destination)
);
CREATE INDEX deliveries_due ON deliveries (tier, ready_at, topic, destination) WHERE ready_at IS NOT NULL;
CREATE INDEX deliveries_in_time ON deliveries (ordered_at);

CREATE TABLE events (
    -- AUTOINCREMENT: a number is never used again, even after retention has removed the newest event
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    episode_id TEXT    NOT NULL REFERENCES episodes (id) ON DELETE CASCADE,
    person     TEXT    NOT NULL,
    severity   INTEGER NOT NULL,
    owner      TEXT    NOT NULL,
    rule       TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    receiver   TEXT    NOT NULL,
    note       TEXT    NOT NULL,
    before     TEXT    NOT NULL,
    step       INTEGER NOT NULL
);
CREATE INDEX events_of_episode ON events (episode_id, seq);

CREATE TABLE counters (
    metric        TEXT    NOT NULL,
    rule          TEXT    NOT NULL,
    owner         TEXT    NOT NULL,
    source_metric TEXT    NOT NULL,
    severity      INTEGER NOT NULL,
    value         TEXT    NOT NULL,
    n             INTEGER NOT NULL,
    PRIMARY KEY (metric, rule, owner, source_metric, severity, value)
);

CREATE TABLE histograms (
    id            INTEGER PRIMARY KEY,
    metric        TEXT    NOT NULL,
    rule          TEXT    NOT NULL,
    owner         TEXT    NOT NULL,
    source_metric TEXT    NOT NULL,
    severity      INTEGER NOT NULL,
    value         TEXT    NOT NULL,
    scale         INTEGER NOT NULL,
    zero          INTEGER NOT NULL,
    n             INTEGER NOT NULL,
    total         REAL    NOT NULL,
    lowest        REAL    NOT NULL,
    highest       REAL    NOT NULL,
    UNIQUE (metric, rule, owner, source_metric, severity, value)
);
CREATE TABLE histogram_buckets (
    histogram_id INTEGER NOT NULL REFERENCES histograms (id) ON DELETE CASCADE,
    bucket       INTEGER NOT NULL,
    n            INTEGER NOT NULL,
    PRIMARY KEY (histogram_id, bucket)
);

CREATE TABLE cursors (
    name     TEXT    NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL
);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
