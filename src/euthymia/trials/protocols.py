"""Protocol files: read with their lines, joined with what they include, changed by ``--set``, and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from euthymia.errors import InvalidInputError, unknown
from euthymia.trials.design import Protocol

FOLDER = "protocols"
SUFFIXES = (".yaml", ".yml")
INCLUDE = "include"
Place = tuple[str | int, ...]


class Source:
    """A file's fields, and the line of each."""

    def __init__(self, name: str, data: dict[str, Any], lines: Mapping[Place, int]) -> None:
        self.name, self.data, self.lines = name, data, dict(lines)

    def line(self, path: Place) -> int | None:
        """Return the line of a field, or of the nearest one around it that stands in the file."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None


def protocol_names() -> tuple[str, ...]:
    """Return the names of the protocols that ship."""
    folder = files("euthymia").joinpath("data", FOLDER)
    names = [one.name for one in folder.iterdir()] if folder.is_dir() else []
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


@cache
def _shipped(name: str) -> str:
    return files("euthymia").joinpath("data", FOLDER, f"{name}.yaml").read_text(encoding="utf-8")


def load_protocol(name: str | Path, *, changes: Sequence[str] = ()) -> Protocol:
    """Return a protocol that ships, by its name, or one in a file.

    Parameters
    ----------
    name : str or Path
        ``fava-2018``, or a path that ends in ``.yaml``.
    changes : sequence of str
        ``arms.high.dose=1.0 mg/kg``: what to change, as on the command line.

    Raises
    ------
    InvalidInputError
        Names the file, the line, the field, and what is allowed there.
    """
    return check_protocol(read_source(name), changes=changes)


def read_source(name: str | Path) -> Source:
    """Return the fields of a protocol file with their lines, its includes read in."""
    text = str(name)
    if not text.endswith(SUFFIXES):
        if text not in protocol_names():
            raise unknown("protocol", text, protocol_names(), cure="Or give a file that ends in .yaml.")
        return parse_source(_shipped(text), f"{text}.yaml", None)
    path = Path(name)
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        message = f"Cannot read the protocol {text!r}: {reason}. 'euthymia trial init' writes a template."
        raise InvalidInputError(message) from None
    return parse_source(content, path.name, path.parent)


def parse_source(text: str, name: str, folder: Path | None, *, seen: tuple[str, ...] = ()) -> Source:
    """Return the fields of a YAML text with their lines.

    Parameters
    ----------
    text : str
    name : str
        Of the file, for messages.
    folder : Path or None
        Where files are included from; None: those that ship.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "not readable"
        message = f"{name}{where}: no valid YAML ({problem}). Check indentation, colons and quotes."
        raise InvalidInputError(message) from None
    if not isinstance(data, dict):
        message = f"{name}: a protocol is a mapping of fields. 'euthymia trial init' writes a template."
        raise InvalidInputError(message)
    lines: dict[Place, int] = {}
    _note_lines(node, (), lines, name)
    included = data.pop(INCLUDE, None)
    if included is None:
        return Source(name, data, lines)
    return _with_included(Source(name, data, lines), included, folder, (*seen, name))


def _with_included(source: Source, included: object, folder: Path | None, seen: tuple[str, ...]) -> Source:
    """Return a source on top of the files that it includes: its own fields win."""
    names = [included] if isinstance(included, str) else included
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        message = f"{source.name}: 'include' must be a file name or a list of them."
        raise InvalidInputError(message)
    data: dict[str, Any] = {}
    for one in names:
        if one in seen:
            message = f"{source.name}: files include each other in a circle ({' > '.join((*seen, one))})."
            raise InvalidInputError(message)
        if folder is None or (one in protocol_names() and not (folder / one).exists()):
            content, where = _shipped_or_raise(one, source.name), None
        else:
            content, where = _read(folder / one, source.name), (folder / one).parent
        data = merged(data, parse_source(content, one, where, seen=seen).data)
    return Source(source.name, merged(data, source.data), source.lines)


def _shipped_or_raise(name: str, by: str) -> str:
    stem = name.removesuffix(".yaml")
    if stem not in protocol_names():
        raise unknown("protocol to include", name, protocol_names(), cure=f"In {by}.")
    return _shipped(stem)


