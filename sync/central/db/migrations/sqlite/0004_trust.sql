-- Which keys count for rulebooks and programs: signed documents, each following
-- the one before (package sync/trust).
CREATE TABLE trust_root (version INTEGER NOT NULL PRIMARY KEY, signed BLOB NOT NULL, added BIGINT NOT NULL);

-- What a rulebook was signed for.
ALTER TABLE bundle ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
ALTER TABLE bundle ADD COLUMN not_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE bundle ADD COLUMN stores TEXT NOT NULL DEFAULT '';   -- with commas; empty: all
DROP TABLE rulebook_key;
