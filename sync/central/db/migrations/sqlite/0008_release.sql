-- Which programs tills may install: lists signed by the release keys (package
-- sync/central/release).
CREATE TABLE release (version INTEGER NOT NULL PRIMARY KEY, signed BLOB NOT NULL, added BIGINT NOT NULL);