def _read(path: Path, by: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        message = f"{by}: cannot read the included file {str(path)!r}: {error.strerror}."
        raise InvalidInputError(message) from None


def merged(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Return two nested mappings as one; where both hold a field the second wins, lists as a whole.

    A field that is null in the second is left out.

    Examples
    --------
    >>> merged({"a": {"x": 1, "y": 2}}, {"a": {"x": 3}, "b": 4})
    {'a': {'x': 3, 'y': 2}, 'b': 4}
    """
    found = dict(base)
    for key, value in top.items():
        before = found.get(key)
        if value is None and key in found:
            del found[key]
        elif isinstance(before, Mapping) and isinstance(value, Mapping):
            found[key] = merged(before, value)
        else:
            found[key] = value
    return found


def _note_lines(node: Any, path: Place, lines: dict[Place, int], name: str) -> None:
    """Note the line of every field; a field given twice is an error."""
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, key.value)
            if here in lines:
                first, again = lines[here], key.start_mark.line + 1
                message = f"{name}, line {again}: {_dotted(here)} is given twice, first on line {first}."
                raise InvalidInputError(message)
            lines[here] = key.start_mark.line + 1
            _note_lines(value, here, lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            _note_lines(value, (*path, place), lines, name)


def _dotted(path: Iterable[str | int]) -> str:
    return ".".join(str(part) for part in path)


def check_protocol(source: Source, *, changes: Sequence[str] = ()) -> Protocol:
    """Return the protocol that a source describes.

    Raises
    ------
    InvalidInputError
        Every problem on a line of its own: file, line, field, what was given, what is allowed.
    """
    data = source.data
    for change in changes:
        data = _changed(data, change)
    try:
        return Protocol.model_validate(data)
    except ValidationError as error:
        problems = [_problem(one, source) for one in error.errors()]
        raise InvalidInputError("\n".join(dict.fromkeys(problems))) from None


def _problem(error: Any, source: Source) -> str:
    """Return one problem as a line: where, what must hold, what was given."""
    path: Place = tuple(error["loc"])
    line = source.line(path)
    where = f"{source.name}, line {line}" if line is not None else source.name
    given = error.get("input")
    message = str(error["msg"]).removeprefix("Value error, ")
    if not path and ": " in message:  # a problem between fields names one of them itself
        line = source.line(tuple(message.partition(": ")[0].split(".")))
        where = f"{source.name}, line {line}"
    field = f"{_dotted(path)}: " if path else ""
    if error["type"] == "extra_forbidden":
        return f"{where}: {field}no such field. {_nearest_field(path)}"
    if error["type"] == "missing":
        return f"{where}: {field}must be given."
    shown = f" Got {given!r}." if isinstance(given, str | int | float) and repr(given) not in message else ""
    return f"{where}: {field}{message[:1].lower() + message[1:] if not path else message}.{shown}".replace(
        "..", "."
    )


def _nearest_field(path: Place) -> str:
    from euthymia.errors import nearest

    known = _fields_at(path[:-1])
    close = nearest(str(path[-1]), known)
    return f"Did you mean {' or '.join(close)}?" if close else f"Fields here: {', '.join(known)}."


def _fields_at(path: Place) -> list[str]:
    """Return the fields that a place of a protocol may have, by its JSON Schema."""
    schema = Protocol.model_json_schema()
    here: dict[str, Any] = schema
    for part in path:
        here = _resolved(here, schema)
        if "properties" in here and part in here["properties"]:
            here = here["properties"][part]
        elif isinstance(part, int):
            here = here.get("items", {})
        else:
            here = here.get("additionalProperties", {}) or {}
    return list(_resolved(here, schema).get("properties", {}))


def _resolved(here: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for option in here.get("anyOf", []):
        if "$ref" in option:
            here = option
    return schema["$defs"][here["$ref"].rsplit("/", 1)[1]] if "$ref" in here else here


def _changed(data: Mapping[str, Any], change: str) -> dict[str, Any]:
    """Return fields with one changed: ``arms.high.dose=1.0 mg/kg``."""
    path, sign, text = change.partition("=")
    parts = [part.strip() for part in path.strip().split(".")]
    if not sign or not all(parts):
        message = f"'--set' must be PATH=VALUE, such as arms.high.dose='1.0 mg/kg'. Got {change!r}."
        raise InvalidInputError(message)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    return _put(data, parts, value, ())


def _put(data: Any, parts: Sequence[str], value: object, done: tuple[str, ...]) -> Any:
    """Return nested fields with the one at a path replaced; every step but the last must be there."""
    head, *rest = parts
    if isinstance(data, list):
        if not head.isdigit() or int(head) >= len(data):
            places = f"0 to {len(data) - 1}"
            message = (
                f"'--set {_dotted((*done, *parts))}': {_dotted(done)} is a list; give a place, {places}."
            )
            raise InvalidInputError(message)
        place = int(head)
        inner = value if not rest else _put(data[place], rest, value, (*done, head))
        return [*data[:place], inner, *data[place + 1 :]]
    if not isinstance(data, Mapping):
        message = f"'--set {_dotted((*done, *parts))}': {_dotted(done)} has no fields."
        raise InvalidInputError(message)
    if rest and head not in data:
        if head in _fields_at(done):
            return {**data, head: _put({}, rest, value, (*done, head))}
        known = [str(key) for key in data]
        kind = f"field of {_dotted(done) or 'the protocol'}"
        raise unknown(kind, head, known, cure="In '--set'.")
    return {**data, head: value if not rest else _put(data[head], rest, value, (*done, head))}
