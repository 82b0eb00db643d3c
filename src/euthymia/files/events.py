"""Event tables, the NONMEM family of dosing files, in and out.

``docs/formats.md`` holds the columns and the rules. One file, because the reader is also the check of the
writer: what it writes has been read once before it is put in place.

The fields are split by the ``csv`` module, not by polars, which fills short rows with nulls in silence and
would load a large library for a small file.
"""

from __future__ import annotations

import csv
import math
import re
import warnings
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from euthymia.dosing.drug import find_drug
from euthymia.dosing.limits import device, limit, refused, shortest, within
from euthymia.dosing.order import Dose, Order, Route
from euthymia.dosing.regimen import Regimen
from euthymia.dosing.schedule import TIME_TOLERANCE_H
from euthymia.errors import InvalidInputError, ResultWarning, nearest, unknown
from euthymia.files.writing import write_whole
from euthymia.model.concentrations import Epoch
from euthymia.model.pk import Given
from euthymia.population.concentrations import Subject
from euthymia.population.patient import Patient

COLUMNS = tuple(
    "ID TIME EVID AMT RATE ADDL II SS CMT ROUTE DRUG HOLD SPAT_OUT WT WEIGHT_KG AGE C MDV DV".split()
)
"""Every column that has a meaning; ``MDV`` and ``DV`` are known and not used."""
EVENTS = {0: "observation", 1: "dose", 2: "other", 3: "reset", 4: "reset and dose"}

_MISSING = ("", ".")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BY_RATE = "intravenous, infused where RATE is above 0"
_ROUTES: dict[str, Route | str] = {
    **dict.fromkeys(("iv", "intravenous"), _BY_RATE),
    **dict.fromkeys(("iv bolus", "intravenous bolus"), Route.IV_BOLUS),
    **dict.fromkeys(("iv infusion", "intravenous infusion"), Route.IV_INFUSION),
    **dict.fromkeys(("im", "intramuscular"), Route.INTRAMUSCULAR),
    **dict.fromkeys(("sc", "subcutaneous"), Route.SUBCUTANEOUS),
    **dict.fromkeys(("in", "nasal", "intranasal"), Route.INTRANASAL),
    **dict.fromkeys(("sl", "sublingual"), Route.SUBLINGUAL),
    **dict.fromkeys(("po", "oral"), Route.ORAL),
    **dict.fromkeys(("er", "xr", "extended release"), Route.ORAL_EXTENDED_RELEASE),
    **dict.fromkeys(("po er", "oral er", "oral extended release"), Route.ORAL_EXTENDED_RELEASE),
}
_ANY_WEIGHT_KG = 70.0  # orders of a table are in mg, on which weight has no bearing
_COLUMN_OF = {"duration_min": "RATE", "hold_min": "HOLD", "spat_out": "SPAT_OUT", "drug": "DRUG"}


@dataclass(frozen=True, kw_only=True, slots=True)
class EventTable:
    """What an event table says: who is given what and when, and when somebody looked.

    Parameters
    ----------
    subjects : tuple of Subject
        In the order in which the IDs appear.
    times_h : tuple of float or None
        Times of all observations (EVID 0), sorted and distinct; None where the table has none.
    notes : tuple of str
        What a reader of the result should know: columns that were not used, IDs without doses.
    text : str
        One line for the provenance of a result.
    """

    subjects: tuple[Subject, ...]
    times_h: tuple[float, ...] | None
    notes: tuple[str, ...]
    text: str


class _Row(NamedTuple):
    """The cells of one row by column, None where missing, and where the row stands."""

    file: str
    number: int
    cells: dict[str, str | None]

    def refused(
        self, column: str, *, must: str, got: object, cure: str = "", also: int = 0
    ) -> InvalidInputError:
        """Build the error that a column must hold a rule, at this row and perhaps another one."""
        return self.at(column, refused(column, must=must, got=got, cure=cure), also=also)

    def at(self, column: str, error: InvalidInputError, *, also: int = 0) -> InvalidInputError:
        """Return an error with the place in the file before its message."""
        return type(error)(f"{self.place(column, also=also)}: {error}")

    def place(self, column: str, *, also: int = 0) -> str:
        """Return where a message belongs."""
        rows = f"rows {also} and {self.number}" if also else f"row {self.number}"
        return f"{self.file}, {rows}, column {column}"

    def given_value(self, column: str) -> float | None:
        """Return the number in a column, None where it is missing."""
        text = self.cells.get(column)
        if text is None:
            return None
        if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
            raise self.refused(column, must="a number", got=repr(text), cure=_cure_of_number(text))
        return float(text)

    def number_in(self, column: str) -> float:
        """Return the number in a column, 0 where it is missing; it must not be negative."""
        value = self.given_value(column) or 0.0
        if value < 0:
            raise self.refused(column, must="0 or more", got=shortest(value))
        return value

    def choice(self, column: str, allowed: Sequence[int], must: str) -> int:
        """Return the whole number in a column, 0 where it is missing."""
        value = self.given_value(column) or 0.0
        if value not in allowed:
            raise self.refused(column, must=must, got=shortest(value))
        return int(value)


