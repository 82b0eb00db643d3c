"""``euthymia simulate`` with what surrounds the drug: settings, tablets, entry, harms, ideation, parts."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.commands import INFUSION, Command, check_schema, check_stands_alone

from euthymia.cli.chain import notice
from euthymia.population.harms import WHAT_IT_RESTS_ON
from euthymia.population.parts import NATURAL, STATUS
from euthymia.population.settings import settings
from euthymia.population.surroundings import PARTS

SHOWN = "ketamine 0.5 mg/kg intravenous over 40 min"
MIDAZOLAM = "midazolam 0.045 mg/kg iv over 40 min"
EVERYTHING = f"{INFUSION}; CBT 50 min at 24 h; escitalopram 10 mg daily x 3"
CURVE = ("--json", "--variables", "madrs_points", "--times", "0,24", "--days", 2)


def check_refused(done: Any, message: str) -> None:
    """Refuse anything but exit code 2, nothing on standard output, and a message that holds a text."""
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "Traceback" not in done.err


def words_of(path: Path) -> str:
    """Return the text of a report, tags and scripts left out, spaces made one."""
    body = re.sub(r"<(script|style)\b.*?</\1>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


def change_of(document: dict[str, Any]) -> float:
    """Return the change of the median MADRS by the last time."""
    points = document["variables"]["madrs_points"]["p50"]
    return points[-1] - points[0]


# --- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", [*settings(), "saline+admission", "none+admission"])
def test_every_setting_runs_and_is_echoed(command: Command, setting: str):
    done = command("simulate", INFUSION, *CURVE, "--setting", setting)
    assert done.code == 0
    assert f"setting {setting}" in done.json["provenance"]["covariates"]
    check_schema(done.json, "simulation-1")


def test_setting_may_be_written_with_capitals_and_spaces(command: Command):
    documents = [
        command("simulate", INFUSION, *CURVE, "--setting", text).json
        for text in ("nasal_placebo", "Nasal Placebo", "nasal-placebo")
    ]
    assert {change_of(one) for one in documents} == {change_of(documents[0])}
    assert all("setting nasal_placebo" in one["provenance"]["covariates"] for one in documents)


@pytest.mark.slow
def test_more_hope_is_more_change_on_the_same_drug(command: Command):
    changes = [
        change_of(command("simulate", INFUSION, *CURVE, "--setting", setting).json)
        for setting in ("open+admission", "open", "nasal_placebo", "none")
    ]
    assert (np.diff(changes) > 0.5).all()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("admission", "Admission: the relief by care around the clock is assumed."),
        ("anaesthesia", "Under anaesthesia, where nobody could tell what was given, a trial saw no benefit"),
    ],
)
def test_setting_that_rests_on_little_says_so(command: Command, setting: str, said: str):
    done = command("simulate", INFUSION, *CURVE, "--setting", setting, "--quiet")
    assert f"warning: {said}" in done.err
    assert any(said in one for one in done.json["warnings"])


# --- what is taken already -------------------------------------------------------------------------


def test_antidepressants_taken_already_share_the_transporter_until_they_end(command: Command):
    asked = ("--json", "--variables", "sert_occupancy_fraction", "--times", "0,20,30", "--days", 2)
    taken = ("--already-on", "escitalopram 10 mg", "--already-on", "sertraline 50 mg until day 1")
    document = command("simulate", INFUSION, *asked, *taken).json
    both, still, one = document["variables"]["sert_occupancy_fraction"]["p50"]
    assert both == still > one > 0.5
    assert document["provenance"]["covariates"][1:] == [
        "already on escitalopram 10 mg",
        "already on sertraline 50 mg until day 1",
    ]


@pytest.mark.parametrize("text", ["escitalopram 10 mg", "Escitalopram  10mg", " escitalopram 10.0 mg "])
def test_what_is_taken_already_may_be_written_loosely(command: Command, text: str):
    document = command("simulate", INFUSION, *CURVE, "--already-on", text).json
    assert document["provenance"]["covariates"][1:] == ["already on escitalopram 10 mg"]


def test_who_is_adapted_to_a_tablet_stays_where_they_are(command: Command):
    quiet = ("--setting", "none", "--already-on", "escitalopram 10 mg")
    assert change_of(command("simulate", "saline iv over 40 min", *CURVE, *quiet).json) == pytest.approx(
        0.0, abs=1e-6
    )


FORM = (
    "'already on' must be drug and dose a day in mg, 'escitalopram 10 mg' or 'sertraline 50 mg until day 14'."
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("escitalopram", FORM),
        ("10 mg", FORM),
        ("", FORM),
        ("escitalopram 10 mg/kg", FORM),
        ("escitalopram -10 mg", FORM),
        ("escitalopram 10 mg until day", FORM),
        ("escitalopram 10 mg until day soon", FORM),
        ("escitalopram 0 mg", "'amount' of escitalopram must be above 0. Got 0."),
        ("escitalopran 10 mg", "Unknown treatment 'escitalopran'. Did you mean 'escitalopram'"),
        ("ketamine 10 mg", "Unknown antidepressant 'ketamine'."),
    ],
)
def test_what_cannot_be_taken_already_is_refused(command: Command, text: str, message: str):
    check_refused(command("simulate", INFUSION, "--already-on", text), message)


# --- entry and life --------------------------------------------------------------------------------


def test_entry_takes_the_first_patients_who_are_rated_high_enough(command: Command):
    asked = (*CURVE, "--patients", 12, "--individuals")
    all_comers, enrolled = (
        command("simulate", INFUSION, *asked, *entry).json for entry in ((), ("--entry-madrs", 32))
    )
    people = [
        {number: values[0] for number, values in one["individuals"]["madrs_points"].items()}
        for one in (all_comers, enrolled)
    ]
    assert list(people[0]) == [str(number) for number in range(1, 13)]
    assert len(people[1]) == 12
    assert max(map(int, people[1])) > 12
    assert all(people[0][number] == people[1][number] for number in people[1].keys() & people[0].keys())
    assert np.mean(list(people[1].values())) > np.mean(list(people[0].values())) + 2.0


def test_who_is_enrolled_by_a_high_rating_falls_without_treatment(command: Command):
    asked = ("--patients", 60, "--days", 15, "--setting", "none", "--entry-madrs", 36)
    out = command("simulate", "saline iv over 40 min", *asked).out
    shown = re.search(r"40 min +day 7 +([+-][\d.]+)", out)
    assert shown
    assert float(shown[1]) < -1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--entry-madrs", 28), "'entry' must be used with a number of alike virtual patients."),
        (("--entry-madrs", 61, "--patients", 2), "met by 0. Lower the total."),
        (("--entry-madrs", "high", "--patients", 2), "Invalid value for '--entry-madrs'"),
    ],
)
def test_entry_that_nobody_can_meet_is_refused(command: Command, options: tuple[object, ...], message: str):
    check_refused(command("simulate", INFUSION, *options), message)


@pytest.mark.slow
def test_life_events_reach_some_patients_and_are_echoed(command: Command):
    asked = ("--json", "--individuals", "--variables", "stress_relative", "--times", "0,1400", "--days", 60)
    calm, eventful = (
        command("simulate", "saline iv over 40 min", *asked, "--patients", 12, *events).json
        for events in ((), ("--life-events",))
    )
    assert "events of life" in eventful["provenance"]["covariates"]
    assert "events of life" not in calm["provenance"]["covariates"]
    last = [
        np.array([values[-1] for values in one["individuals"]["stress_relative"].values()])
        for one in (calm, eventful)
    ]
    more = last[1] - last[0]
    assert 0 < (more > 0.01).sum() < 12


# --- long-term harms -------------------------------------------------------------------------------


@pytest.mark.slow
def test_harms_stand_under_the_tables_with_what_they_rest_on(command: Command):
    out = command("simulate", f"{INFUSION}, weekly x 3", "--harms").out
    words = re.sub(r"\s+", " ", out)
    assert "long-term harm, assumed" in words
    assert all(harm in words for harm in ("urinary symptoms", "cognitive change", "liver injury", "misuse"))
    assert all(sentence in words for sentence in WHAT_IT_RESTS_ON)
    assert "long-term harm" not in command("simulate", INFUSION, "--days", 2).out


@pytest.mark.slow
def test_harms_stand_beside_every_course_that_gives_ketamine(command: Command):
    compared = ("--compare", MIDAZOLAM, "--compare", "esketamine 84 mg in")
    out = command("simulate", INFUSION, *compared, "--harms", "--days", 2).out
    assert out.count("long-term harm, assumed") == 2


def test_harms_beside_json_are_said_to_stand_elsewhere(command: Command):
    done = command("simulate", INFUSION, *CURVE, "--harms")
    assert (done.code, "'--harms' stands in the table and in '--report' only" in done.err) == (0, True)
    assert command("simulate", INFUSION, *CURVE, "--harms", "--quiet").err == ""


# --- ideation and its notices ----------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["ssi", "c-ssrs ideation"])
def test_scale_of_ideation_brings_every_notice(command: Command, scale: str):
    out = command("simulate", INFUSION, "--scales", f"madrs,{scale}", "--days", 2, "--quiet").out
    assert f"{scale.upper().replace('IDEATION', 'ideation')}, change" in out
    assert [sentence for sentence in notice("ideation") if sentence not in out] == []


def test_scales_of_mood_alone_bring_no_notice(command: Command):
    out = command("simulate", INFUSION, "--scales", "madrs,phq9", "--days", 2).out
    assert [sentence for sentence in notice("ideation") if sentence in out] == []


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_notices_stand_beside_ideation_for_machines_too(command: Command, form: str):
    asked = (form, "--times", "0,24", "--days", 2, "--quiet")
    done = command("simulate", INFUSION, *asked, "--scales", "ssi")
    assert done.code == 0
    assert done.err.splitlines() == [f"warning: {sentence}" for sentence in notice("ideation")]
    assert command("simulate", INFUSION, *asked, "--scales", "madrs").err == ""


# --- comparators -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_tablet_for_eight_weeks_beside_an_infusion(command: Command):
    tablet = "escitalopram 10 mg daily for 8 weeks"
    done = command("simulate", tablet, "--compare", INFUSION, "--setting", "saline")
    assert (done.code, done.err) == (0, "")
    assert "setting saline" in done.out
    made = {
        (name, day): cells.split()
        for name, day, cells in re.findall(
            r"^ (escitalopram|ketamine)\b.*? (day \d+) +(.*?)\s*$", done.out, flags=re.MULTILINE
        )
    }
    drug, expectancy, tablets = range(3)
    assert made["escitalopram", "day 1"][drug] == "–"
    assert made["ketamine", "day 1"][tablets] == "–"
    assert float(made["escitalopram", "day 28"][tablets]) < float(made["escitalopram", "day 7"][tablets]) < 0
    assert float(made["ketamine", "day 1"][drug]) < float(made["ketamine", "day 28"][drug]) < 0
    assert float(made["ketamine", "day 1"][expectancy]) < 0


@pytest.mark.parametrize(
    ("regimen", "message"),
    [
        (
            "escitalopram 0.2 mg/kg daily x 3",
            "'escitalopram' must be given in mg a day, whatever the weight. Got 0.2 mg/kg.",
        ),
        (f"{INFUSION}; sertraline 1 mg/kg daily x 3", "'sertraline' must be given in mg a day"),
        ("midazolam 2 mg im", "intravenous, the only one with kinetics here. Got intramuscular midazolam."),
    ],
)
def test_comparator_in_a_form_without_a_law_is_refused(command: Command, regimen: str, message: str):
    check_refused(command("simulate", regimen), message)


# --- what the change is made of --------------------------------------------------------------------


def columns_of(out: str) -> list[str]:
    """Return the parts that head the table of what a change is made of."""
    head = next(line for line in out.splitlines() if "mean change of MADRS made of" in line)
    return re.split(r" {2,}", head.split("made of")[1].strip())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regimen", "setting", "found"),
    [
        (INFUSION, "open", ["drug", "expectancy", NATURAL]),
        (INFUSION, "none", ["drug", NATURAL]),
        ("saline iv over 40 min", "saline", ["expectancy", NATURAL]),
        ("CBT 50 min at 24 h", "none", ["therapy", NATURAL]),
        (EVERYTHING, "open", [*reversed(PARTS), NATURAL]),
    ],
)
def test_columns_are_the_parts_that_there_are(command: Command, regimen: str, setting: str, found: list[str]):
    out = command("simulate", regimen, "--setting", setting, "--days", 3).out
    assert columns_of(out) == found
    rests_on = "; ".join(f"{name}: {STATUS[name]}" for name in found)
    assert f"What each rests on: {rests_on}." in re.sub(r"\s+", " ", out)


@pytest.mark.slow
def test_therapy_stands_with_what_it_may_be_at_least_and_at_most(command: Command):
    out = command("simulate", EVERYTHING, "--days", 3).out
    shown = re.search(r"daily x 3 +day 3 .* (\S+) \((\S+) to (\S+)\)", out)
    assert shown
    middle, most, least = map(float, shown.groups())
    assert most < middle < least <= 0.0


@pytest.mark.slow
def test_part_that_one_of_two_regimens_lacks_is_a_dash(command: Command):
    out = command("simulate", "CBT 50 min at 24 h", "--compare", INFUSION, "--days", 2).out
    assert columns_of(out) == ["drug", "expectancy", "therapy", NATURAL]
    assert re.search(r"CBT 50 min, at 1 d +day 2 +– +0\.0 +-\S+ \(\S+ to \S+\) +0\.0", out)
    assert re.search(rf"{SHOWN} +day 2 +-\S+ +-\S+ +– +0\.0", out)


# --- the report ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_report_takes_the_change_apart_and_holds_ideation_with_every_notice(command: Command, tmp_path: Path):
    path = tmp_path / "report.html"
    asked = ("--patients", 8, "--days", 5, "--scales", "madrs,ssi", "--harms", "--quiet")
    assert command("simulate", EVERYTHING, *asked, "--report", path).code == 0
    check_stands_alone(path.read_text(encoding="utf-8"))
    words = words_of(path)
    for part in (
        "What the change is made of",
        "The same people run again with one part after the other left out",
        "In brackets: with therapy at the ends of what a session may teach.",
        *(f"{name} {STATUS[name]}" for name in (*PARTS, NATURAL)),
        "Suicidal ideation",
        *notice("ideation"),
        "of those with 4 or more at the start",
        *WHAT_IT_RESTS_ON,
        "Quality 1 (0–2), assumed.",
    ):
        assert part in words, part


@pytest.mark.slow
def test_report_of_somebody_without_ideation_has_no_such_section(command: Command, tmp_path: Path):
    path = tmp_path / "report.html"
    asked = ("--set", "ideation.episode_ideation_fraction=0.01", "--days", 2, "--quiet")
    assert command("simulate", INFUSION, *asked, "--report", path).code == 0
    words = words_of(path)
    assert "What the change is made of" in words
    assert notice("ideation")[0] not in words


# --- where the chain does not run ------------------------------------------------------------------


@pytest.mark.parametrize(
    "option",
    [
        ("--setting", "saline"),
        ("--already-on", "escitalopram 10 mg"),
        ("--entry-madrs", 28),
        ("--life-events",),
        ("--harms",),
        ("--outcome", "relapse"),
    ],
    ids=lambda option: option[0],
)
def test_surroundings_are_refused_where_the_run_ends_at_concentrations(
    command: Command, option: tuple[object, ...]
):
    done = command("simulate", INFUSION, "--concentrations", *option)
    check_refused(
        done, f"'{option[0]}' cannot be given without the whole chain; this run ends at concentrations."
    )
