-- Schema 1. Moments are whole milliseconds since the Unix epoch, UTC. Enumerations are stored by their kebab-case
-- names, so that a database can be read with the sqlite3 shell alone. JSON columns hold vigil-core's types.

-- What decisions rested on, with its times, compressed with zstd. Addressed by content: equal evidence is kept once,
-- and goes with the last row that names it.
CREATE TABLE evidence (
    id     INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,   -- SHA-256 of the JSON
    size   INTEGER NOT NULL,       -- bytes of the JSON
    body   BLOB NOT NULL
) STRICT;

-- One row for each different decision about a session. What repeats only counts up in journal_seen.
CREATE TABLE journal (
    id              INTEGER PRIMARY KEY,
    key             BLOB NOT NULL UNIQUE,  -- SHA-256 of everything that tells two decisions apart, times left out
    source          TEXT NOT NULL,
    session         TEXT NOT NULL,
    from_state      TEXT NOT NULL,
    to_state        TEXT NOT NULL,
    outcome         TEXT NOT NULL,
    rule            TEXT NOT NULL,
    policy          TEXT,                  -- NULL: no policy spoke
    policy_digest   TEXT,
    settings_digest TEXT,
    verdict         TEXT,                  -- JSON; NULL: no policy proposed anything
    answers         TEXT NOT NULL,         -- JSON list, the whole chain
    guards          TEXT NOT NULL,         -- JSON list
    reason          TEXT NOT NULL,
    transition_id   INTEGER,               -- NULL: nothing was to be written
    evidence_digest BLOB NOT NULL,         -- times left out
    evidence_id     INTEGER NOT NULL REFERENCES evidence (id), -- the first one, with its times
    first_at        INTEGER NOT NULL
) STRICT;
CREATE INDEX journal_by_session ON journal (source, session);
CREATE INDEX journal_by_evidence ON journal (evidence_id);

-- The columns that change with each pass, apart from the wide ones: a quiet pass rewrites a few bytes for a session.
CREATE TABLE journal_seen (
    journal_id INTEGER PRIMARY KEY REFERENCES journal (id) ON DELETE CASCADE,
    turn       INTEGER NOT NULL,           -- rises with each pass, also when the clock is set back
    last_at    INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    kept_at    INTEGER NOT NULL            -- when the latest evidence that is kept was seen
) STRICT;
CREATE INDEX journal_seen_by_turn ON journal_seen (turn);

-- The latest evidence of a row, replaced in place. No row: the first one is the latest that is kept.
CREATE TABLE journal_latest (
    journal_id INTEGER PRIMARY KEY REFERENCES journal (id) ON DELETE CASCADE,
    digest     BLOB NOT NULL,
    size       INTEGER NOT NULL,
    body       BLOB NOT NULL
) STRICT;

-- AUTOINCREMENT: a transition's name is never given to another one.
CREATE TABLE transitions (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    source          TEXT NOT NULL,
    session         TEXT NOT NULL,
    kind            TEXT NOT NULL,         -- transition, repair, undo
    from_state      TEXT NOT NULL,
    to_state        TEXT NOT NULL,
    native_before   TEXT NOT NULL,
    native_after    TEXT NOT NULL,
    revision_before TEXT NOT NULL,
    revision_after  TEXT NOT NULL,
    record_before   TEXT NOT NULL,
    edits           TEXT NOT NULL,
    rule            TEXT NOT NULL,
    policy          TEXT,
    policy_digest   TEXT,
    reason          TEXT NOT NULL,
    guards          TEXT NOT NULL,         -- JSON list
    intents         TEXT NOT NULL,         -- JSON list of what was granted
    evidence_id     INTEGER REFERENCES evidence (id), -- NULL: a person asked for it
    grounds         TEXT,                  -- JSON: what it rested on, to tell whether that is still so; of an undo,
                                           -- what that of the undone one was then; NULL: nobody has looked since
    record_updated  INTEGER,               -- when the record had been written last, as it says itself
    undoes          INTEGER REFERENCES transitions (id) ON DELETE SET NULL,
    undone_by       INTEGER REFERENCES transitions (id) ON DELETE SET NULL,
    prepared_at     INTEGER NOT NULL,
    outcome         TEXT,                  -- written, conflict, failed; NULL: prepared and not settled
    exclusive       INTEGER,               -- of a written one
    detail          TEXT,                  -- of a conflict or failure
    settled_at      INTEGER
) STRICT;
CREATE INDEX transitions_by_session ON transitions (source, session, id);
CREATE INDEX transitions_by_time ON transitions (prepared_at);
CREATE INDEX transitions_unsettled ON transitions (id) WHERE outcome IS NULL;
CREATE INDEX transitions_by_evidence ON transitions (evidence_id) WHERE evidence_id IS NOT NULL;
CREATE INDEX transitions_undoes ON transitions (undoes) WHERE undoes IS NOT NULL;
CREATE INDEX transitions_unlooked ON transitions (source) WHERE kind = 'undo' AND grounds IS NULL;
CREATE INDEX transitions_undone_by ON transitions (undone_by) WHERE undone_by IS NOT NULL;

