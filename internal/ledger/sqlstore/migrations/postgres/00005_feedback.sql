-- What closes the loop: how values went, the silent track of rules, and thresholds that were moved.

-- +goose Up
ALTER TABLE episodes ADD COLUMN trace TEXT NOT NULL DEFAULT 'null';

CREATE TABLE explored (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    alert_id      TEXT COLLATE "C" NOT NULL,
    rule_group    TEXT COLLATE "C" NOT NULL,
    rule          TEXT COLLATE "C" NOT NULL,
    owner         TEXT COLLATE "C" NOT NULL,
    source_metric TEXT COLLATE "C" NOT NULL,
    source_unit   TEXT COLLATE "C" NOT NULL,
    highest       BIGINT NOT NULL,
    labels        TEXT NOT NULL,
    started_at    BIGINT NOT NULL,
    opened_at     BIGINT NOT NULL,
    ended_at      BIGINT NOT NULL,
    judged_at     BIGINT NOT NULL,
    levels        TEXT NOT NULL
);
CREATE INDEX explored_of_alert ON explored (alert_id, judged_at);
CREATE INDEX explored_of_rule ON explored (rule, opened_at, id);
CREATE INDEX explored_in_time ON explored (opened_at);

CREATE TABLE threshold_changes (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    rule_group TEXT COLLATE "C" NOT NULL,
    rule       TEXT COLLATE "C" NOT NULL,
    tier       BIGINT NOT NULL,
    bound      TEXT COLLATE "C" NOT NULL,
    before     DOUBLE PRECISION NOT NULL,
    after      DOUBLE PRECISION NOT NULL,
    at         BIGINT NOT NULL,
    person     TEXT COLLATE "C" NOT NULL,
    note       TEXT COLLATE "C" NOT NULL
);
CREATE INDEX threshold_changes_of_tier ON threshold_changes (rule, tier, bound, at, id);
CREATE INDEX threshold_changes_of_rule ON threshold_changes (rule, at, id);
CREATE INDEX threshold_changes_in_time ON threshold_changes (at, id);

-- An event about a rule has no episode.
ALTER TABLE events ALTER COLUMN episode_id DROP NOT NULL;
