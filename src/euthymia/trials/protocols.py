"""Protocol files: read with their lines, joined with what they include, changed by ``--set``, and checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from euthymia.errors import InvalidInputError, unknown
from euthymia.trials.design import Protocol

FOLDER = "protocols"
SUFFIXES = (".yaml", ".yml")
INCLUDE = "include"
DEEPEST = 50
"""Most parts within parts; a part that holds itself has no end."""
Place = tuple[str, ...]
"""Names of fields and places in lists, from the outermost on."""
Lines = Mapping[Place, str]
"""Where each field stands, as messages say it: ``my-trial.yaml, line 7``."""


class Source:
    """A file's fields, and where each stands: in it, or in one that it includes."""

    def __init__(self, name: str, data: dict[str, Any], lines: Lines) -> None:
        self.name, self.data, self.lines = name, data, dict(lines)

    def where(self, path: Place) -> str:
        """Return where a field stands, or the nearest one around it."""
        around = (path[:length] for length in range(len(path), -1, -1))
        return next((self.lines[one] for one in around if one in self.lines), self.name)

    def changed(self, changes: Sequence[str]) -> Source:
        """Return the fields after changes such as ``arms.high.dose=1.0 mg/kg``."""
        data, lines = self.data, dict(self.lines)
        for change in changes:
            data, path = _changed(data, change)
            lines = _without(lines, [path]) | {path: f"'--set {change}'"}
        return Source(self.name, data, lines)


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
    lines: dict[Place, str] = {}
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
    base = Source(source.name, {}, {})
    for one in names:
        if one in seen:
            message = f"{source.name}: files include each other in a circle ({' > '.join((*seen, one))})."
            raise InvalidInputError(message)
        is_shipped = one.removesuffix(".yaml") in protocol_names()
        if folder is None or (is_shipped and not (folder / one).exists()):
            content, where = _shipped_or_raise(one, source.name), None
        else:
            content, where = _read(folder / one, source.name), (folder / one).parent
        base = _on_top(parse_source(content, one, where, seen=seen), base)
    return _on_top(source, base)


def _on_top(top: Source, base: Source) -> Source:
    """Return the fields of both; where both hold one, the first wins."""
    lines = _without(base.lines, _replaced(base.data, top.data))
    return Source(top.name, merged(base.data, top.data), {**lines, **top.lines})


def _replaced(base: Mapping[str, Any], top: Mapping[str, Any], path: Place = ()) -> Iterator[Place]:
    """Yield the fields of the first whose whole content the second replaces."""
    for key, value in top.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            yield from _replaced(base[key], value, (*path, str(key)))
        else:
            yield (*path, str(key))


def _without(lines: Lines, gone: Iterable[Place]) -> dict[Place, str]:
    """Return where fields stand, without some and what lies in them."""
    places = list(gone)
    return {path: at for path, at in lines.items() if not any(path[: len(one)] == one for one in places)}


def _shipped_or_raise(name: str, by: str) -> str:
    stem = name.removesuffix(".yaml")
    if stem not in protocol_names():
        raise unknown("protocol to include", name, protocol_names(), cure=f"In {by}.")
    return _shipped(stem)


