-- Rights to spend without a link: points moved from available to leased, for
-- one device. remaining is what of it is neither spent nor given back.
CREATE TABLE lease (
  id TEXT NOT NULL PRIMARY KEY,
  member BIGINT NOT NULL,
  wallet TEXT NOT NULL,
  device INTEGER NOT NULL,
  epoch BIGINT NOT NULL,
  points BIGINT NOT NULL,
  remaining BIGINT NOT NULL CHECK (remaining >= 0),
  returned BIGINT NOT NULL DEFAULT 0,     -- given back by a revocation: late spends may be charged up to it
  state TEXT NOT NULL,                    -- granted, open, recalled, closed, revoked
  not_after BIGINT NOT NULL,
  made BIGINT NOT NULL,
  ended BIGINT NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX lease_member ON lease (member, wallet) WHERE state IN ('granted', 'open', 'recalled');
CREATE INDEX lease_device ON lease (device) WHERE state IN ('granted', 'open', 'recalled', 'closed');

-- What each device is to be told of its leases.
CREATE TABLE lease_feed (n INTEGER NOT NULL PRIMARY KEY, device INTEGER NOT NULL, what TEXT NOT NULL, lease TEXT NOT NULL);
CREATE INDEX lease_feed_device ON lease_feed (device, n);

ALTER TABLE hold ADD COLUMN lease TEXT NOT NULL DEFAULT '';