class _Event(NamedTuple):
    """One row, understood."""

    row: _Row
    label: str
    time_h: float
    evid: int
    order: Order | None
    further: int
    interval_h: float
    steady: int

    @property
    def is_reset(self) -> bool:
        return self.evid in (3, 4) or self.steady == 1


class _Administration(NamedTuple):
    """One order at one time; an event with ADDL stands for several."""

    start_h: float
    order: Order
    row: _Row
    steady_interval_h: float | None

    @property
    def end_h(self) -> float:
        return self.start_h + self.order.end_min / 60

    @property
    def key(self) -> tuple[object, ...]:
        """What puts administrations in order, whatever the order in the file."""
        one = self.order
        how = (one.drug, one.route.value, one.duration_min or 0.0, one.hold_min or 0.0, one.spat_out)
        return (self.start_h, *how, self.steady_interval_h or 0.0, one.amount)

    def given(self) -> tuple[Given, ...]:
        doses = self.order.doses(self.start_h, _ANY_WEIGHT_KG)
        if self.steady_interval_h is None:
            return tuple(Given(dose) for dose in doses)
        return tuple(Given(dose, self.steady_interval_h, self.start_h) for dose in doses)


def read_events(
    path: str | Path,
    *,
    drug: str = "ketamine",
    default_weight_kg: float = 70.0,
    patient: Patient | None = None,
    virtual_per_id: int | None = None,
) -> EventTable:
    """Return the subjects, doses and observation times of an event table.

    Parameters
    ----------
    path : str or Path
        Comma, tab or semicolon between the fields, UTF-8.
    drug : str
        What is given where the column ``DRUG`` is absent or empty.
    default_weight_kg : float
        Weight where the table has none and no ``patient`` is given.
    patient : Patient, optional
        What is known of everybody; weight and age of the table come before it.
    virtual_per_id : int, optional
        How many virtual patients follow the schedule of each ID, labelled ``ID/1``, ``ID/2`` ...

    Returns
    -------
    table : EventTable
        Subjects are numbered from 1 in the order in which the IDs appear; virtual patient k of the ID with
        ordinal i of N has the number (i - 1) N + k.

    Raises
    ------
    InvalidInputError
        Names the file, the row (the header is row 1), the column, and what must hold.
    """
    file = Path(path)
    find_drug(drug)
    everyone = patient or Patient.create(weight_kg=default_weight_kg)
    if virtual_per_id is not None and (not isinstance(virtual_per_id, int) or virtual_per_id < 1):
        raise refused("virtual_per_id", must="a whole number, 1 or more", got=virtual_per_id)
    header, records = _records(file)
    return _understood(file.name, header, records, drug, everyone, virtual_per_id)


def _understood(
    file: str, header: list[str], records: list[list[str]], drug: str, everyone: Patient, count: int | None
) -> EventTable:
    """Return the table in rows of text; ``records`` follow the header and may be empty lists."""
    names, unused = _columns(file, header)
    rows = [
        _Row(file, number, _cells(file, number, names, record))
        for number, record in enumerate(records, start=2)
        if any(cell.strip() for cell in record)
    ]
    rows = [row for row in rows if row.cells.get("C") is None]
    if not rows:
        message = (
            f"{file}: an event table must have rows below its header. Got none that is not commented out."
        )
        raise InvalidInputError(message)
    by_label: dict[str, list[_Event]] = {}
    for event in _events(rows, drug, has_evid="EVID" in names):
        by_label.setdefault(event.label, []).append(event)
    for events in by_label.values():
        _check_times(events)
    given_of = {label: _administrations(events) for label, events in by_label.items()}
    everything = [one for administrations in given_of.values() for one in administrations]
    if not everything:
        message = (
            f"{file}, column {'EVID' if 'EVID' in names else 'AMT'}: a table must hold a dose. Got none."
        )
        raise InvalidInputError(message)
    first_h = min(0.0, *(event.time_h for events in by_label.values() for event in events))
    rest = everything[0].given()[0].dose
    subjects: list[Subject] = []
    for ordinal, (label, events) in enumerate(by_label.items()):
        who = _patient(events, everyone)
        epochs = _epochs(given_of[label], _resets_h(events), first_h, rest)
        people = _people(label, ordinal, count)
        subjects += [
            Subject(label=name, patient=who, number=number, epochs=epochs) for name, number in people
        ]
    seen_h = {event.time_h for events in by_label.values() for event in events if event.evid == 0}
    notes = (*_unused_notes(unused), *_dose_notes(by_label, given_of))
    text = f"event table {file}: {_counted(len(by_label), 'subject')}, {_counted(len(everything), 'dose')}"
    if count is not None:
        text += f", {_counted(count, 'virtual patient')} each"
    return EventTable(subjects=tuple(subjects), times_h=tuple(sorted(seen_h)) or None, notes=notes, text=text)