def _read(path: Path, by: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        message = f"{by}: cannot read the included file {str(path)!r}: {reason}."
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


def _note_lines(node: Any, path: Place, lines: dict[Place, str], name: str) -> None:
    """Note the line of every field; a field given twice is an error."""
    lines.setdefault(path, f"{name}, line {node.start_mark.line + 1}")
    if len(path) > DEEPEST:
        message = f"{lines[path]}: no valid protocol (a part that holds itself). Check '&' and '*'."
        raise InvalidInputError(message)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            if here in lines:
                first, again = lines[here].rpartition(" ")[2], key.start_mark.line + 1
                message = f"{name}, line {again}: {_dotted(here)} is given twice, first on line {first}."
                raise InvalidInputError(message)
            lines[here] = f"{name}, line {key.start_mark.line + 1}"
            _note_lines(value, here, lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            _note_lines(value, (*path, str(place)), lines, name)


def _dotted(path: Iterable[str]) -> str:
    return ".".join(path)


def check_protocol(source: Source, *, changes: Sequence[str] = ()) -> Protocol:
    """Return the protocol that a source describes.

    Raises
    ------
    InvalidInputError
        Every problem on a line of its own: file, line, field, what was given, what is allowed.
    """
    source = source.changed(changes)
    try:
        return Protocol.model_validate(source.data)
    except ValidationError as error:
        problems = [problem for one in error.errors() for problem in _said(one, source)]
        raise InvalidInputError("\n".join(dict.fromkeys(problems))) from None


def _said(error: Any, source: Source) -> Iterator[str]:
    """Yield the problems of one part: where, what must hold, what was given."""
    path: Place = tuple(str(part) for part in error["loc"])
    given = error.get("input")
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        yield _line(source, path, f"no such field. {_nearest_field(path)}")
    elif path[-1:] == ("[key]",):
        yield _line(source, path[:-1], "must be a name; write it in quotes")
    elif error["type"] == "missing":
        yield _line(source, path, "must be given")
    elif isinstance(given, Mapping | BaseModel):
        for problem in message.splitlines():
            yield _line(source, *_within(source, path, problem))
    else:
        plain = PLAIN.sub("must", message).replace(" after validation", "")
        message = NEEDED.get(error["type"], plain)
        quoted = repr(given) if isinstance(given, str) else f"not {given!r}"
        is_said = quoted in message or not isinstance(given, str | int | float)
        yield _line(source, path, message if is_said else f"{message.rstrip('.')}. Got {given!r}")


NEEDED = dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number")
NEEDED |= dict.fromkeys(("float_type", "float_parsing"), "must be a number")
NEEDED |= dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false")
NEEDED |= dict.fromkeys(("dict_type", "model_type"), "must be fields, each with its value")
NEEDED |= {
    "string_type": "must be text: an amount with its unit, digits alone in quotes",
    "tuple_type": "must be a list such as [a, b]",
    "string_pattern_mismatch": "must be of lower-case letters, digits and hyphens, such as my-trial",
}
"""What is said in place of pydantic's own words."""
PLAIN = re.compile(r"^(Input|String|Tuple|Dictionary) should")
"""How pydantic begins."""


def _within(source: Source, path: Place, problem: str) -> tuple[Place, str]:
    """Return the field that a problem between fields begins with, and what is said of it."""
    first, sign, rest = problem.partition(": ")
    if not sign or not re.fullmatch(r"[\w+-]+(\.[\w+-]+)*", first):
        return path, problem
    return (*path, *first.split(".")), rest


def _line(source: Source, path: Place, problem: str) -> str:
    field = f"{_dotted(path)}: " if path else ""
    end = "" if problem.endswith((".", "?")) else "."
    return f"{source.where(path)}: {field}{problem}{end}"


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
        elif "items" in here:
            here = here.get("items", {})
        else:
            extra = here.get("additionalProperties")
            here = extra if isinstance(extra, dict) else {}
    return list(_resolved(here, schema).get("properties", {}))


def _resolved(here: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for option in here.get("anyOf", []):
        if "$ref" in option:
            here = option
    return schema["$defs"][here["$ref"].rsplit("/", 1)[1]] if "$ref" in here else here


def _changed(data: Mapping[str, Any], change: str) -> tuple[dict[str, Any], Place]:
    """Return fields with one changed, and its place: ``arms.high.dose=1.0 mg/kg``."""
    path, sign, text = change.partition("=")
    parts = [part.strip() for part in path.strip().split(".")]
    if not sign or not all(parts):
        message = f"'--set' must be PATH=VALUE, such as arms.high.dose='1.0 mg/kg'. Got {change!r}."
        raise InvalidInputError(message)
    return _put(data, parts, _value(text), ()), tuple(parts)


def _value(text: str) -> object:
    """Return a value as in a file; text with a colon stays text, unless it is written in brackets."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    is_plain = isinstance(value, str | int | float | None) or text.lstrip().startswith(("[", "{"))
    return value if is_plain else text


def _put(data: Any, parts: Sequence[str], value: object, done: tuple[str, ...]) -> Any:
    """Return nested fields with the one at a path replaced; every step but the last must be possible."""
    head, *rest = parts
    asked, here = f"'--set {_dotted((*done, *parts))}'", _dotted(done)
    if isinstance(data, list):
        if not head.isdigit() or int(head) >= len(data):
            message = f"{asked}: {here} is a list; give a place, 0 to {len(data) - 1}."
            raise InvalidInputError(message)
        place = int(head)
        inner = value if not rest else _put(data[place], rest, value, (*done, head))
        return [*data[:place], inner, *data[place + 1 :]]
    if data is not None and not isinstance(data, Mapping):
        message = f"{asked}: {here} has no fields."
        raise InvalidInputError(message)
    before = {} if data is None else data
    if rest and head not in before and not _may_have(done, head):
        kind = f"field of {here or 'the protocol'}"
        raise unknown(kind, head, before or _fields_at(done), cure="In '--set'.")
    return {**before, head: value if not rest else _put(before.get(head), rest, value, (*done, head))}


def _may_have(place: Place, name: str) -> bool:
    """Tell whether a field may be added: one of the schema, or a new name where names are free."""
    return name in _fields_at(place) or place in FREE


FREE: tuple[Place, ...] = (
    ("population", "baseline"),
    *(("conduct", rule) for rule in ("flexible", "rescue", "switch")),
)
"""Mappings whose entries are optional each; a new arm or endpoint is more than one field."""
