-- What lists of episodes are narrowed by stands in the index that puts them in order: of a team's fifty thousand, those of a
-- tier are found without reading the others.

-- +goose Up
DROP INDEX episodes_in_time;
DROP INDEX episodes_of_rule;
DROP INDEX episodes_of_owner;
DROP INDEX episodes_of_severity;
DROP INDEX episodes_of_verdict;
CREATE INDEX episodes_in_time ON episodes (opened_at, id, ended_at);
CREATE INDEX episodes_of_rule ON episodes (rule, opened_at, id, owner, severity, highest, verdict, notified_at, ended_at);
CREATE INDEX episodes_of_owner ON episodes (owner, opened_at, id, severity, highest, verdict, notified_at, ended_at);
CREATE INDEX episodes_of_severity ON episodes (severity, opened_at, id, highest, verdict, notified_at, ended_at);
CREATE INDEX episodes_of_verdict ON episodes (verdict, opened_at, id, severity, highest, notified_at, ended_at);
