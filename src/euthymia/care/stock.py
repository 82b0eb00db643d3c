"""Stock: of every lot, received = given + wasted + returned + on hand, always; waste is witnessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from euthymia.care.events import corrected
from euthymia.care.findings import Finding
from euthymia.care.record import Event
from euthymia.care.timing import finding

MOVES = ("lot_given", "lot_wasted", "lot_returned")


@dataclass(frozen=True, kw_only=True, slots=True)
class Lot:
    """One lot of a drug, in whole units: devices, vials, tablets.

    Attributes
    ----------
    id, drug, unit : str
    amount_mg_each : float
    expiry : date
    received, given, wasted, returned : int
    counted : int or None
        At the last count; None where it was never counted.
    variance : int
        Counted less what the record said at that moment; 0 where it was not counted.
    """

    id: str
    drug: str
    unit: str
    amount_mg_each: float
    expiry: date
    received: int = 0
    given: int = 0
    wasted: int = 0
    returned: int = 0
    counted: int | None = None
    variance: int = 0

    @property
    def on_hand(self) -> int:
        """Return how many there must be."""
        return self.received - self.given - self.wasted - self.returned

    @property
    def is_balanced(self) -> bool:
        """Return whether the lot adds up and nothing is below zero."""
        parts = (self.given, self.wasted, self.returned, self.on_hand)
        return min(parts) >= 0 and sum(parts) == self.received

    def is_usable(self, drug: str, day: date) -> bool:
        """Return whether one of a drug can be taken on a day."""
        return self.drug == drug and self.on_hand > 0 and day <= self.expiry

    @classmethod
    def of(cls, events: Sequence[Event]) -> Lot | None:
        """Return the lot that its events make; None before it was received."""
        standing = corrected(events)
        receipts = [event for event in standing if event.kind == "lot_received"]
        if not receipts:
            return None
        first = receipts[0].facts
        totals = {kind: _total(standing, kind) for kind in ("lot_received", *MOVES)}
        counted, variance = _count(standing)
        return cls(
            id=receipts[0].about("lot"),
            drug=first["drug"],
            unit=first["unit"],
            amount_mg_each=float(first["amount_mg_each"]),
            expiry=date.fromisoformat(first["expiry"]),
            received=totals["lot_received"],
            given=totals["lot_given"],
            wasted=totals["lot_wasted"],
            returned=totals["lot_returned"],
            counted=counted,
            variance=variance,
        )


def _total(events: Sequence[Event], kind: str) -> int:
    return sum(int(event.facts["count"]) for event in events if event.kind == kind)


def _count(events: Sequence[Event]) -> tuple[int | None, int]:
    """Return the last count, and by how much it differed from the record at that moment."""
    on_hand, counted, variance = 0, None, 0
    for event in events:
        if event.kind == "lot_received":
            on_hand += int(event.facts["count"])
        elif event.kind in MOVES:
            on_hand -= int(event.facts["count"])
        elif event.kind == "lot_counted":
            counted = int(event.facts["count"])
            variance = counted - on_hand
    return counted, variance


def may_move(lot: Lot | None, event: Event) -> tuple[Finding, ...]:
    """Return what speaks for and against a movement of stock."""
    count: Any = event.facts.get("count")
    is_whole = isinstance(count, int) and not isinstance(count, bool) and count >= 0
    found = [_holds("whole_count", "A whole number, zero or more.", is_whole, count)]
    if event.kind == "lot_received" or not is_whole:
        return tuple(found)
    found.append(_holds("lot_known", "The lot was received.", lot is not None, event.about("lot")))
    if event.kind in MOVES and lot is not None:
        found.append(_holds("enough_on_hand", "No more than is on hand.", count <= lot.on_hand, count))
    if event.kind == "lot_wasted":
        found.append(_witness(event.facts))
    return tuple(found)


def _witness(facts: Mapping[str, Any]) -> Finding:
    is_other = bool(facts.get("witness")) and facts["witness"] != facts.get("by")
    return _holds("waste_witnessed", "A second person saw the waste.", is_other, facts.get("witness"))


def _holds(rule_id: str, says: str, has: bool, observed: Any) -> Finding:  # noqa: FBT001
    return finding(rule_id, "meets" if has else "fails", says, severity="block", observed=observed)
