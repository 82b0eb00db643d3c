"""Chapters as data: what is said, which rows of evidence stand behind it, and what contradicts it."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from euthymia.citations import cite
from euthymia.evidence.stated import WHY_CLOSED, StatedRow, stated_rows
from euthymia.tables import Row, read_table, read_text

VERDICTS = {
    "supported": "Supported",
    "animal": "Shown in animals",
    "disputed": "Disputed",
    "assumed": "Assumed",
}
GRADES = (
    "human trial",
    "human biomarker",
    "label or guideline",
    "review",
    "animal",
    "in vitro",
    "derived",
    "assumption",
)
"""How good a row is as evidence for people, the best first."""
TRIAL_LINKS = ("window", "course", "rival-opioid", "rival-hnk")
"""Links of the table of mechanisms whose rows about people are of treatment, not of a biomarker."""
IN_TRIALS = ("Q040", "Q041", "Q042")
NOT_PEOPLE = ("rat", "mouse", "rodent", "mice")
GUIDANCE = "evidence/safety/screening_rules.csv"


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """A row of evidence in words.

    ``grade`` is one of human trial, human biomarker, animal, in vitro, derived, label or guideline.
    """

    row_id: str
    grade: str
    about: str
    found: str
    who: str
    source: str
    url: str
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What is often said, how it stands, and why."""

    says: str
    verdict: str
    label: str
    because: str
    rows: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chapter:
    """A chapter without its picture."""

    id: str
    place: int
    mission: str
    title: str
    lead: str
    links: tuple[str, ...]
    proofs: tuple[Proof, ...]
    claims: tuple[Claim, ...]
    against: str
    unknown: tuple[str, ...]

    @property
    def tally(self) -> tuple[tuple[str, int], ...]:
        """Return how many rows there are of each grade, the best first."""
        counts = Counter(one.grade for one in self.proofs)
        return tuple((grade, counts[grade]) for grade in GRADES if counts[grade])


@cache
def chapters() -> Mapping[str, Chapter]:
    """Return the chapters by name, in their order."""
    found = tomllib.loads(read_text("story_chapters.toml"))["chapter"]
    return {
        one["id"]: Chapter(
            id=one["id"],
            place=place,
            mission=one["mission"],
            title=one["title"],
            lead=one["lead"],
            links=tuple(one["links"]),
            proofs=proofs(one["rows"]),
            claims=tuple(_claim(each) for each in one.get("claim", ())),
            against=one["against"],
            unknown=tuple(one["unknown"]),
        )
        for place, one in enumerate(found, start=1)
    }


def _claim(row: Mapping[str, object]) -> Claim:
    verdict = str(row["verdict"])
    names = row["rows"]
    return Claim(
        says=str(row["says"]),
        verdict=verdict,
        label=VERDICTS[verdict],
        because=str(row["because"]),
        rows=tuple(str(one) for one in names) if isinstance(names, list) else (),
    )


def proofs(row_ids: Sequence[str]) -> tuple[Proof, ...]:
    """Return rows of evidence in words, in the order asked for.

    Raises
    ------
    KeyError
        No table has such a row.
    """
    return tuple(_proofs()[one] for one in row_ids)


@cache
def _proofs() -> Mapping[str, Proof]:
    found = {
        row.row_id: proof_of(row)
        for table in ("mechanism", "safety", "efficacy", "pk")
        for row in stated_rows(table)
    }
    return found | {row["id"]: _rule(row) for row in read_table(GUIDANCE)}


def proof_of(row: StatedRow) -> Proof:
    """Return a row in words; of a closed one not what was found."""
    return Proof(
        row_id=row.row_id,
        grade=grade_of(row),
        about=_sentence(row.about),
        found=row.printed,
        who="; ".join(filter(None, (row.arm, row.time))),
        source=_source(row),
        url=row.url if row.url.startswith("http") else "",
        note=_note(row),
    )


def grade_of(row: StatedRow) -> str:
    """Return how good a row is as evidence for people: by its table, its species and how it was read."""
    if row.table != "mechanism":
        return "human trial"
    if row.fields.get("confidence") == "derived":
        return "derived"
    where = row.arm.lower()
    if where.startswith("review"):
        return "review"
    if "in vitro" in where:
        return "in vitro"
    if any(one in where for one in NOT_PEOPLE):
        return "animal"
    is_trial = row.topic in TRIAL_LINKS or row.row_id in IN_TRIALS
    return "human trial" if is_trial else "human biomarker"


def _note(row: StatedRow) -> str:
    if not row.is_open:
        return WHY_CLOSED
    is_recalled = row.fields.get("confidence") == "recalled-not-verified"
    return "Recalled, not verified; sets no number." if is_recalled else ""


def _source(row: StatedRow) -> str:
    if row.citation:
        return row.citation
    return "; ".join(f"{one.authors} {one.year or ''}".strip() for one in cite(row.source_keys))


def _rule(row: Row) -> Proof:
    return Proof(
        row_id=row["id"],
        grade="label or guideline",
        about=_sentence(row["condition"]),
        found=row["rule"],
        who=" ".join(filter(None, (row["drug"], row["route"], row["jurisdiction"]))),
        source=row["citation"],
        url=row["url"] if row["url"].startswith("http") else "",
        note="",
    )


def _sentence(text: str) -> str:
    """Return a text with a capital, but for names such as mTOR."""
    return text if text[1:2].isupper() else text[:1].upper() + text[1:]


@cache
def contraindications() -> tuple[Proof, ...]:
    """Return conditions in which a label or guideline says not to treat."""
    return tuple(_rule(row) for row in read_table(GUIDANCE) if row["severity"] == "contraindication")
