"""Self-contained HTML reports: sections of text, figures and tables, sources at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from euthymia.citations import cite, format_source


@dataclass(frozen=True, kw_only=True, slots=True)
class TableBlock:
    """A table of a report; ``right`` are columns of numbers, ``marked`` rows that stand out."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    right: Sequence[int] = ()
    marked: Sequence[int] = ()
    note: str = ""
    is_folded: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A part of a report: text, cards (value, label), one figure as an HTML fragment, tables.

    ``points`` are a list that stands out; ``folded`` are texts as written (title, text), closed at first.
    """

    title: str
    texts: Sequence[str] = ()
    regimen: str = ""
    cards: Sequence[tuple[str, str]] = ()
    figure: str = ""
    caption: str = ""
    tables: Sequence[TableBlock] = ()
    points: Sequence[str] = ()
    folded: Sequence[tuple[str, str]] = ()


def render_report(
    *,
    kind: str,
    title: str,
    lead: Sequence[str],
    sections: Sequence[Section],
    sources: Sequence[str],
    footer: Sequence[str],
    library: str,
    warnings: Sequence[str] = (),
) -> str:
    """Return a report as one HTML file that needs nothing else.

    Parameters
    ----------
    kind, title : str
    lead : sequence of str
        Plain sentences under the title.
    sections : sequence of Section
    sources : sequence of str
        Keys of the bibliography.
    footer : sequence of str
        Seed, version, how to make it again.
    library : str
        The plotting library to embed.
    warnings : sequence of str
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("euthymia", "files/templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    listed = [
        {"key": one.key, "text": format_source(one).replace(f"https://doi.org/{one.doi}", ""), "doi": one.doi}
        for one in cite(sources)
    ]
    return environment.get_template("report.html.j2").render(
        kind=kind,
        title=title,
        lead=lead,
        sections=sections,
        sources=listed,
        footer=footer,
        library=library,
        warnings=warnings,
    )
