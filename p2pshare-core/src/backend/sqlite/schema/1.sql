-- Times are milliseconds since the Unix epoch. Ids of peers and contents, hashes of tokens and codes are BLOBs of 32
-- bytes.

CREATE TABLE users (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    verifier   TEXT NOT NULL,
    operator   INTEGER NOT NULL,
    disabled   INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    token      BLOB PRIMARY KEY,
    user       INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions (user, created_at, token);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- entries, size_low and size_high count the peer's entries and sum up the lower and upper 32 bits of their sizes:
-- neither the number nor the sum needs a scan, and no sum overflows.
CREATE TABLE peers (
    id           INTEGER PRIMARY KEY,
    peer         BLOB NOT NULL UNIQUE,
    owner        INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    addresses    TEXT NOT NULL,
    announced_at INTEGER NOT NULL,
    last_seen    INTEGER,
    entries      INTEGER NOT NULL DEFAULT 0,
    size_low     INTEGER NOT NULL DEFAULT 0,
    size_high    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX peers_owner ON peers (owner, peer);

CREATE TABLE groups (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    owner      INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX groups_owner ON groups (owner);

CREATE TABLE members (
    "group" INTEGER NOT NULL REFERENCES groups ON DELETE CASCADE,
    user    INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    PRIMARY KEY ("group", user)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_user ON members (user);

CREATE TABLE invites (
    hash       BLOB PRIMARY KEY,
    created_by INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    "group"    INTEGER REFERENCES groups ON DELETE CASCADE,
    uses_left  INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX invites_maker ON invites (created_by);
CREATE INDEX invites_group ON invites ("group");
CREATE INDEX invites_expiry ON invites (expires_at);

-- owner is that of the peer. scope is 0 for public, -1 for unlisted, else the id of the group. words is the number of
-- different words of the path, at most 999.
CREATE TABLE entries (
    id           INTEGER PRIMARY KEY,
    peer         INTEGER NOT NULL REFERENCES peers ON DELETE CASCADE,
    owner        INTEGER NOT NULL,
    scope        INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    words        INTEGER NOT NULL,
    content      BLOB NOT NULL,
    path         TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX entries_peer ON entries (peer, path);
-- Browsing reads what is visible and nothing else.
CREATE INDEX entries_owner ON entries (owner, scope, path);
-- Holds all that is needed to count and locate the sources of a content.
CREATE INDEX entries_content ON entries (content, size, peer, owner, scope);
-- Searches without words end early in the order of one of these.
CREATE INDEX entries_size ON entries (size);
CREATE INDEX entries_time ON entries (published_at);
CREATE INDEX entries_words ON entries (words);

CREATE TABLE partial_sources (
    content BLOB NOT NULL,
    peer    INTEGER NOT NULL REFERENCES peers ON DELETE CASCADE,
    until   INTEGER NOT NULL,
    PRIMARY KEY (content, peer)
) STRICT, WITHOUT ROWID;
CREATE INDEX partial_sources_peer ON partial_sources (peer);
CREATE INDEX partial_sources_until ON partial_sources (until);

-- The words of each entry's path under the entry's id. The texts are words cut by the program, with spaces between
-- them; the tokenizer "ascii" leaves each such word as it is. Nothing is kept but which word is where, so the words are
-- cut again when an entry goes: path_words(path) is a function of the program.
CREATE VIRTUAL TABLE search USING fts5 (
    words,
    content = '',
    columnsize = 0,
    detail = none,
    tokenize = 'ascii',
    prefix = '1 2 3'
);

CREATE TRIGGER entry_gone AFTER DELETE ON entries BEGIN
    INSERT INTO search (search, rowid, words) VALUES ('delete', old.id, path_words(old.path));
    UPDATE peers SET
        entries = entries - 1,
        size_low = size_low - (old.size & 0xffffffff),
        size_high = size_high - (old.size >> 32)
    WHERE id = old.peer;
END;

-- Whatever ends a membership withdraws what the member shared with the group.
CREATE TRIGGER member_gone AFTER DELETE ON members BEGIN
    DELETE FROM entries WHERE owner = old.user AND scope = old."group";
END;
