"""The bibliography and its two written forms."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError

import pytest

from euthymia.citations import Source, cite, format_source, load_sources, read_sources, to_bibtex
from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.tables import read_table

EMPTY = dict.fromkeys(
    ("authors", "year", "title", "journal", "volume_pages", "doi", "pmid", "url", "note"), ""
)


def row(**cells: str) -> dict[str, str]:
    return {"key": "Smith2020", **EMPTY, **cells}


def test_bibliography_loads_with_one_source_a_row():
    assert len(load_sources()) == len(read_table("sources.csv"))


def test_bibliography_holds_the_recommended_sources_and_those_of_this_project():
    assert {"Simons2022", "PerezRuixo2021", "Fanta2015", "Otto2021", "Hasan2021", "Kamp2020"} <= set(
        load_sources()
    )
    assert load_sources()["EuthymiaAssumed"].note == "assumption of this project"
    assert "tools/reestimate_absorption.py" in load_sources()["EuthymiaReestimate"].note


def test_sources_agree_with_the_papers_by_hand():
    simons = load_sources()["Simons2022"]
    assert (simons.year, simons.journal, simons.volume_pages) == (2022, "Front Pain Res", "3:946486")
    assert load_sources()["Hijazi2003"].pmid == "12538370"
    assert load_sources()["Kamp2020Review"].doi == "10.1097/ALN.0000000000003577"


def test_every_source_can_be_found_or_says_why_not():
    for source in load_sources().values():
        assert source.doi or source.pmid or source.url or source.note


def test_a_source_without_identifier_says_so_in_its_note():
    for source in load_sources().values():
        if not (source.doi or source.pmid or source.url) and not source.key.startswith("Euthymia"):
            assert source.note.startswith("no identifier:")


def test_no_two_sources_share_an_identifier():
    for field in ("doi", "pmid"):
        given = [getattr(source, field) for source in load_sources().values() if getattr(source, field)]
        assert len(given) == len(set(given)), field


def test_addresses_are_web_pages_with_a_host_name():
    for source in load_sources().values():
        if source.url:
            assert re.match(r"https?://(?!\d+\.\d+\.\d+\.\d+)[\w.-]+/", source.url), source.key


def test_cite_keeps_order_and_names_each_source_once():
    assert [source.key for source in cite(["Wang2019", "Glue2020", "Wang2019"])] == ["Wang2019", "Glue2020"]


def test_cite_takes_a_single_key():
    assert [source.key for source in cite("Rolan2014")] == ["Rolan2014"]


def test_cite_offers_the_nearest_key_for_a_misspelt_one():
    with pytest.raises(UnknownNameError, match=r"Unknown source 'Simmons2022'. Did you mean 'Simons2022'"):
        cite(["Simmons2022"])


def test_a_reference_is_one_line_and_ends_where_the_source_is_found():
    assert (
        format_source(load_sources()["PerezRuixo2021"])
        == "Perez-Ruixo C et al. (2021). Clin Pharmacokinet 60(4):501-516. "
        "https://doi.org/10.1007/s40262-020-00953-4"
    )
    assert format_source(load_sources()["Geisslinger1993"]).endswith("PMID 8329260")
    assert format_source(load_sources()["Krystal1994"]).endswith("as tabulated by Zanos2018]")


def test_every_source_has_a_reference_of_one_line():
    for source in load_sources().values():
        text = format_source(source)
        assert text
        assert "\n" not in text
        assert ".." not in text.replace("...", "")


def test_bibtex_writes_people_volume_and_pages():
    text = to_bibtex(load_sources()["Fanta2015"])
    assert text.startswith("@article{Fanta2015,\n")
    for line in (
        "  author = {Fanta, S and others},",
        "  journal = {Eur J Clin Pharmacol},",
        "  year = {2015},",
        "  volume = {71},",
        "  pages = {441--447},",
        "  doi = {10.1007/s00228-015-1826-y},",
    ):
        assert line in text.split("\n")


def test_bibtex_of_two_authors_names_both():
    assert "author = {Clements, JA and Nimmo, WS}," in to_bibtex(load_sources()["Clements1981"])


def test_bibtex_escapes_what_tex_would_read():
    text = to_bibtex(Source.create(row(title="50% of a_b & c", doi="10.1000/a_b")))
    assert r"50\% of a\_b \& c" in text
    assert "10.1000/a_b" in text


def test_every_source_has_a_balanced_bibtex_entry():
    for source in load_sources().values():
        text = to_bibtex(source)
        assert text.count("{") == text.count("}")
        assert re.match(rf"@(article|misc)\{{{source.key},", text)


def test_a_source_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        load_sources()["Glue2020"].year = 1999  # type: ignore[misc]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({}, "'note' must be given where a source has no doi, pmid or url.*Smith2020"),
        ({"key": "smith 2020", "note": "x"}, "'key' must be .*'smith 2020'"),
        ({"doi": "doi.org/10.1"}, r"'doi' must be of the form 10\.1234/abc.*Smith2020"),
        ({"pmid": "PMC12"}, "'pmid' must be a number.*Smith2020"),
        ({"year": "20", "note": "x"}, "'year' must be a year of four digits.*Smith2020"),
    ],
)
def test_an_unusable_source_is_refused(cells: dict[str, str], message: str):
    with pytest.raises(InvalidInputError, match=message):
        read_sources([row(**cells)])


def test_a_key_that_occurs_twice_is_refused():
    with pytest.raises(
        InvalidInputError, match=r"'key' must be unique in the bibliography\. Got 'Smith2020' twice"
    ):
        read_sources([row(note="a"), row(note="b")])