# --- from a file to rows ------------------------------------------------------------------------------------


def _records(file: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and what follows it, as the file has them; blank lines are empty lists."""
    data = b""
    try:
        data = file.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        message = f"Cannot read the event table {str(file)!r}: {error.strerror or error}. Check the path."
        raise InvalidInputError(message) from None
    except UnicodeDecodeError as error:
        message = (
            f"{file.name}, row {data.count(10, 0, error.start) + 1}: an event table must be UTF-8 text. "
            f"Got the byte 0x{data[error.start]:02x}. Save it as 'CSV UTF-8'."
        )
        raise InvalidInputError(message) from None
    first = text.splitlines()[0] if text.strip() else ""
    if not first.strip():
        message = (
            f"{file.name}, row 1: an event table must begin with a header such as 'ID,TIME,EVID,AMT'. "
            f"Got {'an empty line' if text.strip() else 'an empty file'}."
        )
        raise InvalidInputError(message)
    mark = next((mark for mark in ("\t", ",", ";") if mark in first), ",")
    records: list[list[str]] = []
    try:
        records.extend(csv.reader(StringIO(text, newline=""), delimiter=mark, strict=True))
    except csv.Error as error:
        message = (
            f"{file.name}, row {len(records) + 1}: the fields must be told apart. Got: {error}. "
            "A quotation mark without its partner?"
        )
        raise InvalidInputError(message) from None
    return records[0], records[1:]


def _columns(file: str, header: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names in capitals, and those as written that have no meaning."""
    names = [name.strip().upper() for name in header]
    written = [name.strip() for name in header]
    for name, times in Counter(names).items():
        if times > 1 and name in COLUMNS:
            got = ", ".join(repr(as_written) for as_written in written if as_written.upper() == name)
            cure = "Capitals do not matter. Rename or remove one."
            raise _in_header(file, refused(name, must="the name of one column", got=got, cure=cure))
    if "WT" in names and "WEIGHT_KG" in names:
        error = refused("WT", must="given without WEIGHT_KG", got="both", cure="Remove one.")
        raise _in_header(file, error)
    needed = ["ID", "TIME", *(() if "AMT" in names else ("EVID",))]
    for name in needed:
        if name not in names:
            raise _in_header(file, _absent(name, written))
    return names, [name or "(no name)" for name in written if name.upper() not in COLUMNS]


def _absent(name: str, written: Sequence[str]) -> InvalidInputError:
    close = nearest(name, [one for one in written if one.upper() not in COLUMNS], count=1)
    cure = f"Is it {close[0]!r}? Rename it." if close else ""
    if len(written) == 1:
        cure = "Put commas, tabs or semicolons between the fields."
    must = "a column of an event table" + (", or else AMT" if name == "EVID" else "")
    return refused(name, must=must, got=", ".join(written), cure=cure)


def _in_header(file: str, error: InvalidInputError) -> InvalidInputError:
    return type(error)(f"{file}, row 1: {error}")


def _cells(file: str, number: int, names: Sequence[str], record: Sequence[str]) -> dict[str, str | None]:
    if len(record) != len(names):
        message = (
            f"{file}, row {number}: a row must have as many fields as the header, {len(names)}. "
            f"Got {len(record)}. Is the file cut off, or a comma missing?"
        )
        raise InvalidInputError(message)
    texts = (cell.strip() for cell in record)
    return {name: None if text in _MISSING else text for name, text in zip(names, texts, strict=True)}


def _cure_of_number(text: str) -> str:
    if re.fullmatch(r"[+-]?\d*,\d+", text):
        return f"Decimal comma? Write {text.replace(',', '.')}."
    if re.fullmatch(r"\d+:\d+(:\d+)?", text):
        return "Write hours, such as 1.5 for 90 minutes."
    return "Write '.' where nothing is known."


# --- from rows to events ------------------------------------------------------------------------------------


def _events(rows: Iterable[_Row], drug: str, *, has_evid: bool) -> Iterator[_Event]:
    """Yield the event of each row; warn once for each thing that orders warn of."""
    warned: dict[str, list[_Row]] = {}
    for row in rows:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            event = _event(row, drug, has_evid=has_evid)
        for one in caught:
            warned.setdefault(str(one.message), []).append(row)
        yield event
    for message, places in warned.items():
        more = f" (and {_counted(len(places) - 1, 'more row')})" if len(places) > 1 else ""
        warnings.warn(f"{places[0].place('AMT')}{more}: {message}", ResultWarning, stacklevel=4)


def _event(row: _Row, drug: str, *, has_evid: bool) -> _Event:
    label = row.cells["ID"]
    if label is None:
        raise row.refused("ID", must="given in every row", got="nothing")
    time_h = row.given_value("TIME")
    if time_h is None:
        raise row.refused("TIME", must="given in every row", got="nothing")
    try:
        time_h = _rounded(within("time_h", "TIME", time_h, cure="In hours."))
    except InvalidInputError as error:
        raise row.at("TIME", error) from None
    amount_mg = row.number_in("AMT")
    evid = _evid(row, amount_mg, has_evid=has_evid)
    if evid not in (1, 4):
        if amount_mg > 0:
            cure = "Write EVID 1 for a dose, or remove the amount."
            must = f"0 or missing where EVID is {evid} ({EVENTS[evid]})"
            raise row.refused("AMT", must=must, got=shortest(amount_mg), cure=cure)
        return _Event(row, label, time_h, evid, None, 0, 0.0, 0)
    if not amount_mg:
        cure = "In mg of base."
        must = f"above 0 where EVID is {evid} ({EVENTS[evid]})"
        raise row.refused("AMT", must=must, got=row.cells.get("AMT") or "nothing", cure=cure)
    order = _order(row, amount_mg, drug)
    highest = int(limit("item_count").high)
    further = row.choice("ADDL", range(highest + 1), f"a whole number from 0 to {highest}")
    steady = row.choice("SS", (0, 1, 2), "0, 1 (steady state alone) or 2 (added to what is there)")
    interval_h = _interval(row, order, further, steady) if further or steady else 0.0
    return _Event(row, label, time_h, evid, order, further, interval_h, steady)


def _evid(row: _Row, amount_mg: float, *, has_evid: bool) -> int:
    if not has_evid:
        return int(amount_mg > 0)
    value = row.given_value("EVID")
    if value is None or value not in EVENTS:
        known = ", ".join(f"{number} ({meaning})" for number, meaning in EVENTS.items())
        raise row.refused("EVID", must=f"one of {known}", got="nothing" if value is None else shortest(value))
    return int(value)


def _order(row: _Row, amount_mg: float, drug: str) -> Order:
    """Return the order that a dose row gives, with the limits that hold for every order."""
    name = row.cells.get("DRUG") or drug
    rate = _rate(row)
    route = _route(row, rate)
    hold_min = row.given_value("HOLD")
    spat_out = row.choice("SPAT_OUT", (0, 1), "0 or 1") == 1
    try:
        substance = find_drug(name)
        if not substance.is_active:
            got = f"{substance.name}, a placebo"
            raise refused("drug", must="one with an amount", got=got, cure="Leave its rows out.")
        return Order.create(
            drug=name,
            route=route,
            amount=amount_mg,
            duration_min=_rounded(amount_mg / rate * 60) if rate else None,
            hold_min=hold_min,
            spat_out=spat_out,
        )
    except InvalidInputError as error:
        field = re.match(r"'(\w+)'", str(error))
        column = _COLUMN_OF.get(field[1], "AMT") if field else "DRUG"
        cure = " The duration is AMT / RATE." if column == "RATE" else ""
        raise row.at(column, type(error)(f"{error}{cure}")) from None


def _rate(row: _Row) -> float:
    """Return the rate of an infusion in mg/h, 0 for any other dose."""
    rate = row.given_value("RATE") or 0.0
    if rate in (-1, -2):
        what = "the rate" if rate == -1 else "the duration"
        cure = f"Models that estimate {what} are not supported: give a number in mg/h."
        raise row.refused("RATE", must="0 or more", got=shortest(rate), cure=cure)
    return row.number_in("RATE")


def _route(row: _Row, rate: float) -> Route:
    route = _written_route(row)
    if not isinstance(route, Route):
        return Route.IV_INFUSION if rate else Route.IV_BOLUS
    if rate and route is not Route.IV_INFUSION:
        cure = "Remove it, or write iv_infusion."
        raise row.refused("RATE", must=f"0 or missing where ROUTE is {route}", got=shortest(rate), cure=cure)
    if route is Route.IV_INFUSION and not rate:
        cure = "In mg/h; write iv_bolus for an injection at once."
        raise row.refused(
            "RATE",
            must="above 0 where ROUTE is iv_infusion",
            got=row.cells.get("RATE") or "nothing",
            cure=cure,
        )
    return route


def _written_route(row: _Row) -> Route | str:
    written = row.cells.get("ROUTE")
    if written is not None:
        route = _ROUTES.get(" ".join(re.split(r"[\s_-]+", written.lower())))
        if route is None:
            raise row.at("ROUTE", unknown("route", written, [*Route, *_ROUTES]))
        return route
    compartment = row.cells.get("CMT")
    if compartment is None:
        cure = "Add a column ROUTE with iv, im, sc, in, sl, po or er."
        raise row.refused("ROUTE", must="given for a dose, or else CMT", got="nothing", cure=cure)
    if compartment.lower() != "central" and not re.fullmatch(r"1(\.0*)?", compartment):
        cure = "Compartments are numbered differently in every model: say how it is given in a column ROUTE."
        raise row.refused(
            "CMT",
            must="1 or 'central' (intravenous) where ROUTE is missing",
            got=repr(compartment),
            cure=cure,
        )
    return _BY_RATE


def _interval(row: _Row, order: Order, further: int, steady: int) -> float:
    """Return the interval of a repeated dose, which must hold the whole dose."""
    why = "ADDL" if further else "SS"
    interval_h = row.number_in("II")
    if not interval_h:
        cure = "Steady state of a constant infusion is not supported." if steady and not further else ""
        raise row.refused(
            "II", must=f"above 0 h where {why} is above 0", got=row.cells.get("II") or "nothing", cure=cure
        )
    try:
        interval_h = within("interval_h", "II", interval_h, cure="In hours.")
    except InvalidInputError as error:
        raise row.at("II", error) from None
    last = order.doses(0.0, _ANY_WEIGHT_KG)[-1]
    length_h = last.start_h + last.duration_h
    if length_h > interval_h + TIME_TOLERANCE_H and (steady or order.route is Route.IV_INFUSION):
        what = "the infusion" if order.route is Route.IV_INFUSION else "all devices"
        must = f"at least the {length_h:g} h that {what} take{'s' if what == 'the infusion' else ''}"
        raise row.refused("II", must=must, got=f"{shortest(interval_h)} h")
    return interval_h


# --- from events to subjects --------------------------------------------------------------------------------


def _check_times(events: Sequence[_Event]) -> None:
    """Raise where the rows of one ID go back in time, or two of them want a steady state alone."""
    for before, after in pairwise(events):
        if after.time_h < before.time_h:
            cure = "Sort each ID by TIME; time goes on at a reset."
            must = f"at least {shortest(before.time_h)} h, as in the row before of ID {after.label!r}"
            raise after.row.refused(
                "TIME", must=must, got=f"{shortest(after.time_h)} h", cure=cure, also=before.row.number
            )
    alone: dict[float, _Event] = {}
    for event in events:
        if event.steady == 1 and event.time_h in alone:
            other = alone[event.time_h].row.number
            cure = "Write SS 2 for all but one of them."
            raise event.row.refused(
                "SS", must="1 (forget what was there) once at a time", got="two", cure=cure, also=other
            )
        if event.steady == 1:
            alone[event.time_h] = event


def _resets_h(events: Iterable[_Event]) -> list[float]:
    return sorted({event.time_h for event in events if event.is_reset})


def _administrations(events: Sequence[_Event]) -> list[_Administration]:
    """Return everything that one ID is given, in order, ADDL written out."""
    found = []
    for event in events:
        if event.order is None:
            continue
        for turn in range(event.further + 1):
            start_h = _rounded(event.time_h + turn * event.interval_h) if turn else event.time_h
            steady_h = event.interval_h if event.steady and not turn else None
            found.append(_Administration(start_h, event.order, event.row, steady_h))
    found.sort(key=lambda one: one.key)
    _check_overlap(found, _resets_h(events))
    return found


def _check_overlap(administrations: Sequence[_Administration], resets_h: Sequence[float]) -> None:
    """Raise where two infusions of a drug overlap; a reset ends the one that runs."""
    infusions: dict[str, list[_Administration]] = defaultdict(list)
    for one in administrations:
        if one.order.route is Route.IV_INFUSION:
            infusions[one.order.drug].append(one)
    for drug, ones in infusions.items():
        for first, second in pairwise(ones):
            following = bisect_right(resets_h, first.start_h)
            end_h = min([first.end_h, *resets_h[following : following + 1]])
            if second.start_h < end_h - TIME_TOLERANCE_H:
                numbers = sorted((first.row.number, second.row.number))
                where = (
                    f"rows {numbers[0]} and {numbers[1]}" if numbers[0] != numbers[1] else f"row {numbers[0]}"
                )
                must = (
                    f"so high that the infusion of {drug} from {first.start_h:g} h ends before the next one"
                )
                got = f"an end at {first.end_h:g} h and another infusion from {second.start_h:g} h"
                error = refused("RATE", must=must, got=got, cure="Two lines at once? Add up their rates.")
                message = f"{first.row.file}, {where}, column RATE: {error}"
                raise InvalidInputError(message)


def _epochs(
    administrations: Sequence[_Administration], resets_h: Sequence[float], first_h: float, rest: Dose
) -> tuple[Epoch, ...]:
    """Return the doses between resets.

    A reset with nothing to forget starts no epoch. The solver needs a dose of everybody: after a last reset,
    and for an ID without doses, that is an amount of 0.
    """
    sections: list[tuple[float, list[Given]]] = [(first_h, [])]
    places = [bisect_right(resets_h, one.start_h) for one in administrations]
    for place in range(len(resets_h) + 1):
        if place and sections[-1][1]:
            sections.append((resets_h[place - 1], []))
        given = [one.given() for one, own in zip(administrations, places, strict=True) if own == place]
        sections[-1][1].extend(part for parts in given for part in parts)
    if not sections[-1][1]:
        template = sections[-2][1][-1].dose if len(sections) > 1 else rest
        sections[-1][1].append(Given(replace(template, amount_umol=0.0)))
    return tuple(Epoch(start_h, tuple(given)) for start_h, given in sections)


def _people(label: str, ordinal: int, count: int | None) -> list[tuple[str, int]]:
    """Return (label, number) of those who follow the schedule of an ID."""
    if count is None:
        return [(label, ordinal + 1)]
    return [(f"{label}/{turn}", ordinal * count + turn) for turn in range(1, count + 1)]


def _patient(events: Sequence[_Event], everyone: Patient) -> Patient:
    who = everyone
    for column, field in (("WT", "weight_kg"), ("WEIGHT_KG", "weight_kg"), ("AGE", "age_years")):
        row, value = _same(events, column)
        if row is None:
            continue
        known: dict[str, Any] = {name: getattr(who, name) for name in Patient.__slots__}
        try:
            who = Patient.create(**{**known, field: value})
        except InvalidInputError as error:
            raise row.at(column, error) from None
    return who


def _same(events: Sequence[_Event], column: str) -> tuple[_Row | None, float | None]:
    """Return what an ID has in a column, and the first row that says so; all its rows must agree."""
    found: _Row | None = None
    first: float | None = None
    for event in events:
        value = event.row.given_value(column)
        if value is None or value == first:
            continue
        if found is not None:
            must = (
                f"the same in all rows of ID {event.label!r}, {shortest(first or 0.0)} in row {found.number}"
            )
            cure = "Values that change with time are not supported: keep the first."
            raise event.row.refused(column, must=must, got=shortest(value), cure=cure, also=found.number)
        found, first = event.row, value
    return found, first


def _unused_notes(unused: Sequence[str]) -> Iterator[str]:
    if unused:
        yield f"Columns without a meaning here were not used: {', '.join(unused)}."


def _dose_notes(
    events_of: dict[str, list[_Event]], given_of: dict[str, list[_Administration]]
) -> Iterator[str]:
    without = [label for label, administrations in given_of.items() if not administrations]
    if without:
        yield f"No doses, so concentrations of 0: {'IDs' if without[1:] else 'ID'} {', '.join(without)}."
    for label, events in events_of.items():
        resets_h = _resets_h(events)
        for event in events if resets_h else ():
            last_h = event.time_h + event.further * event.interval_h
            later = [reset_h for reset_h in resets_h if event.time_h < reset_h <= last_h]
            if later:
                yield (
                    f"ID {label}: the further doses (ADDL) of row {event.row.number} go on after the reset "
                    f"at {later[0]:g} h, as if each had a row."
                )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _rounded(value: float) -> float:
    """Return a value with 14 digits: 3 x 0.1 h is 0.3 h, and 35 mg at 52.5 mg/h take 40 min."""
    return float(f"{value:.14g}")


# --- out ----------------------------------------------------------------------------------------------------

_WRITTEN = tuple("ID TIME EVID AMT RATE ADDL II SS ROUTE DRUG HOLD SPAT_OUT WT AGE".split())
_ALWAYS = tuple("ID TIME EVID AMT ROUTE DRUG WT".split())
_Cells = dict[str, str]


class _Line(NamedTuple):
    """One dose row to be; a stretch is a part of an infusion."""

    start_h: float
    cells: _Cells
    steady_interval_h: float | None = None
    is_stretch: bool = False


def write_events(
    given: Regimen | Sequence[Subject], path: str | Path, *, weight_kg: float | None = None
) -> None:
    """Write the doses of a regimen, or of the subjects of a table, as an event table.

    Parameters
    ----------
    given : Regimen or sequence of Subject
        Of a regimen, the orders of drugs that have an amount; sessions have no place in the table.
    path : str or Path
    weight_kg : float
        Of the patient of a regimen (ID 1); subjects have their own.

    Raises
    ------
    InvalidInputError
        The doses could not be read again from a table: infusions of one drug overlap, a stretch of an
        infusion is shorter than any infusion may be, an amount in mg is above its maximum, or labels are
        not distinct.

    Notes
    -----
    The stretches of an infusion with steps or pauses become rows of their own. Other equal doses at equal
    intervals become one row with ADDL and II, at unequal intervals a row each. Steady state is written as
    SS 2, after a reset (EVID 3) where there was one. Observation times are not written.
    """
    file = Path(path)
    if isinstance(given, Regimen):
        if weight_kg is None:
            raise refused("weight_kg", must="given for a regimen", got="nothing")
        rows = _regimen_rows(given, weight_kg)
    else:
        labels = Counter(subject.label for subject in given)
        if any(times > 1 for times in labels.values()):
            raise refused("label", must="different for each subject", got=labels.most_common(1)[0][0])
        rows = [row for subject in given for row in _subject_rows(subject)]
    columns = [name for name in _WRITTEN if name in _ALWAYS or any(name in row for row in rows)]
    records = [[row.get(name, ".") for name in columns] for row in rows]
    _check_readable(file.name, columns, records)
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *records])
    write_whole(file, lambda target: target.write_text(text.getvalue(), encoding="utf-8"))


