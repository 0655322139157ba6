-- Permalinks with an owner, found again by their content. There were none before.
DROP TABLE shares;
CREATE TABLE shares (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    owner BLOB NOT NULL,
    -- Of the document.
    hash BLOB NOT NULL,
    document BLOB NOT NULL,
    -- What it counts for.
    bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- Microseconds that it is kept from its last use on.
    keep INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    -- Hash of what lets others than the owner delete it.
    deletion BLOB
) STRICT;
CREATE INDEX shares_by_content ON shares (owner, hash);
CREATE INDEX shares_by_owner ON shares (owner, expires);
CREATE INDEX shares_by_end ON shares (expires);

-- What all permalinks count for.
ALTER TABLE facts ADD COLUMN share_bytes INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER share_added AFTER INSERT ON shares BEGIN
    UPDATE facts SET share_bytes = share_bytes + NEW.bytes;
END;
CREATE TRIGGER share_removed AFTER DELETE ON shares BEGIN
    UPDATE facts SET share_bytes = share_bytes - OLD.bytes;
END;
