-- The newest sign of life of a peer stays when it says goodbye. When those that are away did is not known: they count from
-- now.
ALTER TABLE peers ADD COLUMN heard INTEGER NOT NULL DEFAULT 0;
UPDATE peers SET heard = coalesce(last_seen, unixepoch() * 1000);
CREATE INDEX peers_heard ON peers (heard, peer);
