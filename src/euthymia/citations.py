"""One bibliography: which papers stand behind a number or a result."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from euthymia.errors import invalid, unknown
from euthymia.tables import Row, read_table

_TABLE = "sources.csv"
_KEY = re.compile(r"[A-Z][A-Za-z0-9]+")
_VOLUME = re.compile(r"(?P<volume>\d+)(?:\((?P<number>\d+)\))?:(?P<pages>\S+)")
_PERSON = re.compile(r"(?P<family>.+) (?P<initials>[A-Z]+)")
_TEX_SPECIAL = re.compile(r"([&%$#_{}])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A source of numbers, as far as this project has seen it.

    Attributes
    ----------
    key : str
        First author and year: ``"Simons2022"``.
    year : int or None
        None where the source file gives none.
    volume_pages : str
        As ``"60(4):501-516"``, or a chapter, section or article number.
    note : str
        What was opened and what was recalled; where there is no identifier, why.
    """

    key: str
    authors: str
    year: int | None
    title: str
    journal: str
    volume_pages: str
    doi: str
    pmid: str
    url: str
    note: str

    @classmethod
    def create(cls, row: Row) -> Source:
        """Build a source from a row of the bibliography.

        Raises
        ------
        InvalidInputError
            If the key is not of the form AuthorYear, an identifier is malformed, or there is neither a
            DOI, a PMID, an address nor a note that says why none.
        """
        key = row["key"]
        if not _KEY.fullmatch(key):
            raise invalid(field="key", must="letters and digits, as in Simons2022", got=repr(key))
        if row["year"] and not re.fullmatch(r"(19|20)\d\d", row["year"]):
            raise invalid(field="year", must="a year of four digits", got=f"{row['year']!r} in source {key}")
        if row["doi"] and not re.fullmatch(r"10\.\d{4,9}/\S+", row["doi"]):
            raise invalid(field="doi", must="of the form 10.1234/abc", got=f"{row['doi']!r} in source {key}")
        if row["pmid"] and not row["pmid"].isdigit():
            raise invalid(field="pmid", must="a number", got=f"{row['pmid']!r} in source {key}")
        if not (row["doi"] or row["pmid"] or row["url"] or row["note"]):
            must = "given where a source has no doi, pmid or url, and say why"
            raise invalid(field="note", must=must, got=f"nothing in source {key}")
        texts = ("authors", "title", "journal", "volume_pages", "doi", "pmid", "url", "note")
        year = int(row["year"]) if row["year"] else None
        return cls(key=key, year=year, **{name: row[name] for name in texts})


def read_sources(rows: Iterable[Row]) -> dict[str, Source]:
    """Return the sources of a bibliography by key, in table order.

    Raises
    ------
    InvalidInputError
        If a row cannot be used or a key occurs twice.
    """
    sources: dict[str, Source] = {}
    for row in rows:
        source = Source.create(row)
        if source.key in sources:
            raise invalid(field="key", must="unique in the bibliography", got=f"{source.key!r} twice")
        sources[source.key] = source
    return sources


@cache
def load_sources() -> Mapping[str, Source]:
    """Return the shipped bibliography by key."""
    return MappingProxyType(read_sources(read_table(_TABLE)))


def cite(keys: str | Iterable[str]) -> list[Source]:
    """Return the sources behind some keys, each once, in the order first named.

    Raises
    ------
    UnknownNameError
        If a key is not in the bibliography.

    Examples
    --------
    >>> [source.year for source in cite(["Simons2022", "Hasan2021", "Simons2022"])]
    [2022, 2021]
    """
    sources = load_sources()
    wanted = dict.fromkeys([keys] if isinstance(keys, str) else keys)
    for key in wanted:
        if key not in sources:
            raise unknown(kind="source", name=key, known=sources)
    return [sources[key] for key in wanted]


def format_source(source: Source) -> str:
    """Return a source as a reference of one line.

    Examples
    --------
    >>> format_source(cite("Hasan2021")[0])
    'Hasan M et al. (2021). Anesthesiology 135:326-339. https://doi.org/10.1097/ALN.0000000000003829'
    """
    year = f"({source.year})" if source.year else ""
    who = " ".join(part for part in (source.authors, year) if part)
    where = " ".join(part for part in (source.journal, source.volume_pages) if part)
    sentences = [f"{part.rstrip('.')}." for part in (who, source.title, where) if part]
    return " ".join([*sentences, _identifier(source)])


def _identifier(source: Source) -> str:
    """Return the best way to find a source, or why there is none."""
    if source.doi:
        return f"https://doi.org/{source.doi}"
    if source.pmid:
        return f"PMID {source.pmid}"
    return source.url or f"[{source.note}]"


def to_bibtex(source: Source) -> str:
    """Return a source as a BibTeX entry."""
    place = _VOLUME.fullmatch(source.volume_pages)
    is_article = bool(source.journal and (place or source.doi))
    fields = {
        "author": _bibtex_authors(source.authors),
        "title": source.title,
        "journal" if is_article else "howpublished": source.journal,
        "year": str(source.year or ""),
        "volume": place["volume"] if place else "",
        "number": (place["number"] or "") if place else "",
        "pages": place["pages"].replace("-", "--") if place else "",
        "doi": source.doi,
        "pmid": source.pmid,
        "url": source.url,
        "note": "; ".join(part for part in ("" if place else source.volume_pages, source.note) if part),
    }
    lines = [f"  {name} = {{{_escape(name, text)}}}," for name, text in fields.items() if text]
    return "\n".join([f"@{'article' if is_article else 'misc'}{{{source.key},", *lines, "}"])


def _bibtex_authors(authors: str) -> str:
    """Return ``"Simons P et al."`` as ``"Simons, P and others"``."""
    listed = authors.removesuffix(" et al.")
    people = [_PERSON.fullmatch(name) or name for name in listed.split(", ")]
    names = [name if isinstance(name, str) else f"{name['family']}, {name['initials']}" for name in people]
    return " and ".join([*names, "others"] if listed != authors else names)


def _escape(field: str, text: str) -> str:
    """Return a text safe for TeX; identifiers stay as they are."""
    return text if field in {"doi", "url"} else _TEX_SPECIAL.sub(r"\\\1", text)