def _check_readable(file: str, columns: list[str], records: list[list[str]]) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResultWarning)
            _understood(file, columns, records, "ketamine", Patient(), None)
    except InvalidInputError as error:
        message = f"These doses cannot be written as an event table, for it could not be read: {error}"
        raise InvalidInputError(message) from None


def _regimen_rows(regimen: Regimen, weight_kg: float) -> list[_Cells]:
    lines = [
        line
        for start_h, item in regimen.items
        if isinstance(item, Order) and find_drug(item.drug).is_active
        for line in _lines(start_h, item.doses(start_h, weight_kg))
    ]
    return [{"ID": "1", "WT": _written(weight_kg), **cells} for cells in _dose_rows(lines)]


def _subject_rows(subject: Subject) -> list[_Cells]:
    who = {"ID": subject.label, "WT": _written(subject.patient.weight_kg)}
    if subject.patient.age_years is not None:
        who["AGE"] = _written(subject.patient.age_years)
    rows: list[_Cells] = []
    for place, epoch in enumerate(subject.epochs):
        if place:
            rows.append({"TIME": _written(epoch.start_h), "EVID": "3"})
        lines = [
            line._replace(steady_interval_h=steady_h)
            for start_h, doses, steady_h in _regrouped(epoch.given)
            for line in _lines(start_h, doses)
        ]
        rows += _dose_rows(lines)
    return [{**who, **row} for row in rows] or [{**who, "TIME": "0", "EVID": "2"}]


