-- Goods come back with a receipt in the hand: what it says for certain is its
-- fiscal number.
CREATE INDEX receipt_fiscal ON receipt (fiscal) WHERE fiscal <> '';
