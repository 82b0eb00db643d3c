"""Published numbers of a trial of one's own, from a file: what is added to a fit.

One YAML file: the protocol, what the rows may be used for, where they come from, and the rows, in the columns
of ``evidence/efficacy/replication.csv`` with the printed number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from euthymia.calibration.targets import Target
from euthymia.errors import InvalidInputError, unknown
from euthymia.evidence.records import FITTABLE_ROLES
from euthymia.trials.protocols import load_protocol
from euthymia.trials.replication_runs import QUANTITIES, protocol_problems, read_replication

SCHEMA = "euthymia.added-trial/1"
FIELDS = ("schema", "protocol", "role", "source", "rows")
COLUMNS = (
    "quantity arm reference scale time since among fraction at_most at_least count rule imputation analysis"
).split()
"""Columns of a row besides ``name`` and ``observed``."""
EXAMPLE = "Such as {name: A1, quantity: contrast_change, arm: a, reference: b, time: day 1, observed: -6.5}."


def read_added(path: str | Path) -> tuple[Target, ...]:
    """Return what a file adds to a fit.

    Raises
    ------
    InvalidInputError
        Names the file, the row and the field; a file whose role may not be fitted is refused.
    """
    place = Path(path)
    content = _content(place)
    role = _role(place, content)
    protocol = _protocol(place, content)
    rows = content.get("rows")
    if not isinstance(rows, list) or not rows:
        raise _refused(place, f"rows: must list one or more published numbers. {EXAMPLE}")
    return tuple(_target(place, number, row, protocol, role) for number, row in enumerate(rows, start=1))


def _content(place: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(place.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(place, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError as error:
        raise _refused(place, f"is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise _refused(place, f"schema: must be {SCHEMA!r}")
    for name in content:
        if name not in FIELDS:
            raise _refused(place, str(unknown("field", str(name), FIELDS)))
    return content


def _role(place: Path, content: Mapping[str, Any]) -> str:
    role = content.get("role")
    allowed = sorted(one.value for one in FITTABLE_ROLES)
    if role not in allowed:
        cure = "Rows kept to validate are predicted, never fitted." if role == "validate" else "Say what for."
        got = "none" if role is None else repr(role)
        raise _refused(place, f"role: must be one of {', '.join(allowed)}. Got {got}. {cure}")
    if not content.get("source"):
        raise _refused(place, "source: must say where the numbers stand: paper, table, page")
    return str(role)


def _protocol(place: Path, content: Mapping[str, Any]) -> str:
    """Return the name of a protocol that ships, or the path of one beside the file."""
    name = str(content.get("protocol") or "")
    if not name:
        raise _refused(place, "protocol: must name a protocol that ships, or a .yaml file beside this one")
    found = str(place.parent / name) if name.endswith((".yaml", ".yml")) else name
    load_protocol(found)
    return found


def _target(place: Path, number: int, row: Any, protocol: str, role: str) -> Target:
    where = f"rows.{number}"
    if not isinstance(row, dict):
        raise _refused(place, f"{where}: must be fields. {EXAMPLE}")
    for name in row:
        if name not in ("name", "observed", *COLUMNS):
            raise _refused(place, f"{where}: {unknown('field', str(name), ('name', 'observed', *COLUMNS))}")
    observed = row.get("observed")
    if not isinstance(observed, int | float) or isinstance(observed, bool):
        raise _refused(place, f"{where}.observed: must be the printed number. Got {observed!r}")
    label = str(row.get("name") or f"{place.stem}-{number}")
    cells = {name: _cell(row.get(name)) for name in COLUMNS}
    cells |= {"scale": cells["scale"] or "MADRS", "row_id": label, "part": "", "protocol": protocol}
    cells |= {"comparable": "yes", "reason": "", "observed": "value", "is_primary_contrast": "no", "note": ""}
    try:
        (run,) = read_replication([cells])
    except InvalidInputError as error:
        raise _refused(place, f"{where}: {str(error).splitlines()[-1].strip()}") from None
    problems = list(protocol_problems(run, [load_protocol(protocol)]))
    if problems:
        raise _refused(place, f"{where}: {problems[0]}")
    size = _checked(place, where, run.quantity, float(observed))
    found = Target(name=label, trials=(protocol,), run=run, role=role, observed=size)
    return replace(found, observed=found.transformed(size))


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _checked(place: Path, where: str, quantity: str, observed: float) -> float:
    """Return the number as it is compared: shares from 0 to 1."""
    if quantity in ("median_days", "hazard_ratio"):
        raise _refused(place, f"{where}.quantity: give relapse_share at a visit in place of {quantity}")
    if not QUANTITIES[quantity].is_share:
        return observed
    limits = (-100.0, 100.0) if quantity == "contrast_share" else (0.0, 100.0)
    if not limits[0] <= observed <= limits[1]:
        raise _refused(
            place, f"{where}.observed: must be {limits[0]:g}-{limits[1]:g} percent. Got {observed:g}"
        )
    return observed / 100.0


def _refused(place: Path, problem: str) -> InvalidInputError:
    return InvalidInputError(f"{place}: {problem}.".replace("..", "."))