def _regrouped(given: Iterable[Given]) -> list[tuple[float, list[Dose], float | None]]:
    """Return (start_h, doses, steady interval) with the devices of one order put together again."""
    groups: list[tuple[float, list[Dose], float | None]] = []
    active = [one for one in given if np.any(one.dose.amount_umol)]
    for one in sorted(active, key=lambda one: one.dose.start_h):
        dose = one.dose
        spray = device(dose.drug, dose.route)
        start_h = dose.start_h - dose.device_index * (spray.interval_min / 60 if spray else 0.0)
        group = next(
            (group for group in groups if dose.device_index and _continues(group, one, start_h)), None
        )
        if group is not None:
            group[1].append(dose)
            continue
        if dose.device_index or (
            one.steady_interval_h and abs(one.steady_from_h - start_h) > TIME_TOLERANCE_H
        ):
            got = f"one from {dose.start_h:g} h whose beginning is missing"
            raise refused(
                "doses", must="whole orders, to be written as an event table", got=got, of=dose.drug
            )
        groups.append((dose.start_h, [dose], one.steady_interval_h))
    return groups


def _continues(group: tuple[float, list[Dose], float | None], one: Given, start_h: float) -> bool:
    began_h, doses, steady_h = group
    dose = one.dose
    return (
        (doses[0].drug, doses[0].route, len(doses), steady_h)
        == (dose.drug, dose.route, dose.device_index, one.steady_interval_h)
    ) and abs(began_h - start_h) <= TIME_TOLERANCE_H


