"""Who patients are: found, written and changed apart from the clinical record, never by an address."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import Depends
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from euthymia.web.care import pseudonyms
from euthymia.web.care.guards import Ask, Guard
from euthymia.web.care.pages import RESPONSES, Screens
from euthymia.web.care.refusals import UnusableError
from euthymia.web.care.store import Person, find_people, read_people

SCREENS = Screens()
INVENTED = "Invented person "
Words = Annotated[str, Field(min_length=1, max_length=120)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Looked(_Strict):
    """Words of a name."""

    words: Words


class PersonIn(_Strict):
    """Who somebody is; without an identifier a new one is given."""

    patient: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] | None = None
    name: Words
    birth_date: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    contact: dict[str, Annotated[str, Field(max_length=200)]] = Field(default={}, max_length=10)
    version: int = Field(default=1, ge=1, le=100000)


@SCREENS.router.post("/api/people/search", response_class=JSONResponse, responses=RESPONSES)
def search(given: Looked, ask: Annotated[Ask, Depends(Guard("identity.read"))]) -> JSONResponse:
    """Find people by the beginning of a word of their name."""
    with ask.care.store.reading() as connection:
        found = find_people(connection, given.words)
        closed = ask.closed(connection, [one.patient for one in found])
    seen = [one for one in found if one.patient not in closed]
    ask.note("looked for people", *(one.patient for one in seen))
    return JSONResponse({"ok": True, "people": [one.to_dict() for one in seen]})


@SCREENS.router.get("/api/people/{patient}", response_class=JSONResponse, responses=RESPONSES)
def person(patient: str, ask: Annotated[Ask, Depends(Guard("identity.read"))]) -> JSONResponse:
    """Return who a patient is."""
    ask.require_patient(patient)
    with ask.care.store.reading() as connection:
        found = read_people(connection, [patient]).get(patient)
    ask.note("read", patient, screen="person")
    return JSONResponse({"ok": True, "person": found.to_dict() if found else None})


@SCREENS.router.post("/api/people", response_class=JSONResponse, responses=RESPONSES)
def put(given: PersonIn, ask: Annotated[Ask, Depends(Guard("identity.write"))]) -> JSONResponse:
    """Write who somebody is; a stale ``version`` gets 409 with what stands now."""
    patient = given.patient or secrets.token_hex(8)
    ask.require_patient(patient)
    name = given.name
    if ask.care.settings.is_demo and not name.startswith(INVENTED):
        message = f"a demonstration takes no real person: names begin with '{INVENTED.strip()}'"
        raise UnusableError(message, field="name")
    found = Person(
        patient=patient, name=name, birth_date=given.birth_date, contact=given.contact, version=given.version
    )
    stored = ask.care.store.put_person(found, actor=ask.actor, role=ask.role)
    return JSONResponse({"ok": True, "person": stored.to_dict()})


@SCREENS.router.get("/api/research", responses=RESPONSES)
def research(ask: Annotated[Ask, Depends(Guard("research.export"))]) -> StreamingResponse:
    """Give all events under pseudonyms, one JSON object a line."""
    ask.note("exported pseudonyms")
    with ask.care.store.reading() as connection:
        lines = list(pseudonyms.export(connection))
    return StreamingResponse(iter(lines), media_type="application/x-ndjson")
