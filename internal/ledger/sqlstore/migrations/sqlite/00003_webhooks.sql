-- What pagers send back: groups by what products make of their dedup key, and the events that have been taken.

-- +goose Up
ALTER TABLE page_groups ADD COLUMN hash TEXT NOT NULL DEFAULT '';
CREATE INDEX page_groups_hash ON page_groups (hash) WHERE hash <> '';

CREATE TABLE seen_events (
    source TEXT NOT NULL,
    id     TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (id, source)
);
CREATE INDEX seen_events_in_time ON seen_events (at);
