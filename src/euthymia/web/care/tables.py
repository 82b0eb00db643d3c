"""The tables of the record, as the newest migration leaves them.

``events`` and ``audit`` only grow; triggers refuse anything else. Who a patient is stands in ``people``,
never in ``events``. ``projections`` can be thrown away and made again from ``events``.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, MetaData, Table, Text, UniqueConstraint
from sqlalchemy.types import REAL

METADATA = MetaData()


def _table(name: str, *parts: Column | Index | UniqueConstraint, has_rowid: bool = True) -> Table:
    return Table(name, METADATA, *parts, sqlite_strict=True, sqlite_with_rowid=has_rowid)


def _text(name: str, *, is_key: bool = False, may_lack: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=is_key, nullable=may_lack)


def _whole(name: str, *, is_key: bool = False, may_lack: bool = False) -> Column[int]:
    return Column(name, Integer, primary_key=is_key, nullable=may_lack, autoincrement=False)


META = _table("meta", _text("name", is_key=True), _text("value"))

EVENTS = _table(
    "events",
    Column("seq", Integer, primary_key=True, autoincrement=False),
    _text("event_id"),
    _text("stream"),
    _whole("version"),
    _text("kind"),
    _text("patient", may_lack=True),
    _text("entered_at"),
    _text("author"),
    _text("body"),
    UniqueConstraint("event_id", name="events_id"),
    UniqueConstraint("stream", "version", name="events_stream"),
    Index("events_patient", "patient", "seq"),
    Index("events_kind", "kind", "entered_at"),
)

AUDIT = _table(
    "audit",
    Column("seq", Integer, primary_key=True, autoincrement=False),
    _text("at"),
    _text("actor"),
    _text("role"),
    _text("action"),
    _text("about"),
    _text("detail"),
    _text("previous"),
    _text("hash"),
    Index("audit_about", "about", "seq"),
    Index("audit_actor", "actor", "seq"),
    Index("audit_action", "action", "seq"),
)

PROJECTIONS = _table(
    "projections",
    _text("name", is_key=True),
    _text("key", is_key=True),
    _text("patient", may_lack=True),
    _whole("is_open"),
    _text("rank"),
    _whole("seq"),
    _text("state"),
    Index("projections_rank", "name", "is_open", "rank"),
    Index("projections_patient", "patient", "name", "rank"),
    has_rowid=False,
)

PEOPLE = _table(
    "people",
    _text("patient", is_key=True),
    _whole("version", is_key=True),
    _text("name"),
    _text("name_key"),
    _text("birth_date"),
    _text("contact"),
    _text("entered_at"),
    _text("author"),
    Index("people_name", "name_key"),
)
SALTS = _table("salts", _text("patient", is_key=True), _text("salt"))
ERASURES = _table("erasures", _text("patient", is_key=True), _text("at"), _text("author"), _text("reason"))
RESTRICTED = _table("restricted", _text("patient", is_key=True), _text("at"), _text("author"))
TEAM = _table("team", _text("patient", is_key=True), _text("account", is_key=True))
GLASS = _table(
    "glass",
    Column("number", Integer, primary_key=True),
    _text("account"),
    _text("patient"),
    _text("reason"),
    _text("at"),
    _text("until"),
    _text("seen_by", may_lack=True),
    Index("glass_account", "account", "patient", "until"),
)

ACCOUNTS = _table(
    "accounts",
    _text("account", is_key=True),
    _text("name"),
    _text("roles"),
    _whole("is_active"),
    _text("password", may_lack=True),
    _text("pin", may_lack=True),
    _text("secret", may_lack=True),
    _whole("last_step"),
    _text("recovery"),
    _text("token", may_lack=True),
    _text("token_until", may_lack=True),
    _text("created_at"),
)
SESSIONS = _table(
    "sessions",
    _text("token", is_key=True),
    _text("account"),
    _text("csrf"),
    _text("stage"),
    _text("began_at"),
    _text("seen_at"),
    _text("until"),
    _text("fresh_at"),
    _whole("failures"),
    Index("sessions_account", "account"),
)
ATTEMPTS = _table(
    "attempts",
    Column("number", Integer, primary_key=True),
    _text("key"),
    Column("at_s", REAL, nullable=False),
    Index("attempts_key", "key", "at_s"),
)

GROWING = ("events", "audit", "erasures", "people")
"""Tables in which a row is never changed; rows of people may go, where an erasure is on record."""
