"""A protocol written out again as the file that makes it: what is left at its default is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import yaml
from pydantic import BaseModel, BeforeValidator

from euthymia.trials.design import Protocol, hours, time_text


def protocol_yaml(protocol: Protocol) -> str:
    """Return a protocol as canonical YAML, includes and changes worked in; it reads back the same.

    Examples
    --------
    >>> from euthymia.trials.protocols import load_protocol
    >>> protocol_yaml(load_protocol("fava-2018")).splitlines()[0]
    'schema: euthymia.protocol/1'
    """
    content = {"schema": protocol.schema_} | _plain(protocol)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _plain(part: BaseModel) -> dict[str, Any]:
    """Return the fields of a part that differ from their defaults."""
    found: dict[str, Any] = {}
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if not field.is_required() and value == field.get_default(call_default_factory=True):
            continue
        is_time = _is_time(
            [field.metadata, *(getattr(x, "__metadata__", ()) for x in get_args(field.annotation))]
        )
        found[field.alias or name] = _time(value) if is_time and value is not None else _written(value)
    return found


def _written(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _plain(value)
    if isinstance(value, Mapping):
        return {key: _written(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_written(one) for one in value]
    return value


def _is_time(marks: list[Any]) -> bool:
    return any(isinstance(mark, BeforeValidator) and mark.func is hours for part in marks for mark in part)


def _time(time_h: float) -> str:
    """Return a time as people write it, in hours with every digit where that would round it."""
    text = time_text(time_h)
    return text if hours(text) == time_h else f"{time_h!r} h"
