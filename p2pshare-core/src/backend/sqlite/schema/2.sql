-- A partial source is told to those who are in all of these groups; without any, to everybody. Whoever noted it is in
-- them: it goes with each of them, whole, since with fewer groups it would be told to more. What was noted before there
-- were groups is forgotten, as its peers note it again each minute.
DELETE FROM partial_sources;

CREATE TABLE partial_groups (
    content BLOB NOT NULL,
    peer    INTEGER NOT NULL,
    "group" INTEGER NOT NULL REFERENCES groups ON DELETE CASCADE,
    PRIMARY KEY (content, peer, "group"),
    FOREIGN KEY (content, peer) REFERENCES partial_sources ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX partial_groups_group ON partial_groups ("group", peer);

CREATE TRIGGER partial_group_gone AFTER DELETE ON partial_groups BEGIN
    DELETE FROM partial_sources WHERE content = old.content AND peer = old.peer;
END;

CREATE TRIGGER member_gone_partial AFTER DELETE ON members BEGIN
    DELETE FROM partial_groups WHERE "group" = old."group"
        AND peer IN (SELECT id FROM peers WHERE owner = old.user);
END;
