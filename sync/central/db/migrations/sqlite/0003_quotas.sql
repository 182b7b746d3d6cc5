-- What each till may give of each budget of the rulebook, in all, and what it
-- has told of having given. budget is the key programme/budget@first day.
CREATE TABLE quota (
  budget TEXT NOT NULL,
  device INTEGER NOT NULL,
  epoch BIGINT NOT NULL,
  granted_money BIGINT NOT NULL DEFAULT 0,
  granted_points BIGINT NOT NULL DEFAULT 0,
  granted_count BIGINT NOT NULL DEFAULT 0,
  used_money BIGINT NOT NULL DEFAULT 0,
  used_points BIGINT NOT NULL DEFAULT 0,
  used_count BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (budget, device, epoch)
) WITHOUT ROWID;

-- The grants themselves, as the tills are told.
CREATE TABLE quota_grant (
  n INTEGER NOT NULL PRIMARY KEY,
  budget TEXT NOT NULL,
  device INTEGER NOT NULL,
  epoch BIGINT NOT NULL,
  money BIGINT NOT NULL,
  points BIGINT NOT NULL,
  count BIGINT NOT NULL,
  made BIGINT NOT NULL
);
CREATE INDEX quota_grant_device ON quota_grant (device, n);