-- What the forge's adapter remembers; opaque to the store. It is read whole when a pass begins, and written by key.
CREATE TABLE forge (
    host  TEXT NOT NULL,
    repo  TEXT NOT NULL,                   -- owner/name in lower case; '': not about a repository
    name  TEXT NOT NULL,
    value TEXT NOT NULL,                   -- JSON
    at    INTEGER NOT NULL,                -- when it was put there or confirmed last
    PRIMARY KEY (host, repo, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE memos (
    source  TEXT NOT NULL,
    session TEXT NOT NULL,
    policy  TEXT NOT NULL,
    memo    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (source, session, policy)
) STRICT;

CREATE TABLE schedule (
    source   TEXT NOT NULL,
    session  TEXT NOT NULL,
    due      INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    why      TEXT NOT NULL,
    PRIMARY KEY (source, session)
) STRICT, WITHOUT ROWID;

CREATE TABLE seen_alive (
    source  TEXT NOT NULL,
    session TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (source, session)
) STRICT, WITHOUT ROWID;

CREATE TABLE lost (
    source  TEXT NOT NULL,
    session TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (source, session)
) STRICT, WITHOUT ROWID;

CREATE TABLE mass_acks (
    source TEXT PRIMARY KEY,               -- '': every source
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE mark (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    wall        INTEGER NOT NULL,
    awake_ms    INTEGER NOT NULL,
    boot_ms     INTEGER NOT NULL,
    boot_id     TEXT NOT NULL,
    awake_since INTEGER
) STRICT;

CREATE TABLE leases (
    source  TEXT NOT NULL,
    session TEXT NOT NULL,
    holder  TEXT NOT NULL,
    until   INTEGER NOT NULL,
    PRIMARY KEY (source, session)
) STRICT, WITHOUT ROWID;
CREATE INDEX leases_by_holder ON leases (holder);

CREATE TABLE pauses (
    source TEXT PRIMARY KEY,               -- '': every source
    at     INTEGER NOT NULL,
    until  INTEGER                         -- NULL: until somebody resumes it
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
    key   TEXT PRIMARY KEY,
    text  TEXT NOT NULL,
    since INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    key          TEXT PRIMARY KEY,
    payload      TEXT NOT NULL,            -- JSON
    at           INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    next_at      INTEGER NOT NULL,
    last_error   TEXT,
    delivered_at INTEGER
) STRICT;
CREATE INDEX outbox_waiting ON outbox (next_at) WHERE delivered_at IS NULL;

-- Intents that were carried out: what budgets are counted from, and why a key is done once.
CREATE TABLE intents (
    key     TEXT PRIMARY KEY,
    kind    TEXT NOT NULL,
    source  TEXT NOT NULL,
    session TEXT NOT NULL,
    repo    TEXT,
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX intents_by_kind ON intents (kind, at);
CREATE INDEX intents_by_session ON intents (source, session, kind);
