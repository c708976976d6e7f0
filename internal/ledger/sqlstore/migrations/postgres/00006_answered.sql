-- Whether anybody took an alert on, in the number that tallies go by (bit 7, which is 128): see tallyState.

-- +goose Up
ALTER TABLE episodes ADD COLUMN in_hand BIGINT NOT NULL DEFAULT 0;

-- Of what ended before this was written down: the group still tells, as it was when it closed, whether somebody had acknowledged
-- it. An acknowledgement that was taken back has the time of one second.
UPDATE episodes SET in_hand = 1 WHERE ended_at > 0 AND group_id IN (SELECT id FROM page_groups WHERE acknowledged_at > 1000000000);
UPDATE episodes SET tally = tally + 128 WHERE acknowledged_at > 0 OR in_hand > 0 OR ended_by = 'person';
-- What somebody had in hand is not transient (bit 5).
UPDATE episodes SET tally = tally - 32 WHERE in_hand > 0 AND (tally & 32) > 0;