def order_rows(start_h: float, doses: Sequence[Dose]) -> list[tuple[float, dict[str, str]]]:
    """Return the rows that one order becomes in an event table: hour, and cells by column.

    Parameters
    ----------
    start_h : float
    doses : sequence of Dose
        Those of one order in one patient: stretches of an infusion, or devices of a spray.
    """
    return [(line.start_h, {"TIME": _written(line.start_h), **line.cells}) for line in _lines(start_h, doses)]


def _lines(start_h: float, doses: Sequence[Dose]) -> list[_Line]:
    """Return the rows of one order: one a stretch of an infusion, one for all devices of a spray."""
    first = doses[0]
    cells = {"EVID": "1", "ROUTE": first.route.value, "DRUG": first.drug}
    per_mg = find_drug(first.drug).umol_per_mg()
    if first.hold_h is not None:
        cells["HOLD"] = _written(first.hold_h * 60)
    if first.spat_out:
        cells["SPAT_OUT"] = "1"
    amounts = [float(np.ravel(dose.amount_umol)[0]) / per_mg for dose in doses]
    if first.route is not Route.IV_INFUSION:
        return [_Line(start_h, {**cells, "AMT": _written(sum(amounts))})]
    rates = [amount / dose.duration_h for dose, amount in zip(doses, amounts, strict=True)]
    return [
        _Line(
            dose.start_h,
            {**cells, "AMT": _written(amount), "RATE": _written(rate)},
            is_stretch=len(doses) > 1,
        )
        for dose, amount, rate in zip(doses, amounts, rates, strict=True)
    ]


