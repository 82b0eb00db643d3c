"""Settings: what patients believe to be given, what they make of what they feel, and what surrounds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from euthymia.errors import invalid, unknown
from euthymia.tables import Row, read_table

DEFAULT_SETTING = "open"


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What patients believe and what surrounds them; see the header of ``settings.csv``."""

    name: str
    prior_belief_fraction: float
    clue_weight_fraction: float
    dissociation_on_control_fraction: float
    drowsiness_on_control_fraction: float
    anaesthesia_h: float
    care_days: float

    @property
    def is_hopeful(self) -> bool:
        """Whether anybody expects anything of a visit."""
        return self.prior_belief_fraction > 0.0

    def values(self) -> dict[str, float]:
        """Return the parameters that the setting sets, by ``layer.field``."""
        return {f"expectancy.{field}": float(getattr(self, field)) for field in BELIEFS}


BELIEFS = (
    "prior_belief_fraction",
    "clue_weight_fraction",
    "dissociation_on_control_fraction",
    "drowsiness_on_control_fraction",
)
"""Columns of a setting that are parameters of the layer of expectancy."""
ADDED = "admission"
"""The setting that may be added to any other."""


@cache
def settings() -> Mapping[str, Row]:
    """Return every setting by its name."""
    return {row["name"]: row for row in read_table("settings.csv")}


def find_setting(text: str) -> Setting:
    """Return a setting by its name, or one with admission: ``nasal_placebo+admission``.

    Raises
    ------
    UnknownNameError
    """
    names = [name.strip().lower().replace(" ", "_").replace("-", "_") for name in text.split("+")]
    for name in names:
        if name not in settings():
            raise unknown("setting", name, settings(), cure="'+admission' may follow any of them.")
    base, *added = names
    if added not in ([], [ADDED]) or base == ADDED in added:
        raise invalid("setting", must=f"one setting, or one with '+{ADDED}'", got=repr(text))
    row = settings()[base]
    return Setting(
        name="+".join(names),
        anaesthesia_h=float(row["anaesthesia_h"]),
        care_days=max(float(settings()[name]["care_days"]) for name in names),
        **{field: float(row[field]) for field in BELIEFS},
    )
