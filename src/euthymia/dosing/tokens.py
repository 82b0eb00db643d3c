"""Words, numbers and signs of the regimen notation, and errors that point at them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from euthymia.errors import InvalidInputError, nearest, unknown

TokenKind = Literal["number", "word", "sign", "end"]

_TIMES = "\u00d7"
_MINUS = "-\u2212\u2013\u2014"  # hyphen, minus sign, en dash, em dash
_TOKEN = re.compile(
    rf"(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    rf"|(?P<word>[A-Za-zµμ]+(?:-[A-Za-z]+)*)"
    rf"|(?P<sign>[;,/(){_TIMES}{re.escape(_MINUS)}])"
)
_KINDS: dict[str, TokenKind] = {"number": "number", "word": "word", "sign": "sign"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """One word, number or sign, and where it stands in the text."""

    kind: TokenKind
    text: str
    start: int
    end: int


def tokenize(text: str) -> tuple[Token, ...]:
    """Return the tokens of a text, with an empty one of kind ``end`` after the last.

    Raises
    ------
    InvalidInputError
        A character has no meaning in the notation, or a number is too large.
    """
    return tuple(_scan(text))


def _scan(text: str) -> Iterator[Token]:
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        match = _TOKEN.match(text, place)
        if match is None:
            message = f"A regimen cannot contain {text[place]!r}."
            raise InvalidInputError(pointed(message, text, place, place + 1))
        kind, found = _KINDS[match.lastgroup or "sign"], match[0]
        if kind == "number" and not math.isfinite(float(found)):
            raise InvalidInputError(pointed("The number is too large.", text, place, match.end()))
        if kind == "sign":
            found = "-" if found in _MINUS else "x" if found == _TIMES else found
        yield Token(kind="word" if found == "x" else kind, text=found, start=place, end=match.end())
        place = match.end()
    end = len(text.rstrip())
    yield Token(kind="end", text="", start=end, end=end)


def pointed(message: str, text: str, start: int, end: int) -> str:
    """Return a message with the line of the text below it, and carets under the part from start to end."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", start)
    line = text[first:] if last < 0 else text[first:last]
    width = max(1, min(end, first + len(line)) - start)
    return f"{message}\n  {line.expandtabs(1)}\n  {' ' * (start - first)}{'^' * width}"


class Reader:
    """Goes through the tokens of a text from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.place = 0

    @property
    def token(self) -> Token:
        """The token that comes next."""
        return self.tokens[self.place]

    @property
    def word(self) -> str:
        """The next token in small letters; a number and the end are the empty word."""
        return self.token.text.lower() if self.token.kind in ("word", "sign") else ""

    def ahead(self, count: int) -> Token:
        """Return the token that many places after the next one."""
        return self.tokens[min(self.place + count, len(self.tokens) - 1)]

    def advance(self) -> Token:
        """Take the next token."""
        token = self.token
        self.place = min(self.place + 1, len(self.tokens) - 1)
        return token

    def accept(self, *words: str) -> bool:
        """Take the words if exactly these come next."""
        if any(self.ahead(index).text.lower() != word for index, word in enumerate(words)):
            return False
        for _ in words:
            self.advance()
        return True

    def expect(self, word: str, expected: str) -> None:
        """Take a word, or raise that something else was expected."""
        if not self.accept(word):
            raise self.unexpected(expected, [word])

    def number(self, expected: str, *, is_signed: bool = False) -> Decimal:
        """Take a number, with a minus only where that is allowed, or raise that it was expected."""
        sign = -1 if is_signed and self.word == "-" and self.ahead(1).kind == "number" else 1
        if sign < 0:
            self.advance()
        if self.token.kind != "number":
            raise self.unexpected(expected)
        text = self.advance().text
        return sign * (Decimal(text) if float(text) else Decimal(0))

    def unit(self, units: Mapping[str, str], expected: str) -> str:
        """Take one of the words of a table and return what it stands for, or raise."""
        if self.word not in units:
            if self.token.kind == "word":
                raise self.unknown(kind="unit", known=units)
            raise self.unexpected(expected)
        return units[self.advance().text.lower()]

    def span_from(self, place: int) -> tuple[int, int]:
        """Return start and end, in characters, of the tokens from a place to the one last taken."""
        return self.tokens[place].start, self.tokens[max(self.place - 1, place)].end

    def error(self, message: str, span: tuple[int, int] | None = None) -> InvalidInputError:
        """Build an error that points at a span, or at the next token."""
        start, end = span or (self.token.start, self.token.end)
        return InvalidInputError(pointed(message, self.text, start, end))

    def unexpected(self, expected: str, candidates: Iterable[str] = ()) -> InvalidInputError:
        """Build the error that something else was expected at the next token."""
        got = repr(self.token.text) if self.token.text else "the end of the text"
        close = nearest(self.token.text, candidates, count=1) if self.token.kind == "word" else []
        hint = f" Did you mean '{close[0]}'?" if close and close[0] != self.token.text else ""
        return self.error(f"Expected {expected}. Got {got}.{hint}")

    def unknown(
        self, kind: str, known: Iterable[str], span: tuple[int, int] | None = None, *, cure: str = ""
    ) -> InvalidInputError:
        """Build the error that a name is not known, with the nearest ones."""
        start, end = span or (self.token.start, self.token.end)
        message = str(unknown(kind, self.text[start:end], known, cure=cure))
        return type(unknown(kind, "", known))(pointed(message, self.text, start, end))

    @contextmanager
    def pointing(self, spans: Mapping[str, tuple[int, int]], otherwise: tuple[int, int]) -> Iterator[None]:
        """Make errors about a named field point at what was written for it.

        Parameters
        ----------
        spans : mapping of field to (start, end)
        otherwise : (start, end)
            Where errors about other fields point.
        """
        try:
            yield
        except InvalidInputError as error:
            field = re.match(r"'(\w+)'", str(error))
            start, end = spans.get(field[1], otherwise) if field else otherwise
            raise type(error)(pointed(str(error), self.text, start, end)) from None
