"""Events for research: no identifier of the clinic, no staff, no free text, times since a patient's first."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from euthymia.care.record import from_text
from euthymia.web.care.audit import canonical
from euthymia.web.care.store import Store
from euthymia.web.care.tables import EVENTS, META

KEY = "pseudonym_key"
CODED = frozenset(
    "drug route unit scale to machine form decision instrument level tier type severity how status position "
    "check protocol setting programme canonical_unit outcome".split()
)
"""Facts whose text is a code; any other text is left out."""
PEOPLE_OF = ("patient", "course", "session")


def make_key(store: Store) -> None:
    """Make the key of the pseudonyms, once; without it nobody finds the way back."""

    def work(batch: Any) -> None:
        if batch.connection.execute(select(META.c.value).where(META.c.name == KEY)).first() is None:
            batch.connection.execute(insert(META), {"name": KEY, "value": secrets.token_hex(32)})

    store.write(work)


def pseudonym(key: str, identifier: str) -> str:
    """Return the pseudonym of an identifier under a key."""
    return hmac.new(bytes.fromhex(key), identifier.encode(), "sha256").hexdigest()[:20]


def export(connection: Connection) -> Iterator[str]:
    """Give every event that is about a patient as a line of JSON under pseudonyms.

    Times are hours since the patient's first event; who entered it is left out, its role stays.
    """
    key = connection.execute(select(META.c.value).where(META.c.name == KEY)).scalar_one()
    first: dict[str, datetime] = {}
    query = (
        select(EVENTS.c.patient, EVENTS.c.body).where(EVENTS.c.patient.is_not(None)).order_by(EVENTS.c.seq)
    )
    for patient, body in connection.execute(query):
        event = json.loads(body)
        at = from_text(event["observed_at"])
        start = first.setdefault(patient, at)
        yield canonical(_plain(event, key=key, hours=(at - start).total_seconds() / 3600)) + "\n"


def _plain(event: Mapping[str, Any], *, key: str, hours: float) -> dict[str, Any]:
    return {
        "kind": event["kind"],
        "role": event["role"],
        "observed_h": round(hours, 4),
        "subjects": {
            name: pseudonym(key, one) for name, one in event["subjects"].items() if name in PEOPLE_OF
        },
        "values": {
            name: {"canonical": one["canonical"], "unit": one["canonical_unit"]}
            for name, one in event["values"].items()
        },
        "facts": {name: one for name, one in event["facts"].items() if _may_leave(name, one)},
        "is_correction": event["corrects"] is not None,
    }


def _may_leave(name: str, value: Any) -> bool:
    if isinstance(value, str):
        return name in CODED
    return value is None or isinstance(value, bool | int | float)
