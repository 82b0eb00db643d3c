"""What a rule says of one person at one moment: meets, fails or unknown, with what was seen and who says so.

The words, used in the same way everywhere in care:

meets
    What the rule asks for was seen to hold. For a contraindication: its absence is on record.
fails
    What the rule asks for was seen not to hold. For a contraindication: it is on record.
unknown
    It was not recorded, cannot be read, or is too old. Never a pass: where the rule can stop, unknown stops.

A finding is a statement, not a decision. Nothing here says that somebody is eligible or may be dosed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Status = Literal["meets", "fails", "unknown"]
Severity = Literal["block", "countersign", "override", "record", "inform"]
Observed = bool | float | str | tuple[str, ...] | None

STATUSES: tuple[Status, ...] = ("meets", "fails", "unknown")
SEVERITIES: tuple[Severity, ...] = ("block", "countersign", "override", "record", "inform")
"""From the strictest. What has to happen before going on where a rule is not met:

block        nothing in the software: no override exists
countersign  a prescriber's reason and a second person's signature
override     a prescriber's reason
record       it has to be recorded, whatever the answer is
inform       nothing; it is shown
"""
STOPPING: tuple[Severity, ...] = ("block", "countersign", "override")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One rule applied to what is on record.

    Attributes
    ----------
    rule_id : str
    status : str
        meets, fails or unknown; see the top of this module.
    severity : str
        block, countersign, override, record or inform.
    observed : bool, float, str, tuple of str, or None
        What was on record; None where nothing was.
    threshold : bool, float, str, tuple of str, or None
        What it was held against; None where presence itself decides.
    unit : str
        Of both; empty where they have none.
    source : str
        Who says so.
    jurisdiction : str
        Where it is said; empty where the source is not bound to one.
    confidence : str
        seen-in-source, derived, recalled-not-verified or own.
    is_own_rule : bool
        Whether this project set the rule: no source does.
    says : str
        The rule in one sentence, as it is shown.
    asks : tuple of str
        Fields that were missing or cannot be used, in the order in which to ask; empty unless unknown.
    version : str
        Of the table of rules that was applied.
    url : str
        Where the source was read; empty where there is none.
    """

    rule_id: str
    status: Status
    severity: Severity
    observed: Observed = None
    threshold: Observed = None
    unit: str = ""
    source: str
    jurisdiction: str = ""
    confidence: str
    is_own_rule: bool = False
    says: str
    asks: tuple[str, ...] = ()
    version: str = ""
    url: str = ""

    @property
    def is_unknown(self) -> bool:
        """Return whether something still has to be asked."""
        return self.status == "unknown"

    @property
    def is_stopping(self) -> bool:
        """Return whether going on is refused until something is recorded: unknown stops as well."""
        return self.status != "meets" and self.severity in STOPPING


def strictest(findings: Iterable[Finding]) -> Severity | None:
    """Return the strictest severity among those that stop; None where none does."""
    found = {finding.severity for finding in findings if finding.is_stopping}
    return next((severity for severity in SEVERITIES if severity in found), None)


def by_weight(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings with the weightiest first: what stops, then fails, unknown, meets; ties keep order."""
    order = {"fails": 0, "unknown": 1, "meets": 2}
    return sorted(
        findings,
        key=lambda one: (not one.is_stopping, order[one.status], SEVERITIES.index(one.severity)),
    )
