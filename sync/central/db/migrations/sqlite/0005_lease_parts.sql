-- What holds take out of which lease: one hold may need several. A hold made
-- by a store's keeper for another till names that till's device.
CREATE TABLE hold_lease (
  hold TEXT NOT NULL,
  lease TEXT NOT NULL,
  points BIGINT NOT NULL,
  PRIMARY KEY (hold, lease)
) WITHOUT ROWID;
CREATE INDEX hold_lease_lease ON hold_lease (lease);
INSERT INTO hold_lease SELECT id, lease, points FROM hold WHERE lease <> '';
ALTER TABLE hold ADD COLUMN for_device INTEGER NOT NULL DEFAULT 0;

-- The till of a store that holds the store's leases. A new one gets the next
-- term; leases themselves always stay with the device they were granted to.
CREATE TABLE store_keeper (
  store TEXT NOT NULL PRIMARY KEY,
  device INTEGER NOT NULL,
  term BIGINT NOT NULL,
  since BIGINT NOT NULL
) WITHOUT ROWID;

-- Members whose leases were asked back for a sale: nothing is handed out to
-- them again before that moment.
CREATE TABLE lease_pause (member BIGINT NOT NULL PRIMARY KEY, until BIGINT NOT NULL) WITHOUT ROWID;

-- The tills of a store as they were last told to its tills, and under which
-- number of the command lane.
CREATE TABLE store_roster (store TEXT NOT NULL PRIMARY KEY, n BIGINT NOT NULL, roster TEXT NOT NULL) WITHOUT ROWID;