def _dose_rows(lines: Iterable[_Line]) -> list[_Cells]:
    """Return rows in order of time; equal ones at equal intervals as one."""
    alike: dict[tuple[object, ...], list[_Line]] = defaultdict(list)
    for number, line in enumerate(lines):
        own = number if line.is_stretch or line.steady_interval_h is not None else None
        alike[own, *sorted(line.cells.items())].append(line)
    rows: list[tuple[float, _Cells]] = []
    for ones in alike.values():
        ones.sort(key=lambda line: line.start_h)
        repeat = _repeat([line.start_h for line in ones])
        for line in ones[:1] if repeat else ones:
            cells = {"TIME": _written(line.start_h), **line.cells, **repeat}
            if line.steady_interval_h is not None:
                cells |= {"SS": "2", "II": _written(line.steady_interval_h)}
            rows.append((line.start_h, cells))
    return [cells for _, cells in sorted(rows, key=lambda row: row[0])]


def _repeat(starts_h: Sequence[float]) -> _Cells:
    """Return ADDL and II where the starts follow each other at one interval, else nothing."""
    if len(starts_h) < 2:
        return {}
    interval_h = float(_written(starts_h[1] - starts_h[0]))
    expanded = (_rounded(starts_h[0] + turn * interval_h) for turn in range(len(starts_h)))
    is_even = all(abs(a - b) <= 1e-12 * max(1.0, abs(a)) for a, b in zip(starts_h, expanded, strict=True))
    if not is_even or interval_h not in limit("interval_h") or len(starts_h) not in limit("item_count"):
        return {}
    return {"ADDL": str(len(starts_h) - 1), "II": _written(interval_h)}


def _written(value: float) -> str:
    """Return a number with 15 digits, which leaves out the noise of sums and products."""
    return shortest(float(f"{value:.15g}"))
