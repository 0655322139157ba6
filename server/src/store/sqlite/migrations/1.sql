-- Times are microseconds since 1970, UTC. Ids are 16 bytes; an owner of no bytes is nobody.

CREATE TABLE facts (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    -- Signs the cursors of lists.
    cursor_secret BLOB NOT NULL,
    -- Requests and documents of submissions without a final result, together.
    unfinished_bytes INTEGER NOT NULL
) STRICT;
INSERT INTO facts VALUES (1, randomblob(32), 0);

CREATE TABLE submissions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    owner BLOB NOT NULL,
    priority INTEGER NOT NULL,
    -- 0 queued, 1 finished, 2 cancelled.
    state INTEGER NOT NULL,
    verdict TEXT,
    document BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    idempotency_key TEXT,
    body_sha256 BLOB
) STRICT;
CREATE UNIQUE INDEX submissions_by_key ON submissions (owner, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX submissions_by_owner ON submissions (owner, state, seq);
CREATE INDEX submissions_by_state ON submissions (state, seq);
CREATE INDEX submissions_by_end ON submissions (finished_at) WHERE finished_at IS NOT NULL;

-- What judging needs; only of submissions without a final result.
CREATE TABLE requests (
    submission INTEGER PRIMARY KEY REFERENCES submissions ON DELETE CASCADE,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE deliveries (
    submission INTEGER PRIMARY KEY REFERENCES submissions ON DELETE CASCADE,
    url TEXT NOT NULL,
    secret_id TEXT,
    since INTEGER NOT NULL,
    -- When it is tried next; null: never again.
    due INTEGER,
    attempts INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_by_due ON deliveries (due) WHERE due IS NOT NULL;

CREATE TABLE attempts (
    submission INTEGER NOT NULL REFERENCES submissions ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    status INTEGER,
    error TEXT,
    PRIMARY KEY (submission, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    id BLOB PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    settings BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
    hash BLOB NOT NULL,
    owner BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    PRIMARY KEY (hash, owner)
) STRICT, WITHOUT ROWID;
CREATE INDEX blobs_by_owner ON blobs (owner, bytes);
CREATE INDEX blobs_by_use ON blobs (used_at);

CREATE TABLE shares (
    id TEXT PRIMARY KEY,
    bytes BLOB NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX shares_by_end ON shares (expires);
