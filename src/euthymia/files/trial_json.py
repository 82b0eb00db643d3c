"""Protocols and replicates of trials as JSON that reads back as the same bits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from math import inf, isinf, isnan, nan
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from euthymia.trials.design import Protocol
    from euthymia.trials.records import ArmSummary, Estimate, Replicate

_INFINITE = {"inf": inf, "-inf": -inf}
_CURVES = ("mean", "sd", "mean_change", "sd_change")
_TEXTS = ("endpoint", "arm", "reference", "measure", "method")
_NUMBERS = ("value", "se", "low", "high", "p")


def protocol_json(protocol: Protocol) -> dict[str, Any]:
    """Return every field of a protocol, those left out at what they stand for; times in hours.

    Arms, visits and endpoints keep their order, which decides who is in which arm.
    """
    return protocol.model_dump(mode="json", by_alias=True)


def protocol_digest(protocol: Protocol) -> str:
    """Return the digest of a protocol: the same for files that say the same in other words."""
    return digest(protocol_json(protocol))


def digest(content: object) -> str:
    """Return the SHA-256 of some JSON content, written without spaces in the order given."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def replicate_json(replicate: Replicate) -> dict[str, Any]:
    """Return a replicate as JSON content; NaN is null, an infinite number ``"inf"`` or ``"-inf"``."""
    return {
        "replicate": int(replicate.replicate),
        "screened": int(replicate.screened),
        "enrolled": _counts(replicate.enrolled),
        "completed": _counts(replicate.completed),
        "arms": [_summary_json(one) for one in replicate.arms],
        "estimates": [_estimate_json(one) for one in replicate.estimates],
        "events": {arm: _counts(counts) for arm, counts in replicate.events.items()},
    }


def replicate_from_json(content: Mapping[str, Any]) -> Replicate:
    """Return the replicate that `replicate_json` wrote, floats to the last bit.

    Raises
    ------
    KeyError, TypeError, ValueError
        The content is not what was written.
    """
    from euthymia.trials.records import Replicate

    return Replicate(
        replicate=_int(content["replicate"]),
        screened=_int(content["screened"]),
        enrolled=_counts(content["enrolled"]),
        completed=_counts(content["completed"]),
        arms=tuple(_summary(one) for one in content["arms"]),
        estimates=tuple(_estimate(one) for one in content["estimates"]),
        events={arm: _counts(counts) for arm, counts in content["events"].items()},
    )


def _summary_json(one: ArmSummary) -> dict[str, Any]:
    curves = {name: [number_out(value) for value in getattr(one, name)] for name in _CURVES}
    return {"arm": one.arm, "scale": one.scale, "n": [int(count) for count in one.n], **curves}


def _summary(content: Mapping[str, Any]) -> ArmSummary:
    from euthymia.trials.records import ArmSummary

    curves: dict[str, Any] = {name: _array(content[name]) for name in _CURVES}
    counts = np.array([_int(count) for count in content["n"]], dtype=np.int64)
    return ArmSummary(arm=content["arm"], scale=content["scale"], n=counts, **curves)


def _estimate_json(one: Estimate) -> dict[str, Any]:
    numbers = {name: number_out(getattr(one, name)) for name in _NUMBERS}
    return {**{name: getattr(one, name) for name in _TEXTS}, **numbers, "n": int(one.n)}


def _estimate(content: Mapping[str, Any]) -> Estimate:
    from euthymia.trials.records import Estimate

    texts: dict[str, Any] = {name: content[name] for name in _TEXTS}
    numbers: dict[str, Any] = {name: number_in(content[name]) for name in _NUMBERS}
    return Estimate(**texts, **numbers, n=_int(content["n"]))


def _array(values: Sequence[Any]) -> NDArray[np.float64]:
    return np.array([number_in(value) for value in values], dtype=np.float64)


def _counts(counts: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(count) for name, count in counts.items()}


def _int(value: Any) -> int:
    if not isinstance(value, int):
        message = f"not a whole number: {value!r}"
        raise TypeError(message)
    return value


def number_out(value: float) -> float | str | None:
    """Return a number as JSON can hold it: NaN as null, an infinite one as text."""
    number = float(value)
    if isnan(number):
        return None
    return ("inf" if number > 0 else "-inf") if isinf(number) else number


def number_in(value: float | str | None) -> float:
    """Return the number that `number_out` wrote."""
    if value is None:
        return nan
    return _INFINITE[value] if isinstance(value, str) else float(value)
