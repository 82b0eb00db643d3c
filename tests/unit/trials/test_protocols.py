"""Protocol files: read with their lines, joined with what they include, changed by ``--set``."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.trials.protocol_text import TEXT, edited, line_of, read

from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.tables import read_text
from euthymia.trials.fields import hours
from euthymia.trials.protocols import (
    check_protocol,
    load_protocol,
    merged,
    parse_source,
    protocol_names,
    read_source,
)


def refused(text: str, *changes: str, folder: Path | None = None) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read(text, *changes, folder=folder)
    return str(caught.value)


# --- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", protocol_names())
def test_every_protocol_that_ships_can_be_run_as_it_stands(name: str):
    assert load_protocol(name).id == name


def test_the_template_is_a_protocol_that_can_be_run():
    template = check_protocol(parse_source(read_text("protocol_template.yaml"), "t.yaml", None))
    assert template.size == 80


def test_a_file_is_read_by_its_path(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT, encoding="utf-8")
    assert load_protocol(path) == load_protocol(str(path)) == read()


def test_a_name_that_does_not_ship_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"Unknown protocol 'fava-2017'. Did you mean 'fava-2018'"):
        load_protocol("fava-2017")


def test_a_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path):
    with pytest.raises(InvalidInputError, match=r"Cannot read the protocol '.*none.yaml': No such file"):
        load_protocol(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("title: é".encode("latin-1"))
    with pytest.raises(InvalidInputError, match=r"latin.yaml': it is no text in UTF-8"):
        load_protocol(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a.yaml: a protocol is a mapping of fields."),
        ("- a\n- b", "a.yaml: a protocol is a mapping of fields."),
        ("id: [a\ntitle: b", "a.yaml, line 2: no valid YAML"),
        ("id: a\n title: b", "a.yaml, line 2: no valid YAML"),
        ("id: a\ntitle: b\nid: c", "a.yaml, line 3: id is given twice, first on line 1."),
        ("arms:\n  a: {n: 1, n: 2}", "a.yaml, line 2: arms.a.n is given twice, first on line 2."),
        ("id: &here [*here]", "a.yaml, line 1: no valid protocol (a part that holds itself)."),
        ("? [a, b]\n: c", "a.yaml, line 1: no valid YAML"),
        ("id: a\n---\nid: b", "a.yaml, line 2: no valid YAML"),
    ],
)
def test_what_is_no_yaml_of_a_protocol_is_refused_with_its_line(text: str, expected: str):
    assert refused(text).startswith(expected)


def test_names_that_yaml_takes_for_numbers_are_refused_where_they_stand():
    text = edited(("  high:\n", "  50:\n"), ("    high: {levels", "    low: {levels"))
    assert f"a.yaml, line {line_of(text, '  50:')}: arms.50: must be a name; write it in quotes." in refused(
        text
    )


# --- include ---------------------------------------------------------------------------------------


def included(tmp_path: Path, top: str, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    path = tmp_path / "top.yaml"
    path.write_text(top, encoding="utf-8")
    return path


def test_a_file_changes_what_it_includes_field_by_field_and_lists_as_a_whole(tmp_path: Path):
    top = "include: base.yaml\narms: {high: {n: 60}}\nrandomisation: {blocks: [4, 8]}\nlooks: null\n"
    found = load_protocol(included(tmp_path, top, base=TEXT))
    base = read()
    assert found.arms["high"].n == 60
    assert found.arms["high"].text == base.arms["high"].text
    assert found.randomisation.blocks == (4, 8)
    assert found.looks.fractions == (1.0,)
    assert found.visits == base.visits


def test_the_last_of_several_files_wins_but_for_the_file_itself(tmp_path: Path):
    top = "include: [base.yaml, one.yaml, two.yaml]\nid: own\n"
    files = {"base": TEXT, "one": "id: one\ntitle: first\nalpha: 0.1\n", "two": "id: two\ntitle: second\n"}
    found = load_protocol(included(tmp_path, top, **files))
    assert (found.id, found.title, found.alpha) == ("own", "second", 0.1)


def test_a_protocol_that_ships_can_be_included_by_its_name(tmp_path: Path):
    for name in ("fava-2018", "fava-2018.yaml"):
        found = load_protocol(included(tmp_path, f"include: {name}\nid: own\n"))
        assert found.arms == load_protocol("fava-2018").arms


def test_a_problem_is_said_with_the_file_that_it_stands_in(tmp_path: Path):
    base = edited(("at: day 10, analysis", "at: day 9, analysis"), ("n: 40", "n: 0"))
    top = "include: base.yaml\n\nendpoints: {remission: {at: day 3}}\nvisits:\n  - {at: day 0}\n  - {}\n"
    with pytest.raises(InvalidInputError) as caught:
        load_protocol(included(tmp_path, top, base=base))
    said = str(caught.value)
    assert f"base.yaml, line {line_of(base, 'n: 0')}: arms.high.n: must be" in said
    assert "top.yaml, line 6: visits.1.at: must be given." in said
    top = "include: base.yaml\n\nendpoints: {remission: {at: day 3}}\n"
    with pytest.raises(InvalidInputError) as caught:
        load_protocol(included(tmp_path, top, base=base.replace("n: 0", "n: 40")))
    said = str(caught.value)
    assert (
        f"base.yaml, line {line_of(base, 'change: {')}: endpoints.change: no visit rates MADRS at day 9"
        in said
    )
    assert "top.yaml, line 3: endpoints.remission: no visit rates MADRS at day 3" in said


@pytest.mark.parametrize(
    ("top", "files", "expected"),
    [
        ("include: none.yaml\n", {}, r"top.yaml: cannot read the included file '.*none.yaml': No such file"),
        ("include: top.yaml\n", {}, r"include each other in a circle \(top.yaml > top.yaml\)"),
        (
            "include: one.yaml\n",
            {"one": "include: two.yaml\n", "two": "include: one.yaml\n"},
            r"two.yaml: files include each other in a circle \(top.yaml > one.yaml > two.yaml > one.yaml\)",
        ),
        ("include: {a: b}\n", {}, "top.yaml: 'include' must be a file name or a list of them"),
        ("include: [3]\n", {}, "top.yaml: 'include' must be a file name or a list of them"),
    ],
)
def test_an_include_that_leads_nowhere_is_refused(
    tmp_path: Path, top: str, files: dict[str, str], expected: str
):
    with pytest.raises(InvalidInputError, match=expected):
        load_protocol(included(tmp_path, top, **files))


def test_text_without_a_folder_includes_only_what_ships():
    assert "Unknown protocol to include 'none.yaml'." in refused("include: none.yaml\n")
    assert check_protocol(parse_source("include: fava-2018\nid: own\n", "a.yaml", None)).id == "own"


def test_two_mappings_are_joined_and_neither_is_changed():
    base, top = {"a": {"x": 1, "y": [1, 2]}, "b": 2}, {"a": {"y": [3]}, "b": None, "c": None}
    assert merged(base, top) == {"a": {"x": 1, "y": [3]}, "c": None}
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": 2}


# --- --set -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "path", "expected"),
    [
        ("arms.high.dose=1.0 mg/kg", "arms.high.dose", "1.0 mg/kg"),
        ("arms.high.n = 44", "arms.high.n", 44),
        ("visits.2.window=12 h", "visits.2.window", 12.0),
        ("visits.1.scales=[MADRS, QIDS-SR16]", "visits.1.scales", ("MADRS", "QIDS-SR16")),
        ("visits.1.scales.0=madrs", "visits.1.scales.0", "MADRS"),
        ("conduct.missed_session=0.05", "conduct.missed_session", 0.05),
        ("conduct.hold.diastolic_mmHg=100", "conduct.hold.diastolic_mmHg", 100.0),
        ("conduct.flexible.high.start=day 14", "conduct.flexible.high.start", hours("day 14")),
        ("population.baseline.weight_kg.mean=85", "population.baseline.weight_kg.mean", 85.0),
        ("title=One: the first", "title", "One: the first"),
        ("title=", "title", None),
        ("looks.spending=pocock", "looks.spending", "pocock"),
    ],
)
def test_a_field_is_changed_from_outside(change: str, path: str, expected: object):
    if expected is None:
        assert "title: must be" in refused(TEXT, change)
        return
    found: object = read(TEXT, change)
    for part in path.split("."):
        if isinstance(found, tuple):
            found = found[int(part)]
        else:
            found = found[part] if isinstance(found, dict) else getattr(found, part)
    assert found == expected


def test_a_part_that_is_left_empty_in_the_file_may_be_filled():
    text = TEXT[: TEXT.index("conduct:")] + "conduct:\nalpha: 0.05\n"
    assert read(text, "conduct.dropout.share=0.2").conduct.dropout.share == 0.2


def test_changes_are_made_in_order_and_the_source_stays():
    source = read_source("fava-2018")
    arm = next(iter(source.data["arms"]))
    changed = check_protocol(source, changes=[f"arms.{arm}.n=30", f"arms.{arm}.n=31"])
    assert changed.arms[arm].n == 31
    assert check_protocol(source) == load_protocol("fava-2018")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("arms.high.n", "'--set' must be PATH=VALUE, such as arms.high.dose='1.0 mg/kg'. Got 'arms.high.n'."),
        ("arms..n=3", "'--set' must be PATH=VALUE"),
        ("=3", "'--set' must be PATH=VALUE"),
        ("arms.hihg.n=3", "Unknown field of arms 'hihg'. Did you mean 'high'? In '--set'."),
        ("armss.high.n=3", "Unknown field of the protocol 'armss'. Did you mean 'arms'"),
        ("endpoints.new.kind=change", "Unknown field of endpoints 'new'."),
        ("visits.9.at=day 3", "'--set visits.9.at': visits is a list; give a place, 0 to 3."),
        ("visits.first.at=day 3", "'--set visits.first.at': visits is a list; give a place, 0 to 3."),
        ("visits.-1.at=day 3", "'--set visits.-1.at': visits is a list; give a place, 0 to 3."),
        ("alpha.x=3", "'--set alpha.x': alpha has no fields."),
        ("conduct.holdd.systolic_mmHg=3", "Unknown field of conduct 'holdd'. Did you mean 'hold'?"),
        ("arms.high.n=0", "'--set arms.high.n=0': arms.high.n: must be greater than or equal to 1. Got 0."),
        (
            "arms.high.colour=red",
            "'--set arms.high.colour=red': arms.high.colour: no such field. Fields here:",
        ),
        (
            "visits.2={at: day 10, scale: x}",
            "'--set visits.2={at: day 10, scale: x}': visits.2.scale: no such field.",
        ),
        (
            "looks.fractions=[0.5",
            "'--set looks.fractions=[0.5': looks.fractions: must be a list such as [a, b].",
        ),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(change: str, expected: str):
    assert expected in refused(TEXT, change)


def test_a_problem_that_a_change_makes_between_fields_names_the_field():
    assert refused(TEXT, "arms.high.n=60").startswith(
        "a.yaml, line 28: randomisation.blocks: must be multiples"
    )
