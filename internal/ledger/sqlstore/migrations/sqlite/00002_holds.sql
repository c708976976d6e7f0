-- What holds pages back, what is asked of deployment systems, and test pages.

-- +goose Up
ALTER TABLE episodes ADD COLUMN held TEXT NOT NULL DEFAULT '';
ALTER TABLE episodes ADD COLUMN held_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE episodes ADD COLUMN recent TEXT NOT NULL DEFAULT 'null';
ALTER TABLE episodes ADD COLUMN flap_noticed_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE page_groups ADD COLUMN respond_by INTEGER NOT NULL DEFAULT 0;

CREATE TABLE silences (
    id         TEXT NOT NULL PRIMARY KEY,
    matchers   TEXT NOT NULL,
    starts_at  INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    comment    TEXT NOT NULL
);
CREATE INDEX silences_ending ON silences (ends_at);

CREATE TABLE actions (
    id           TEXT NOT NULL PRIMARY KEY,
    episode_id   TEXT NOT NULL REFERENCES episodes (id) ON DELETE CASCADE,
    rule         TEXT NOT NULL,
    owner        TEXT NOT NULL,
    kind         TEXT NOT NULL,
    target       TEXT NOT NULL,
    mode         TEXT NOT NULL,
    state        TEXT NOT NULL,
    reason       TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    decided_at   INTEGER NOT NULL,
    decided_by   TEXT NOT NULL,
    note         TEXT NOT NULL,
    done_at      INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    leased_until INTEGER NOT NULL,
    last_error   TEXT NOT NULL,
    -- when it can be claimed: the later of due_at and leased_until; NULL where nothing is to be sent
    ready_at     INTEGER,
    UNIQUE (episode_id, kind)
);
CREATE INDEX actions_due ON actions (ready_at, id) WHERE ready_at IS NOT NULL;
CREATE INDEX actions_in_time ON actions (requested_at, id);
CREATE INDEX actions_of_target ON actions (target, requested_at, id);
CREATE INDEX actions_of_state ON actions (state, requested_at, id);

CREATE TABLE trials (
    id           TEXT NOT NULL PRIMARY KEY,
    receiver     TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    done_at      INTEGER NOT NULL,
    error        TEXT NOT NULL
);
CREATE INDEX trials_asked ON trials (requested_at, id);
