"""Studies and their outcomes: complete, equal to what was printed, roles kept, refused when broken."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from euthymia.citations import load_sources
from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.evidence.facts import load_outcome_facts
from euthymia.evidence.records import KINDS, SCALES, Baseline, Estimate, OutcomeRow, Role
from euthymia.evidence.select import fitting_rows, require_fittable, select_outcomes
from euthymia.evidence.studies import (
    MEASURES,
    OUTCOMES,
    STUDIES,
    clock_of,
    find_study,
    load_outcome_rows,
    load_studies,
    read_library,
    read_spread,
    scale_of,
)
from euthymia.tables import Row, read_table, read_text

Raw = dict[str, dict[str, Any]]
Tables = tuple[Raw, list[Row], list[Row]]


def outcome(row_id: str) -> OutcomeRow:
    return next(row for row in load_outcome_rows() if row.row_id == row_id)


# --- complete --------------------------------------------------------------------------------------


def test_every_outcome_has_one_typed_row_in_the_order_of_its_table():
    assert [row.row_id for row in load_outcome_rows()] == [row["row_id"] for row in read_table(OUTCOMES)]
    assert [row.row_id for row in load_outcome_rows()] == [row.row_id for row in load_outcome_facts()]
    assert len(load_outcome_rows()) == 371


def test_ids_tell_which_rows_there_are_of_each_kind():
    letters = Counter(row.row_id[0] for row in load_outcome_rows())
    assert letters == {"T": 203, "P": 78, "C": 75, "S": 15}


def test_studies_that_protocols_are_named_after_keep_their_keys():
    keys = "fava-2018 murrough-2013 murrough-2013-repeated singh-2016 su-2017 berman-2000 zarate-2006 "
    keys += "daly-2018 transform-1 transform-2 transform-3 sustain-1 sustain-2 aspire-1 kads lapidus-2014 "
    keys += "hu-2016 phillips-2019 shiroma-2020 lii-2023 bedroc elekt-d janik-2025 grunebaum-2018 "
    keys += "price-2022 wilkinson-2017 correia-melo-2020 bio-k mcinnes-2022"
    assert set(keys.split()) <= set(load_studies())
    assert len(load_studies()) == 60


def test_every_study_has_rows_of_one_role_and_sources_of_the_bibliography():
    for key, study in load_studies().items():
        own = [row for row in load_outcome_rows() if row.study == key]
        assert {row.role for row in own} == {study.role}, key
        assert set(study.source_keys) <= set(load_sources()), key


def test_only_those_rows_are_kept_to_validate_whose_study_is():
    kept = {study.key for study in load_studies().values() if study.role is Role.VALIDATE}
    groups = (
        "elekt-d jha-2024 phillips-2019 shiroma-2020 lii-2023 kads lapidus-2014 correia-melo-2020 bedroc "
    )
    groups += "transform-3 aspire-1 hu-2016 janik-2025 bio-k mcinnes-2022 wilkinson-2017 price-2024"
    assert kept == set(groups.split())


def test_the_same_patients_are_named_where_two_studies_report_them():
    assert find_study("salloum-2019").same_patients_as == ("fava-2018",)
    assert find_study("jha-2024").same_patients_as == ("elekt-d",)
    assert find_study("price-2024").same_patients_as == ("price-2022",)


# --- equal to what was printed, and held once ------------------------------------------------------


def printed_spread(one: Estimate) -> str:
    """Return the cell that an estimate was read from, written anew."""
    parts = [f"SD {one.sd!r}" if one.sd is not None else "", f"SE {one.se!r}" if one.se is not None else ""]
    if one.ci95_low is not None:
        low, high = one.ci95_low, one.ci95_high
        parts.append(f"95 % CI from {low!r}" if high is None else f"95 % CI {low!r} to {high!r}")
    return ", ".join(filter(None, parts))


def with_floats(text: str) -> str:
    """Return a cell with whole numbers written as Python prints a float; the 95 of a level stays."""
    words = [
        f"{float(word)!r}" if word.lstrip("-").replace(".", "", 1).isdigit() else word
        for word in text.replace(",", " ,").replace("95 %", "@").split()
    ]
    return " ".join(words).replace(" ,", ",").replace("@", "95 %")


def test_every_spread_is_read_as_it_was_printed():
    for row in load_outcome_rows():
        assert printed_spread(row.estimate) == with_floats(row.printed["spread"]), row.row_id
        assert printed_spread(row.contrast) == with_floats(row.printed["contrast_spread"]), row.row_id


def test_every_value_is_a_number_or_kept_as_text():
    for row in load_outcome_rows():
        value = row.estimate.value
        stated = row.value_text if value is None else value
        assert str(stated) == row.printed["value"] or stated == float(row.printed["value"]), row.row_id


def test_typed_rows_hold_what_was_printed_by_hand():
    nasal = outcome("T0031")
    assert (nasal.estimate.value, nasal.estimate.se, nasal.contrast.value) == (-12.4, 2.66, -7.6)
    assert nasal.arm is not None
    assert (nasal.arm.name, nasal.arm.dose, nasal.n, nasal.time_h) == ("esketamine 56 mg", "56 mg", 11, 168)
    assert nasal.baseline == Baseline(scale="MADRS", mean=33.2, sd=6.26)
    both = outcome("T0052").contrast
    assert (both.value, both.se, both.ci95_low, both.ci95_high) == (-4.0, 1.69, -7.31, -0.64)
    assert (outcome("T0111").p, outcome("T0052").remission_rule) == ("0.02 (adjusted 0.14)", "MADRS <=12")
    assert outcome("C0027").estimate.ci95_high is None
    assert outcome("C0039").t0 == "day-3 remitters/responders"
    paired = outcome("T0401")
    assert paired.effect == Estimate(value=0.88, ci95_low=0.45, ci95_high=1.3)
    assert paired.effect_kind == "pre-post, one arm"


def test_a_baseline_with_a_row_of_its_own_is_read_from_it():
    ketamine, saline = find_study("zarate-2006").arms
    assert ketamine.baselines == (Baseline(scale="HAM-D21", mean=24.89, sd=None),)
    assert saline.baselines == (Baseline(scale="HAM-D21", mean=24.44, sd=None),)
    raw = tomllib.loads(read_text(STUDIES))
    assert not any("baseline" in arm for arm in raw["zarate-2006"]["arms"])


def test_no_fact_stands_in_two_tables():
    """Columns of the companion, and what moved out of the notes into it or into the studies."""
    both = set(read_table(MEASURES)[0]) & set(read_table(OUTCOMES)[0])
    assert both == {"row_id", "arm"}  # there the words of the row, here which arm of the study it is
    notes = "; ".join(row.note for row in load_outcome_rows()).split("; ")
    moved = re.compile(r"baseline [\d.]+( \(SD.*)?|effect size.*|definition: remission.*|p [<\d.]+")
    assert [note for note in notes if moved.fullmatch(note)] == []
    raw = tomllib.loads(read_text(STUDIES)).values()
    assert not {"role", "times_h", "doi"} & {name for one in raw for name in one}


def test_a_number_of_patients_from_memory_is_flagged_and_stands_in_no_arm():
    recalled = [row for row in load_outcome_rows() if row.n and not row.is_n_seen]
    assert {row.row_id for row in recalled} >= {"T0013", "T0016", "P0020", "P0002", "T0125", "T0247"}
    assert [row.row_id for row in recalled if row.arm is not None and row.arm.n is not None] == []


def test_percents_and_kinds_are_what_they_say():
    for row in load_outcome_rows():
        assert row.kind in KINDS, row.row_id
        assert row.scale in ("", *SCALES), row.row_id
        if row.kind == "remission" and row.estimate.value is None and row.contrast.value is None:
            assert row.remission_percent is not None, row.row_id


# --- how cells are read ----------------------------------------------------------------------------


def test_regimen_of_an_arm_in_words():
    ketamine = find_study("murrough-2013-repeated").arms[0]
    assert ketamine.regimen == "racemic ketamine 0.5 mg/kg IV over 40 min; days 0, 2, 4, 7, 9, 11"
    assert find_study("elekt-d").arm("ECT").regimen == "ECT; three times weekly for 3 weeks (9 sessions)"
    assert find_study("lapidus-2014").arm("saline").regimen.endswith("5 sprays 5 min apart; day 0")


def test_an_unknown_arm_or_study_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'midazolam'"):
        find_study("fava-2018").arm("midazolm")
    with pytest.raises(UnknownNameError, match="Did you mean 'fava-2018'"):
        find_study("fava-2017")


@pytest.mark.parametrize(
    ("quantity", "scale"),
    [
        ("MADRS suicide item: mean score", "MADRS suicide item"),
        ("MADRS at least 22: % of day-3 responders relapsed", "MADRS"),
        ("mixed: standardised difference", "several scales"),
        ("HAM-D21: response and remission", "HAM-D21"),
        ("still well, %", ""),
    ],
)
def test_the_scale_is_read_off_the_quantity(quantity: str, scale: str):
    assert scale_of(quantity) == scale


def test_what_hours_count_from_is_read_off_the_note():
    assert clock_of("time 0 is last infusion, responders; open label") == "last infusion, responders"
    assert clock_of("open label") == "start of treatment"


def test_an_empty_spread_is_no_spread():
    assert read_spread("", value=3.0) == Estimate(value=3.0)
    assert not Estimate().is_given


# --- queries ---------------------------------------------------------------------------------------


def test_queries_keep_what_a_plain_search_of_the_tables_keeps():
    rows = load_outcome_rows()
    texts = {row["row_id"]: row for row in read_table(OUTCOMES)}
    studies = {row["row_id"]: row["study"] for row in read_table(MEASURES)}
    found = select_outcomes(rows, study="daly-2018", scale="MADRS", role="calibrate")
    plain = [name for name, key in studies.items() if key == "daly-2018"]
    assert [row.row_id for row in found] == [n for n in plain if texts[n]["quantity"].startswith("MADRS: ")]
    relapse = select_outcomes(rows, kind="relapse")
    assert {row.study for row in relapse} >= {"sustain-1", "salloum-2019", "jelovac-2013"}
    assert not any("MADRS: mean" in row.quantity for row in relapse)
    assert {row.study for row in select_outcomes(rows, route="SC")} == {"kads"}
    assert "kads" not in {row.study for row in select_outcomes(rows, drug="esketamine")}
    assert select_outcomes(rows) == rows


@pytest.mark.parametrize("condition", ["study", "role", "scale", "drug", "route", "kind"])
def test_a_condition_on_an_unknown_name_is_refused(condition: str):
    with pytest.raises(UnknownNameError):
        select_outcomes(load_outcome_rows(), **{condition: "nothing"})


def test_every_row_to_validate_is_refused_for_fitting():
    kept = [row for row in load_outcome_rows() if row.role is Role.VALIDATE]
    assert len(kept) == 100
    assert not {row.row_id for row in fitting_rows(load_outcome_rows())} & {row.row_id for row in kept}
    for row in kept:
        with pytest.raises(
            InvalidInputError, match=f"'role' must be one of .*Got validate in row {row.row_id}"
        ):
            require_fittable(row)


# --- broken tables ---------------------------------------------------------------------------------


def tables() -> Tables:
    raw = tomllib.loads(read_text(STUDIES))
    return raw, deepcopy(list(read_table(OUTCOMES))), deepcopy(list(read_table(MEASURES)))


def read(broken: Tables) -> None:
    raw, rows, measures = broken
    read_library(raw, rows, measures, sources=load_sources())


def set_row(row_id: str, /, **cells: str) -> Callable[[Tables], None]:
    def change(broken: Tables) -> None:
        for row in (*broken[1], *broken[2]):
            if row["row_id"] == row_id:
                row.update({name: cell for name, cell in cells.items() if name in row})

    return change


def set_study(key: str, **fields: object) -> Callable[[Tables], None]:
    return lambda broken: broken[0][key].update(fields)


def set_arm(key: str, **fields: object) -> Callable[[Tables], None]:
    return lambda broken: broken[0][key]["arms"][0].update(fields)


def drop_last(broken: Tables) -> None:
    broken[2].pop()


BREAKS: dict[str, tuple[Callable[[Tables], None], str]] = {
    "row twice": (set_row("T0031", row_id="T0030"), "given and unique"),
    "row without companion": (drop_last, "the same rows, in order"),
    "no role": (set_row("T0031", role=""), "'role' must be one of"),
    "two roles": (set_row("T0031", role="validate"), "one role for all rows of a study"),
    "unknown source": (set_row("T0031", source_key="Nobody1999"), "Unknown source 'Nobody1999'"),
    "source of another study": (
        set_row("T0031", source_key="Fava2018"),
        "among the sources of study daly-2018",
    ),
    "recalled": (set_row("T0031", confidence="recalled-not-verified"), "a recalled outcome is not shipped"),
    "share over 100": (set_row("T0031", response_percent="118"), "0 to 100 %"),
    "relapse over 100": (set_row("C0039", value="138"), "0 to 100 %"),
    "interval without its number": (set_row("T0052", contrast="-9"), "an interval around -9"),
    "spread in words": (set_row("T0031", spread="about 3"), "'SD x', 'SE x'"),
    "SE of 0": (set_row("T0031", spread="SE 0"), "an SE above 0"),
    "half a patient": (set_row("T0031", n="11.5"), "a whole number above 0"),
    "nobody": (set_row("T0031", n="0"), "a whole number above 0"),
    "time in words": (set_row("T0031", time_h="day 8"), "'time_h' must be a number"),
    "time before the start": (set_row("T0031", time_h="-3"), "0 or more"),
    "unknown kind": (set_row("T0031", kind="chnage"), "Did you mean 'change'"),
    "unknown study": (set_row("T0031", study="daly-2017"), "Did you mean 'daly-2018'"),
    "unknown arm": (set_row("T0031", arm="esketamine 58 mg"), "Unknown arm of daly-2018"),
    "unknown unit of a contrast": (set_row("T0031", contrast_kind="points"), "Unknown contrast_kind"),
    "effect without kind": (set_row("T0031", effect="1.2"), "a number, with its effect_kind"),
    "key with a capital": (lambda broken: broken[0].update(Daly=broken[0]["daly-2018"]), "small letters"),
    "study without rows": (lambda broken: broken[0].update(daly=broken[0]["daly-2018"]), "Got no row"),
    "unknown field": (set_study("daly-2018", titel="x"), "Unknown field 'titel'"),
    "no title": (set_study("daly-2018", title=""), "'title' must be given"),
    "same as itself": (set_study("daly-2018", same_patients_as=["daly-2018"]), "same_patients_as of study"),
    "arm twice": (set_arm("daly-2018", name="esketamine 84 mg"), "arm 'esketamine 84 mg' 2 time"),
    "unknown route": (set_arm("daly-2018", route="nasal"), "Unknown route 'nasal'"),
    "arm without patients": (set_arm("daly-2018", n=0), "a whole number above 0"),
    "baseline on no scale": (set_arm("daly-2018", baseline=[["MADR", 33.0, 5.0]]), "Unknown scale 'MADR'"),
    "baseline without spread": (set_arm("daly-2018", baseline=[["MADRS", 33.0, 0.0]]), "an SD above 0"),
}


def test_the_shipped_tables_are_read():
    read(tables())


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_table_is_refused_with_what_is_wrong(name: str):
    change, message = BREAKS[name]
    broken = tables()
    change(broken)
    with pytest.raises(InvalidInputError, match="cannot be used") as refused:
        read(broken)
    assert message in str(refused.value)
