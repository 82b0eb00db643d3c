"""The first schema."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    "CREATE TABLE meta (name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name)) STRICT",
    """CREATE TABLE events (
        seq INTEGER NOT NULL, event_id TEXT NOT NULL, stream TEXT NOT NULL, version INTEGER NOT NULL,
        kind TEXT NOT NULL, patient TEXT, entered_at TEXT NOT NULL, author TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (seq), CONSTRAINT events_id UNIQUE (event_id),
        CONSTRAINT events_stream UNIQUE (stream, version)) STRICT""",
    "CREATE INDEX events_patient ON events (patient, seq)",
    "CREATE INDEX events_kind ON events (kind, entered_at)",
    """CREATE TABLE audit (
        seq INTEGER NOT NULL, at TEXT NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL, action TEXT NOT NULL,
        about TEXT NOT NULL, detail TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL,
        PRIMARY KEY (seq)) STRICT""",
    "CREATE INDEX audit_about ON audit (about, seq)",
    "CREATE INDEX audit_actor ON audit (actor, seq)",
    "CREATE INDEX audit_action ON audit (action, seq)",
    """CREATE TABLE projections (
        name TEXT NOT NULL, key TEXT NOT NULL, patient TEXT, is_open INTEGER NOT NULL, rank TEXT NOT NULL,
        seq INTEGER NOT NULL, state TEXT NOT NULL, PRIMARY KEY (name, key)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX projections_rank ON projections (name, is_open, rank)",
    "CREATE INDEX projections_patient ON projections (patient, name, rank)",
    """CREATE TABLE people (
        patient TEXT NOT NULL, version INTEGER NOT NULL, name TEXT NOT NULL, name_key TEXT NOT NULL,
        birth_date TEXT NOT NULL, contact TEXT NOT NULL, entered_at TEXT NOT NULL, author TEXT NOT NULL,
        PRIMARY KEY (patient, version)) STRICT""",
    "CREATE INDEX people_name ON people (name_key)",
    "CREATE TABLE salts (patient TEXT NOT NULL, salt TEXT NOT NULL, PRIMARY KEY (patient)) STRICT",
    """CREATE TABLE erasures (
        patient TEXT NOT NULL, at TEXT NOT NULL, author TEXT NOT NULL, reason TEXT NOT NULL,
        PRIMARY KEY (patient)) STRICT""",
    """CREATE TABLE restricted (
        patient TEXT NOT NULL, at TEXT NOT NULL, author TEXT NOT NULL, PRIMARY KEY (patient)) STRICT""",
    "CREATE TABLE team (patient TEXT NOT NULL, account TEXT NOT NULL, PRIMARY KEY (patient, account)) STRICT",
    """CREATE TABLE glass (
        number INTEGER NOT NULL, account TEXT NOT NULL, patient TEXT NOT NULL, reason TEXT NOT NULL,
        at TEXT NOT NULL, until TEXT NOT NULL, seen_by TEXT, PRIMARY KEY (number)) STRICT""",
    "CREATE INDEX glass_account ON glass (account, patient, until)",
    """CREATE TABLE accounts (
        account TEXT NOT NULL, name TEXT NOT NULL, roles TEXT NOT NULL, is_active INTEGER NOT NULL,
        password TEXT, pin TEXT, secret TEXT, last_step INTEGER NOT NULL, recovery TEXT NOT NULL,
        token TEXT, token_until TEXT, created_at TEXT NOT NULL, PRIMARY KEY (account)) STRICT""",
    """CREATE TABLE sessions (
        token TEXT NOT NULL, account TEXT NOT NULL, csrf TEXT NOT NULL, stage TEXT NOT NULL,
        began_at TEXT NOT NULL, seen_at TEXT NOT NULL, until TEXT NOT NULL, fresh_at TEXT NOT NULL,
        failures INTEGER NOT NULL, PRIMARY KEY (token)) STRICT""",
    "CREATE INDEX sessions_account ON sessions (account)",
    """CREATE TABLE attempts (
        number INTEGER NOT NULL, key TEXT NOT NULL, at_s REAL NOT NULL, PRIMARY KEY (number)) STRICT""",
    "CREATE INDEX attempts_key ON attempts (key, at_s)",
)
ONLY_GROWS = "SELECT RAISE(ABORT, 'this table only grows')"
TRIGGERS = (
    *(
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} BEGIN {ONLY_GROWS}; END"
        for table in ("events", "audit", "erasures")
        for verb in ("update", "delete")
    ),
    f"CREATE TRIGGER people_no_update BEFORE UPDATE ON people BEGIN {ONLY_GROWS}; END",
    """CREATE TRIGGER people_no_delete BEFORE DELETE ON people
        WHEN NOT EXISTS (SELECT 1 FROM erasures WHERE patient = OLD.patient)
        BEGIN SELECT RAISE(ABORT, 'this table only grows'); END""",
    """CREATE TRIGGER events_in_order BEFORE INSERT ON events
        WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM events)
        BEGIN SELECT RAISE(ABORT, 'rows follow one another'); END""",
    """CREATE TRIGGER audit_in_order BEFORE INSERT ON audit
        WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM audit)
        BEGIN SELECT RAISE(ABORT, 'rows follow one another'); END""",
)


def upgrade() -> None:
    """Make every table, index and trigger."""
    for statement in (*STATEMENTS, *TRIGGERS):
        op.execute(statement)
