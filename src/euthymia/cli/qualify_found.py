"""What a qualification holds, its scores, and how it stands in a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from euthymia.files.trial_json import number_out

if TYPE_CHECKING:
    from euthymia.calibration.scoring import Forecast, Score
    from euthymia.calibration.validation import Judged, JudgedGap
    from euthymia.calibration.verification import Check
    from euthymia.evidence.fact_compare import FactComparison
    from euthymia.population.posterior import Posterior

VALIDATE, CALIBRATE = "validate", "calibrate"


@dataclass(frozen=True, kw_only=True)
class Qualification:
    """Everything that a report says.

    Attributes
    ----------
    made : mapping
        What gives the same bytes again: version, seed, parameters, posterior, engine.
    replicates, fitted_replicates : int
        Of trials with a row kept to validate, and of the others.
    is_stored : bool
        Whether trials were read from a stored run.
    frozen : str
        Digest of the frozen posterior; empty before one is frozen.
    facts : {table: comparisons}
    cautions : tuple of str
        What results may not mean.
    sources : tuple of str
        Keys of the bibliography behind the parameters.
    """

    made: Mapping[str, Any]
    replicates: int
    fitted_replicates: int
    is_stored: bool
    frozen: str
    posterior: Posterior | None
    checks: tuple[Check, ...]
    facts: Mapping[str, tuple[FactComparison, ...]]
    rows: tuple[Judged, ...]
    gaps: tuple[JudgedGap, ...]
    cautions: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def effort(self) -> str:
        """How many replicates there are, in words."""
        if self.replicates == self.fitted_replicates:
            return f"{self.replicates} replicates of every trial"
        return (
            f"{self.replicates} replicates of trials with rows kept to validate, {self.fitted_replicates} of "
            "the others"
        )

    @property
    def has_study_effects(self) -> bool:
        """Whether forecasts hold what differs between studies."""
        return any(one.among_studies is not None for one in self.rows)

    @property
    def is_frozen_one(self) -> bool:
        """Whether the replicates took draws of the posterior that was frozen."""
        return bool(self.frozen) and self.made.get("posterior_digest", "") == self.frozen

    def of_role(self, role: str) -> tuple[Judged, ...]:
        """Return the rows of a role."""
        return tuple(one for one in self.rows if one.role == role)

    def groups(self) -> dict[str, tuple[Judged, ...]]:
        """Return the rows to validate with by what is new about their trial."""
        kept = [one for one in self.of_role(VALIDATE) if one.group]
        return {
            name: tuple(one for one in kept if one.group == name)
            for name in dict.fromkeys(one.group for one in kept)
        }

    def score(
        self, rows: Sequence[Judged], *, is_among_studies: bool | None = None, is_first_day_only: bool = False
    ) -> Score:
        """Return the scores of some rows; by default with effects of studies where they are known."""
        from euthymia.calibration.validation import score_rows

        chosen = self.has_study_effects if is_among_studies is None else is_among_studies
        return score_rows(rows, every=self.rows, is_among_studies=chosen, is_first_day_only=is_first_day_only)


def document_of(found: Qualification) -> dict[str, Any]:
    """Return a qualification as it stands in a file."""
    from euthymia.calibration.validation import adequacy, hard_cases

    return {
        **found.made,
        "replicates": found.replicates,
        "fitted_replicates": found.fitted_replicates,
        "is_stored": found.is_stored,
        "frozen_posterior": found.frozen,
        "is_of_frozen_posterior": found.is_frozen_one,
        "cautions": list(found.cautions),
        "verification": [{**_plain(asdict(one)), "passes": one.passes} for one in found.checks],
        "facts": [_fact(table, one) for table, rows in found.facts.items() for one in rows],
        "rows": [_row(one) for one in found.rows],
        "scores": _scores(found),
        "hard_cases": [
            {
                "name": case.name,
                "asks": case.asks,
                "rows": [one.name for one in found.rows if case.picks(one)],
                "differences": [_gap(one) for one in found.gaps if one.gap in case.gaps],
            }
            for case in hard_cases()
        ],
        "adequacy": [asdict(one) for one in adequacy(found.score(found.of_role(VALIDATE)))],
    }


def _scores(found: Qualification) -> list[dict[str, Any]]:
    every = {
        VALIDATE: found.of_role(VALIDATE),
        CALIBRATE: found.of_role(CALIBRATE),
        **{f"{VALIDATE}: {name}": rows for name, rows in found.groups().items()},
    }
    ways = (False, True) if found.has_study_effects else (False,)
    listed = []
    for name, rows in every.items():
        for way in ways:
            score = found.score(rows, is_among_studies=way)
            first = found.score(rows, is_among_studies=way, is_first_day_only=True)
            listed.append(
                {
                    "of": name,
                    "with_study_effects": way,
                    **_plain(asdict(score)),
                    "first_day_skills": [_plain(asdict(one)) for one in first.skills],
                }
            )
    return listed


def _row(one: Judged) -> dict[str, Any]:
    return _plain(
        {
            "row": one.name,
            "trial": one.trial,
            "role": one.role,
            "group": one.group,
            "label": one.run.label,
            "quantity": one.run.quantity,
            "kind": one.kind,
            "is_primary": one.run.is_primary_contrast,
            "state": one.state,
            "verdict": one.verdict,
            "verdict_without_study_effects": one.verdict_of(one.alone),
            "reason": one.reason,
            "observed": one.observed,
            "forecast": _forecast(one.alone),
            "forecast_with_study_effects": None
            if one.among_studies is None
            else _forecast(one.among_studies),
            "source": one.source,
        }
    )


def _gap(one: JudgedGap) -> dict[str, Any]:
    return _plain(
        {
            **one.gap._asdict(),
            "state": one.state,
            "verdict": one.verdict,
            "observed": one.observed,
            "forecast": _forecast(one.alone),
            "forecast_with_study_effects": None
            if one.among_studies is None
            else _forecast(one.among_studies),
        }
    )


def _forecast(one: Forecast) -> dict[str, Any]:
    return asdict(one)


def _fact(table: str, one: FactComparison) -> dict[str, Any]:
    kept = ("role", "topic", "fact", "kind", "low", "high", "simulated", "unit", "verdict", "comment")
    return _plain(
        {"table": table, "row": f"{one.row_id}{one.part}"} | {name: getattr(one, name) for name in kept}
    )


def _plain(value: Any) -> Any:
    """Return something with numbers as JSON has them."""
    if isinstance(value, float):
        return number_out(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def fact_counts(rows: Sequence[FactComparison]) -> tuple[int, int, int, int]:
    """Return how many facts are reproduced, of how many judged, and how many are closed and not compared."""
    from euthymia.evidence.fact_compare import CLOSED, NOT_REPRODUCED, REPRODUCED

    words = Counter(one.verdict for one in rows)
    hit, judged = words[REPRODUCED], words[REPRODUCED] + words[NOT_REPRODUCED]
    return hit, judged, words[CLOSED], len(rows) - judged - words[CLOSED]


def frozen_text(found: Qualification) -> str:
    """Return whether rows kept to validate are open, and by what."""
    if not found.frozen:
        return "Rows kept to validate are closed until a posterior is frozen; only forecasts are shown."
    own = "of it" if found.is_frozen_one else "NOT of it"
    return f"Rows kept to validate are open: posterior {found.frozen[:12]} is frozen; forecasts are {own}."
