"""Scores from the numbers of items: totals, bands, response, remission. No wording of any item.

A total is worked out only from a complete scale; one item missing leaves it unknown, with the lowest and the
highest that it can be. What an item asks about suicide is flagged whether the scale is complete or not.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from euthymia.errors import invalid, unknown
from euthymia.tables import list_files, read_text

STRUCTURE = "rules/scores.toml"
SKIPPED = "skipped"
Concern = Literal["now", "before leaving", "none", "unknown"]
"""What answers about suicide ask for: a clinician now; a named clinician before leaving; nothing; asking."""
Tick = bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A total at or below which a definition speaks of remission."""

    label: str
    at_most_points: float
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Instrument:
    """How a scale is scored.

    Attributes
    ----------
    name, full_name, rater, recall_period : str
    item_minimum : int
    item_maxima : tuple of int
        Of each item.
    minimum, maximum : int
        Of the total.
    is_higher_worse : bool
    bands : tuple of (label, lowest, highest)
    domains : tuple of tuples of int
        Items, from 1; the highest answer of each domain counts.
    one_of : tuple of tuples of int
        Items of which only one is answered.
    response_fraction : float or None
        None where no definition is on record.
    remissions : tuple of Cut
    concern : int or None
        Item about suicide, from 1.
    """

    name: str
    full_name: str
    rater: str
    recall_period: str
    item_minimum: int
    item_maxima: tuple[int, ...]
    minimum: int
    maximum: int
    is_higher_worse: bool
    bands: tuple[tuple[str, int, int], ...]
    domains: tuple[tuple[int, ...], ...]
    one_of: tuple[tuple[int, ...], ...] = ()
    response_fraction: float | None = None
    remissions: tuple[Cut, ...] = ()
    concern: int | None = None

    @property
    def item_count(self) -> int:
        """Return how many items are answered."""
        return len(self.item_maxima)


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A scored scale.

    Attributes
    ----------
    scale : str
    items : tuple of int or None
    total : int or None
        None where an item is missing.
    at_least, at_most : int
        What the total can be.
    missing : tuple of int
        Items, from 1.
    band : str or None
    is_concern : bool or None
        Whether the item about suicide was answered above 0; None where it is missing or there is none.
    """

    scale: str
    items: tuple[int | None, ...]
    total: int | None
    at_least: int
    at_most: int
    missing: tuple[int, ...]
    band: str | None
    is_concern: bool | None


@cache
def instruments() -> Mapping[str, Instrument]:
    """Return every scale that is scored, by its name."""
    read = [tomllib.loads(read_text(path)) for path in list_files("scales", ".toml")]
    return {one["id"]: _instrument(one) for one in read if one["id"] != "C-SSRS ideation"}


def find_instrument(name: str) -> Instrument:
    """Return a scale by its name, whatever its capitals, hyphens and underscores.

    Raises
    ------
    UnknownNameError
        With the nearest names.
    """
    table = {_plain(one): one for one in instruments()}
    if _plain(name) not in table:
        raise unknown("scale", name, instruments())
    return instruments()[table[_plain(name)]]


def score(scale: str, items: Sequence[int | None]) -> Score:
    """Return the score of a scale from the numbers of its items; None is missing.

    Parameters
    ----------
    scale : str
    items : sequence of int or None
        In the order of the form.

    Raises
    ------
    InvalidInputError
        Where there are not as many as the scale has, or one is no whole number in its range.

    Examples
    --------
    >>> score("PHQ-9", [3, 3, 2, 2, 1, 1, 2, 0, 0]).total, score("PHQ-9", [3] * 8 + [None]).total
    (14, None)
    """
    kind = find_instrument(scale)
    answered = _checked(kind, items)
    low, high, missing = 0, 0, list[int]()
    for domain in kind.domains:
        bottom, top, absent = _domain(kind, answered, domain)
        low, high, missing = low + bottom, high + top, [*missing, *absent]
    total = None if missing else low
    return Score(
        scale=kind.name,
        items=answered,
        total=total,
        at_least=low,
        at_most=high,
        missing=tuple(missing),
        band=None if total is None else band(kind.name, total),
        is_concern=_concern(kind, answered),
    )


def band(scale: str, total: int) -> str | None:
    """Return the name of the band of a total; None where the scale has none.

    Raises
    ------
    InvalidInputError
        Where the total is outside the scale.
    """
    kind = find_instrument(scale)
    if not kind.minimum <= total <= kind.maximum:
        raise invalid("total", must=f"{kind.minimum} to {kind.maximum} of {kind.name}", got=total)
    return next((label for label, low, high in kind.bands if low <= total <= high), None)


def responded(baseline: Score, now: Score) -> bool | None:
    """Return whether the total fell by the fraction that the scale's definition asks for; None if unknown.

    Unknown where a total is unknown, or the baseline leaves nothing to fall.

    Raises
    ------
    InvalidInputError
        Where the scales differ, or no definition of response is on record.
    """
    kind = _same(baseline, now)
    if kind.response_fraction is None:
        raise invalid("scale", must="one with a definition of response", got=kind.name)
    if baseline.total is None or now.total is None or baseline.total <= kind.minimum:
        return None
    return baseline.total - now.total >= kind.response_fraction * (baseline.total - kind.minimum)


def remitted(now: Score) -> dict[str, bool | None]:
    """Return whether the total is in remission by each definition of the scale; None where it is unknown."""
    kind = find_instrument(now.scale)
    return {
        cut.label: None if now.total is None else now.total <= cut.at_most_points for cut in kind.remissions
    }


def improvement_percent(baseline: Score, now: Score) -> float | None:
    """Return the fall of the total in percent of the baseline; None if unknown."""
    kind = _same(baseline, now)
    if baseline.total is None or now.total is None or baseline.total <= kind.minimum:
        return None
    return 100.0 * (baseline.total - now.total) / (baseline.total - kind.minimum)


def dissociated(before: Score, now: Score) -> bool | None:
    """Return whether a CADSS total counts as in the esketamine trials: above the cut and the baseline."""
    _same(before, now)
    if now.scale != "CADSS":
        raise invalid("scale", must="CADSS", got=now.scale)
    if before.total is None or now.total is None:
        return None
    return now.total > _cadss_cut() and now.total > before.total


@dataclass(frozen=True, kw_only=True, slots=True)
class Cssrs:
    """Answers of the C-SSRS screener: yes, no, or None where not known; use :meth:`create`."""

    answers: Mapping[str, Tick]

    @classmethod
    def create(cls, **answers: bool | str | None) -> Cssrs:
        """Return the answers after checking them.

        Parameters
        ----------
        **answers
            wish_to_be_dead, active_thoughts, method, intent, plan, recent_behaviour: True, False, None, or
            'skipped' for those that the form leaves out after a no.

        Raises
        ------
        InvalidInputError
        """
        form = _cssrs()
        for name, given in answers.items():
            if name not in form["items"]:
                raise unknown("item of the C-SSRS", name, form["items"])
            if given == SKIPPED and (
                name not in form["skipped"] or answers.get(form["skipped_if_no"]) is not False
            ):
                raise invalid(name, must=f"skipped only after a no to {form['skipped_if_no']}", got=SKIPPED)
            if given is not None and not isinstance(given, bool) and given != SKIPPED:
                raise invalid(name, must="yes, no, skipped or unknown", got=repr(given))
        return cls(answers={name: _tick(answers.get(name)) for name in form["items"]})

    @property
    def level(self) -> int | None:
        """Return the level of ideation, 0 to 5; None where a higher one is not known."""
        kinds = [self.answers[name] for name in _cssrs()["ideation"]]
        for place in range(len(kinds), 0, -1):
            if kinds[place - 1] is None:
                return None
            if kinds[place - 1]:
                return place
        return 0


def concern(answers: Cssrs | None = None, *, phq9_item9: int | None = None) -> Concern:
    """Return what answers about suicide ask for.

    Parameters
    ----------
    answers : Cssrs, optional
    phq9_item9 : int, optional

    Returns
    -------
    concern : str
        now: intent, plan or recent behaviour; also any ideation where one of these was not answered.
        before leaving: other ideation, or item 9 of the PHQ-9 above 0. none: all was answered, with no.
        unknown: nothing positive, and something not answered.
    """
    form, found = _cssrs(), dict(answers.answers) if answers else dict.fromkeys(_cssrs()["items"])
    severe = [found[name] for name in form["act_now"]]
    milder = [found[name] for name in form["items"] if name not in form["act_now"]]
    is_any = True in milder or bool(phq9_item9)
    if True in severe or (is_any and None in severe and answers is not None):
        return "now"
    if is_any:
        return "before leaving"
    return "unknown" if None in severe or None in milder else "none"


def _tick(given: bool | str | None) -> Tick:  # noqa: FBT001 - the answer itself
    return False if given == SKIPPED else given if isinstance(given, bool) else None


@cache
def _cssrs() -> Mapping[str, Any]:
    return tomllib.loads(read_text(STRUCTURE))["cssrs"]


@cache
def _cadss_cut() -> float:
    (cut,) = tomllib.loads(read_text("scales/cadss.toml"))["thresholds"]
    return float(cut["above"])


def _checked(kind: Instrument, items: Sequence[int | None]) -> tuple[int | None, ...]:
    if len(items) != kind.item_count:
        raise invalid("items", must=f"{kind.item_count} of {kind.name}", got=len(items))
    for place, (given, most) in enumerate(zip(items, kind.item_maxima, strict=True), 1):
        if given is None:
            continue
        if isinstance(given, bool) or not isinstance(given, int) or not kind.item_minimum <= given <= most:
            must = f"a whole number of {kind.item_minimum} to {most}, or missing"
            raise invalid("items", must=f"each {must} (item {place} of {kind.name})", got=repr(given))
    return tuple(items)


def _domain(
    kind: Instrument, items: Sequence[int | None], domain: Sequence[int]
) -> tuple[int, int, list[int]]:
    """Return the lowest and the highest that a domain can give, and its missing items."""
    known = [items[place - 1] for place in domain]
    absent = [place for place in domain if items[place - 1] is None and not _is_spared(kind, items, place)]
    low = max((one for one in known if one is not None), default=kind.item_minimum)
    high = max([low, *(kind.item_maxima[place - 1] for place in absent)])
    # the highest answer that there can be is reached already: what is missing changes nothing
    return (low, high, absent) if high > low else (low, high, [])


def _is_spared(kind: Instrument, items: Sequence[int | None], place: int) -> bool:
    """Return whether the other of a pair was answered, so that this one is left out by design."""
    pairs = [pair for pair in kind.one_of if place in pair]
    return any(items[other - 1] is not None for pair in pairs for other in pair if other != place)


def _concern(kind: Instrument, items: Sequence[int | None]) -> bool | None:
    given = None if kind.concern is None else items[kind.concern - 1]
    return None if given is None else given > 0


def _same(one: Score, other: Score) -> Instrument:
    if one.scale != other.scale:
        raise invalid("scale", must="the same twice", got=f"{one.scale} and {other.scale}")
    return find_instrument(one.scale)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _instrument(one: Mapping[str, Any]) -> Instrument:
    structure = tomllib.loads(read_text(STRUCTURE))["scale"].get(one["id"], {})
    count = int(one["item_count"])
    maxima = structure.get("item_maxima", [one["item_maximum"]] * count)
    return Instrument(
        name=one["id"],
        full_name=one["full_name"],
        rater=one["rater"],
        recall_period=one["recall_period"],
        item_minimum=int(one["item_minimum"]),
        item_maxima=tuple(map(int, maxima)),
        minimum=int(one["minimum"]),
        maximum=int(one["maximum"]),
        is_higher_worse=one["higher_means"] == "worse",
        bands=tuple((each["label"], each["from"], each["to"]) for each in one["severity_bands"]),
        domains=tuple(map(tuple, structure.get("domains", [[place] for place in range(1, count + 1)]))),
        one_of=tuple(map(tuple, structure.get("one_of", ()))),
        response_fraction=one.get("response", {}).get("fraction"),
        remissions=tuple(
            Cut(label=cut["label"], at_most_points=float(cut["at_most"]), source=cut["source"])
            for cut in one.get("remission", ())
        ),
        concern=structure.get("concern"),
    )
