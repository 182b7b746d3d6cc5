-- Who was erased, by pseudonym, and which tills have confirmed it. A log of
-- erasures names nobody: what the pseudonym stood for is gone.
CREATE TABLE erasure (member BIGINT NOT NULL PRIMARY KEY, at BIGINT NOT NULL, by TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE erasure_told (member BIGINT NOT NULL, device INTEGER NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (member, device)) WITHOUT ROWID;
