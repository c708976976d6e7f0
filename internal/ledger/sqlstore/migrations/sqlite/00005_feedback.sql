-- What closes the loop: how values went, the silent track of rules, and thresholds that were moved.

-- +goose Up
ALTER TABLE episodes ADD COLUMN trace TEXT NOT NULL DEFAULT 'null';

CREATE TABLE explored (
    id            TEXT NOT NULL PRIMARY KEY,
    alert_id      TEXT NOT NULL,
    rule_group    TEXT NOT NULL,
    rule          TEXT NOT NULL,
    owner         TEXT NOT NULL,
    source_metric TEXT NOT NULL,
    source_unit   TEXT NOT NULL,
    highest       INTEGER NOT NULL,
    labels        TEXT NOT NULL,
    started_at    INTEGER NOT NULL,
    opened_at     INTEGER NOT NULL,
    ended_at      INTEGER NOT NULL,
    judged_at     INTEGER NOT NULL,
    levels        TEXT NOT NULL
);
CREATE INDEX explored_of_alert ON explored (alert_id, judged_at);
CREATE INDEX explored_of_rule ON explored (rule, opened_at, id);
CREATE INDEX explored_in_time ON explored (opened_at);

CREATE TABLE threshold_changes (
    id         TEXT NOT NULL PRIMARY KEY,
    rule_group TEXT NOT NULL,
    rule       TEXT NOT NULL,
    tier       INTEGER NOT NULL,
    bound      TEXT NOT NULL,
    before     REAL NOT NULL,
    after      REAL NOT NULL,
    at         INTEGER NOT NULL,
    person     TEXT NOT NULL,
    note       TEXT NOT NULL
);
CREATE INDEX threshold_changes_of_tier ON threshold_changes (rule, tier, bound, at, id);
CREATE INDEX threshold_changes_of_rule ON threshold_changes (rule, at, id);
CREATE INDEX threshold_changes_in_time ON threshold_changes (at, id);

-- An event about a rule has no episode. SQLite cannot take a NOT NULL back, so the table is written anew; its numbers go on
-- where they were, even where retention has removed the last of them.
CREATE TABLE events_anew (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    episode_id TEXT    REFERENCES episodes (id) ON DELETE CASCADE,
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
INSERT INTO sqlite_sequence (name, seq) SELECT 'events_anew', seq FROM sqlite_sequence WHERE name = 'events';
INSERT INTO events_anew SELECT seq, at, name, episode_id, person, severity, owner, rule, reason, receiver, note, before, step FROM events;
DROP TABLE events;
ALTER TABLE events_anew RENAME TO events;
CREATE INDEX events_of_episode ON events (episode_id, seq);
