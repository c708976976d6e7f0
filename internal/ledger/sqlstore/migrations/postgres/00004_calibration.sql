-- What calibration goes by: thresholds and firing levels by tier, and incidents that no alert caught.

-- +goose Up
ALTER TABLE episodes ADD COLUMN levels TEXT NOT NULL DEFAULT 'null';

CREATE TABLE misses (
    id          TEXT NOT NULL PRIMARY KEY,
    rule        TEXT NOT NULL,
    at          BIGINT NOT NULL,
    labels      TEXT NOT NULL,
    person      TEXT NOT NULL,
    note        TEXT NOT NULL,
    reported_at BIGINT NOT NULL
);
CREATE INDEX misses_of_rule ON misses (rule, at, id);
CREATE INDEX misses_in_time ON misses (at, id);

CREATE INDEX page_groups_paged ON page_groups (owner, paged_at) WHERE paged_at > 0;
