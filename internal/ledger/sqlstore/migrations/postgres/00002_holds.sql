-- What holds pages back, what is asked of deployment systems, and test pages.

-- +goose Up
ALTER TABLE episodes ADD COLUMN held TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE episodes ADD COLUMN held_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE episodes ADD COLUMN recent TEXT COLLATE "C" NOT NULL DEFAULT 'null';
ALTER TABLE episodes ADD COLUMN flap_noticed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE page_groups ADD COLUMN respond_by BIGINT NOT NULL DEFAULT 0;

CREATE TABLE silences (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    matchers   TEXT COLLATE "C" NOT NULL,
    starts_at  BIGINT NOT NULL,
    ends_at    BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    comment    TEXT COLLATE "C" NOT NULL
);
CREATE INDEX silences_ending ON silences (ends_at);

CREATE TABLE actions (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    episode_id   TEXT COLLATE "C" NOT NULL REFERENCES episodes (id) ON DELETE CASCADE,
    rule         TEXT COLLATE "C" NOT NULL,
    owner        TEXT COLLATE "C" NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    target       TEXT COLLATE "C" NOT NULL,
    mode         TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    reason       TEXT COLLATE "C" NOT NULL,
    requested_at BIGINT NOT NULL,
    decided_at   BIGINT NOT NULL,
    decided_by   TEXT COLLATE "C" NOT NULL,
    note         TEXT COLLATE "C" NOT NULL,
    done_at      BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    due_at       BIGINT NOT NULL,
    leased_until BIGINT NOT NULL,
    last_error   TEXT COLLATE "C" NOT NULL,
    -- when it can be claimed: the later of due_at and leased_until; NULL where nothing is to be sent
    ready_at     BIGINT,
    UNIQUE (episode_id, kind)
);
CREATE INDEX actions_due ON actions (ready_at, id) WHERE ready_at IS NOT NULL;
CREATE INDEX actions_in_time ON actions (requested_at, id);
CREATE INDEX actions_of_target ON actions (target, requested_at, id);
CREATE INDEX actions_of_state ON actions (state, requested_at, id);

CREATE TABLE trials (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    receiver     TEXT COLLATE "C" NOT NULL,
    requested_by TEXT COLLATE "C" NOT NULL,
    requested_at BIGINT NOT NULL,
    done_at      BIGINT NOT NULL,
    error        TEXT COLLATE "C" NOT NULL
);
CREATE INDEX trials_asked ON trials (requested_at, id);
