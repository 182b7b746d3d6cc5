-- Times are Unix milliseconds (0: none), days are 'YYYY-MM-DD' in the shop's
-- time, money is minor units, points are hundredths. Members are random
-- pseudonyms; what tells the person lies in contact and card_number only.

CREATE TABLE fact (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE counter (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL) WITHOUT ROWID;

-- ---------------------------------------------------------------- fleet
CREATE TABLE till (
  store TEXT NOT NULL,
  till TEXT NOT NULL,
  added BIGINT NOT NULL,
  PRIMARY KEY (store, till)
) WITHOUT ROWID;

-- One-time codes: a selector that may be looked up and a secret kept hashed.
CREATE TABLE enrolment (
  selector TEXT NOT NULL PRIMARY KEY,
  secret BLOB NOT NULL,
  store TEXT NOT NULL,
  till TEXT NOT NULL,
  made BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  used BIGINT NOT NULL DEFAULT 0,
  device TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE TABLE device (
  no INTEGER NOT NULL PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  store TEXT NOT NULL,
  till TEXT NOT NULL,
  public_key BLOB NOT NULL,
  host TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT 'active',   -- active, quarantined, revoked
  reason TEXT NOT NULL DEFAULT '',
  enrolled BIGINT NOT NULL,
  revoked BIGINT NOT NULL DEFAULT 0,
  epoch BIGINT NOT NULL DEFAULT 1,
  acked_seq BIGINT NOT NULL DEFAULT 0,    -- the watermark: everything up to it is applied
  acked_hash BLOB NOT NULL,
  session_no BIGINT NOT NULL DEFAULT 0,
  last_seen BIGINT NOT NULL DEFAULT 0,
  program TEXT NOT NULL DEFAULT '',
  bundle BIGINT NOT NULL DEFAULT 0,       -- rulebook in force at the till
  queue BIGINT NOT NULL DEFAULT 0,        -- records it had to send when last heard
  clock TEXT NOT NULL DEFAULT '',
  rejected TEXT NOT NULL DEFAULT ''       -- last rulebook it would not take, and why
);
CREATE INDEX device_till ON device (store, till);

-- The devices on a till's cables, as its journal last told.
CREATE TABLE peripheral (
  device INTEGER NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  detail TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (device, name)
) WITHOUT ROWID;

-- ---------------------------------------------------------------- members
CREATE TABLE member (
  id BIGINT NOT NULL PRIMARY KEY,
  state TEXT NOT NULL DEFAULT 'active',   -- active, blocked, erased
  made BIGINT NOT NULL,
  joined TEXT NOT NULL DEFAULT '',
  segments TEXT NOT NULL DEFAULT '[]',
  attributes TEXT NOT NULL DEFAULT '{}',
  consents TEXT NOT NULL DEFAULT '[]'
);

-- The person. Erasing somebody is dropping this row and the numbers below.
CREATE TABLE contact (
  member BIGINT NOT NULL PRIMARY KEY,
  external TEXT UNIQUE,                   -- number in the system the member came from
  first_name TEXT NOT NULL DEFAULT '',
  last_name TEXT NOT NULL DEFAULT '',
  search TEXT NOT NULL DEFAULT '',        -- folded name, for looking up
  email TEXT NOT NULL DEFAULT '',
  phone TEXT NOT NULL DEFAULT '',
  birthday TEXT NOT NULL DEFAULT '',      -- YYYY-MM-DD or MM-DD
  language TEXT NOT NULL DEFAULT ''
);
CREATE INDEX contact_search ON contact (search);
CREATE INDEX contact_email ON contact (email);

-- What a till may be shown: card or phone number as its keyed hash.
CREATE TABLE card (
  ref BLOB NOT NULL PRIMARY KEY,
  member BIGINT NOT NULL,
  kind TEXT NOT NULL,                     -- card, phone
  type TEXT NOT NULL DEFAULT '',
  status TEXT NOT NULL DEFAULT 'active',  -- active, inactive, blocked, lost
  added BIGINT NOT NULL,
  changed BIGINT NOT NULL DEFAULT 0,
  replaced BLOB                           -- the card that came after this one
) WITHOUT ROWID;
CREATE INDEX card_member ON card (member);
CREATE TABLE card_number (ref BLOB NOT NULL PRIMARY KEY, number TEXT NOT NULL) WITHOUT ROWID;

-- ---------------------------------------------------------------- ledger
-- Rows of entry and receipt are only ever appended, and no index on a random
-- key slows that down: the rows of one member are a chain through prev, with
-- its end in balance.last and member_state.last_receipt.
CREATE TABLE entry (
  id INTEGER NOT NULL PRIMARY KEY,
  prev BIGINT NOT NULL,                   -- entry of the same member and wallet before; 0: first
  member BIGINT NOT NULL,
  wallet TEXT NOT NULL,
  kind TEXT NOT NULL,
  debit TEXT NOT NULL,                    -- account that gives
  credit TEXT NOT NULL,                   -- account that gets
  points BIGINT NOT NULL CHECK (points > 0),
  at BIGINT NOT NULL,                     -- when the centre booked it
  device INTEGER NOT NULL,                -- 0: the centre itself
  epoch BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  receipt BIGINT NOT NULL,                -- 0: none
  rule TEXT NOT NULL,
  note TEXT NOT NULL
);

CREATE TABLE balance (
  member BIGINT NOT NULL,
  wallet TEXT NOT NULL,
  available BIGINT NOT NULL CHECK (available >= 0),
  pending BIGINT NOT NULL CHECK (pending >= 0),
  held BIGINT NOT NULL CHECK (held >= 0),
  leased BIGINT NOT NULL CHECK (leased >= 0),
  spent BIGINT NOT NULL,
  expired BIGINT NOT NULL,
  issued BIGINT NOT NULL,
  lost BIGINT NOT NULL,
  last BIGINT NOT NULL,
  CHECK (available + pending + held + leased + spent + expired + issued + lost = 0),
  PRIMARY KEY (member, wallet)
) WITHOUT ROWID;

CREATE TABLE member_state (
  member BIGINT NOT NULL PRIMARY KEY,
  changed BIGINT NOT NULL,                -- last number of this member in feed
  last_receipt BIGINT NOT NULL,
  receipts BIGINT NOT NULL,
  last_visit BIGINT NOT NULL,
  state TEXT NOT NULL                     -- tier, counters, stamps, coupons: JSON of loyalty.Member
);

-- Lots exist for points that are not active yet or that end some day.
CREATE TABLE lot (
  id INTEGER NOT NULL PRIMARY KEY,
  member BIGINT NOT NULL,
  wallet TEXT NOT NULL,
  state TEXT NOT NULL,                    -- pending, active, done
  points BIGINT NOT NULL,
  remaining BIGINT NOT NULL CHECK (remaining >= 0),
  active_on TEXT NOT NULL,
  expires_on TEXT NOT NULL,
  receipt BIGINT NOT NULL
);
CREATE INDEX lot_member ON lot (member, wallet) WHERE state <> 'done';
CREATE INDEX lot_active ON lot (active_on) WHERE state = 'pending';
CREATE INDEX lot_expires ON lot (expires_on) WHERE state = 'active' AND expires_on <> '';
CREATE INDEX lot_receipt ON lot (receipt);
-- What a spend took from which lot, so that a return puts it back there.
CREATE TABLE lot_use (receipt BIGINT NOT NULL, lot BIGINT NOT NULL, points BIGINT NOT NULL, PRIMARY KEY (receipt, lot)) WITHOUT ROWID;

CREATE TABLE receipt (
  id INTEGER NOT NULL PRIMARY KEY,
  prev BIGINT NOT NULL,
  device INTEGER NOT NULL,
  epoch BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  kind TEXT NOT NULL,                     -- sale, return
  original BIGINT NOT NULL,               -- of a return: the sale's id
  number TEXT NOT NULL,
  fiscal TEXT NOT NULL,
  at BIGINT NOT NULL,
  member BIGINT,
  gross BIGINT NOT NULL,
  discount BIGINT NOT NULL,
  redeemed BIGINT NOT NULL,
  net BIGINT NOT NULL,
  moves TEXT NOT NULL,                    -- points per wallet: given, used, taken back, given back
  state TEXT NOT NULL,                    -- captured, partly_returned, returned, voided
  offline BIGINT NOT NULL,
  cashier TEXT NOT NULL,
  UNIQUE (device, epoch, seq)
);
CREATE INDEX receipt_number ON receipt (number);

CREATE TABLE hold (
  id TEXT NOT NULL PRIMARY KEY,
  member BIGINT NOT NULL,
  wallet TEXT NOT NULL,
  points BIGINT NOT NULL,
  device INTEGER NOT NULL,
  receipt TEXT NOT NULL,
  state TEXT NOT NULL,                    -- open, unresolved, committed, voided
  made BIGINT NOT NULL,
  ended BIGINT NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX hold_open ON hold (member, wallet) WHERE state IN ('open', 'unresolved');

-- Every record as it came, batch by batch, zstd.
CREATE TABLE journal (
  id INTEGER NOT NULL PRIMARY KEY,
  device INTEGER NOT NULL,
  epoch BIGINT NOT NULL,
  from_seq BIGINT NOT NULL,
  to_seq BIGINT NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (device, epoch, to_seq)
);

-- Journals of tills that forked, as they brought them. Never applied.
CREATE TABLE evidence (
  id INTEGER NOT NULL PRIMARY KEY,
  device INTEGER NOT NULL,
  epoch BIGINT NOT NULL,
  from_seq BIGINT NOT NULL,
  to_seq BIGINT NOT NULL,
  at BIGINT NOT NULL,
  body BLOB NOT NULL
);

-- Records the ledger could not apply. They never block the queue.
CREATE TABLE parked (
  device INTEGER NOT NULL,
  epoch BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  type TEXT NOT NULL,
  reason TEXT NOT NULL,
  at BIGINT NOT NULL,
  resolved BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (device, epoch, seq)
) WITHOUT ROWID;

-- Records of a card nobody knows yet; credited when it becomes known.
CREATE TABLE unclaimed (
  ref BLOB NOT NULL,
  device INTEGER NOT NULL,
  epoch BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  n BIGINT NOT NULL,                      -- order of arrival
  wallet TEXT NOT NULL,
  earned BIGINT NOT NULL,
  PRIMARY KEY (ref, n)
) WITHOUT ROWID;

-- Returns that came before the sale they belong to.
CREATE TABLE waiting (
  device INTEGER NOT NULL,
  epoch BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  on_device INTEGER NOT NULL,             -- 0: known by number only
  on_epoch BIGINT NOT NULL,
  on_seq BIGINT NOT NULL,
  on_number TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (device, epoch, seq)
) WITHOUT ROWID;

-- Things a person should look at: forks, a spend nobody granted, a return of
-- more than was given.
CREATE TABLE finding (
  id INTEGER NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL,
  code TEXT NOT NULL,
  device INTEGER NOT NULL,
  epoch BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  member BIGINT NOT NULL,
  points BIGINT NOT NULL,
  detail TEXT NOT NULL
);

-- ---------------------------------------------------------------- feeds
-- The order in which members changed. Rows overtaken by a later one of the
-- same member are swept out now and then.
CREATE TABLE feed (n INTEGER NOT NULL PRIMARY KEY, member BIGINT NOT NULL);
-- Stop-list and erasures, urgent first.
CREATE TABLE urgent (n INTEGER NOT NULL PRIMARY KEY, kind TEXT NOT NULL, ref BLOB NOT NULL, member BIGINT NOT NULL, status TEXT NOT NULL, at BIGINT NOT NULL);

-- ---------------------------------------------------------------- rulebooks
CREATE TABLE bundle (
  version INTEGER NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  payload BLOB NOT NULL,
  signatures TEXT NOT NULL,
  published BIGINT NOT NULL,
  copy_of BIGINT NOT NULL DEFAULT 0,
  note TEXT NOT NULL DEFAULT ''
);
CREATE TABLE rulebook_key (id TEXT NOT NULL PRIMARY KEY, public_key BLOB NOT NULL, added BIGINT NOT NULL) WITHOUT ROWID;

-- ---------------------------------------------------------------- access
CREATE TABLE operator (
  name TEXT NOT NULL PRIMARY KEY,
  salt BLOB NOT NULL,
  hash BLOB NOT NULL,
  rounds INTEGER NOT NULL,
  changed BIGINT NOT NULL
) WITHOUT ROWID;
CREATE TABLE session (
  token BLOB NOT NULL PRIMARY KEY,        -- SHA-256 of the cookie
  operator TEXT NOT NULL,
  csrf TEXT NOT NULL,
  made BIGINT NOT NULL,
  seen BIGINT NOT NULL
) WITHOUT ROWID;
-- What people did here.
CREATE TABLE audit (id INTEGER NOT NULL PRIMARY KEY, at BIGINT NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL);
