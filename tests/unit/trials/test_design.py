"""What a protocol may say: times, every rule with its message and line, and the JSON Schema."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from tests.unit.trials.cohorts import CROSSOVER
from tests.unit.trials.protocol_text import TEXT, edited, line_of, problems, read

from euthymia.mechanism.acute.discomfort import Outputs
from euthymia.tables import read_text
from euthymia.trials.design import Protocol, json_schema, stratum
from euthymia.trials.fields import EVENTS, SYMPTOMS, TimeH, hours, time_text
from euthymia.trials.protocols import load_protocol, protocol_names, read_source
from euthymia.trials.records import READINGS
from euthymia.trials.sessions import RISES, event_rules

SCHEMA = "schemas/protocol-1.schema.json"

# --- times -----------------------------------------------------------------------------------------


@given(st.integers(-600_000, 600_000))
def test_every_minute_is_written_so_that_it_reads_back(minutes: int):
    time_h = minutes / 60.0
    assert hours(time_text(time_h)) == pytest.approx(time_h, abs=1e-6, rel=0)


@given(st.floats(-20_000, 20_000))
def test_any_time_reads_back_to_a_millionth_of_an_hour(time_h: float):
    assert hours(time_text(time_h)) == pytest.approx(time_h, abs=1e-6, rel=0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("day 7", 168.0),
        ("Day -7", -168.0),
        ("week 4", 672.0),
        ("2 h", 2.0),
        ("2 hours", 2.0),
        ("1 hour", 1.0),
        ("100 min", 100 / 60),
        ("40 minutes", 40 / 60),
        ("1.5 d", 36.0),
        ("3 days", 72.0),
        (" 2 weeks ", 336.0),
    ],
)
def test_times_are_read_as_people_write_them(text: str, expected: float):
    assert hours(text) == expected


@pytest.mark.parametrize("bad", ["7", 7, None, True, "day", "7 parsecs", "1e3 h", "day 7 h", "", "nan h"])
def test_other_times_are_refused_with_what_was_given(bad: object):
    with pytest.raises(ValidationError, match=r"must be a time such as 'day 7', 'week 4', '2 h' or '40 min'"):
        TypeAdapter(TimeH).validate_python(bad)


# --- rules -----------------------------------------------------------------------------------------

Rule = tuple[str, str, str, str]
FIELDS: list[Rule] = [
    ("title: Two arms", "title: 3", "title: 3", "title: must be text: an amount with its unit"),
    ("title: Two arms", "titles: x", "titles: x", "titles: no such field. Did you mean title"),
    ("id: a-trial", "id: A trial", "id: A", "id: must be of lower-case letters, digits and hyphens"),
    (
        "protocol/1",
        "protocol/2",
        "schema",
        "schema: must be 'euthymia.protocol/1'. Got 'euthymia.protocol/2'.",
    ),
    ("design: parallel", "design: parallels", "design", "'withdrawal' or 'single-arm'. Got 'parallels'."),
    ("design: parallel", "study: fava-2017", "study", "study: Unknown study 'fava-2017'. Did you mean"),
    ("alpha: 0.05", "alpha: 5", "alpha", "alpha: must be less than 1. Got 5."),
    ("[0.5, 1]", "[0.5, 0.9]", "looks", "looks: 'fractions' must ascend to 1, such as [0.5, 1]."),
    ("[0.5, 1]", "[]", "looks", "looks.fractions: must have at least 1 item, not 0."),
    ("name: trd-adult", "name: trd", "name: trd", "population.name: Unknown population 'trd'."),
    ("[escitalopram 10 mg]", "[gold 1 mg]", "already_on", "population.already_on: Unknown treatment 'gold'."),
    (
        "screening: day -7",
        "screening: day 7",
        "screening: day",
        "population.screening: must lie before day 0.",
    ),
    (
        "sd: 8}",
        "sd: 40}",
        "MADRS: {mean",
        "population.baseline.MADRS: 'baseline SD' must be above 0 and at most",
    ),
    ("mean: 33", "mean: 61", "MADRS: {mean", "population.baseline.MADRS: 'baseline mean' must be within"),
    (
        "mean: 33",
        "mean: 19",
        "MADRS: {mean",
        "population.baseline.MADRS: 'baseline mean' must be within 20–60",
    ),
    ("mean: 33, sd: 8", "mean: 33", "MADRS: {mean", "population.baseline.MADRS: must give 'mean' and 'sd'"),
    (
        "MADRS: {mean",
        "SSI: {mean",
        "SSI: {mean",
        "must be a scale of mood; ideation before the entry rule is",
    ),
    ("age_years: {", "age: {", "age: {", "population.baseline.age: Unknown row of a baseline table 'age'."),
    ("low: 18, high: 65", "low: 65, high: 18", "age_years: {", "'baseline range' must be from low to high"),
    ("{share: 0.6}", "{mean: 0.6}", "female", "population.baseline.female: must give 'share'."),
    ("{share: 0.6}", "{share: 0.6, sd: 1}", "female", "must give either 'share', or any of 'mean', 'sd'"),
    (
        "{share: 0.6}",
        "{share: 60}",
        "female",
        "population.baseline.female.share: must be less than or equal to 1",
    ),
    ("sd: 12", "sd: 0", "age_years", "population.baseline.age_years.sd: must be greater than 0. Got 0."),
    (", at_least: 20", "", "- {scale: MADRS, at", "population.entry.0: must give 'at_least' or 'at_most'."),
    (
        "at_least: 20",
        "at_least: 70",
        "at_least",
        "must be ascending totals within 0–60 of the MADRS, not 70 to 60.",
    ),
    (
        "at_least: 20",
        "at_least: 30, at_most: 20",
        "at_least",
        "ascending totals within 0–60 of the MADRS, not 30 to",
    ),
    ("[screening, baseline]", "[]", "at_least", "population.entry.0.at: must have at least 1 item, not 0."),
    (
        "scale: MADRS",
        "scale: MADSR",
        "at_least",
        "population.entry.0.scale: Unknown scale 'MADSR'. Did you mean",
    ),
    (
        "dose: 0.5 mg/kg",
        "label: x",
        "  high:",
        "arms.high: must hold '{dose}' in 'regimen' exactly where 'dose'",
    ),
    ("over 40 min, w", "w", "regimen: ketamine", "arms.high.regimen: 'iv' needs its duration."),
    (
        "midazolam 0.045 mg/kg iv over 40 min",
        "midazolam 0.1 mg/kg im",
        "im,",
        "arms.control.regimen: 'route' must",
    ),
    ("setting: midazolam", "setting: dark", "dark", "arms.high.setting: Unknown setting 'dark'."),
    ("n: 40", "n: 0", "n: 0", "arms.high.n: must be greater than or equal to 1. Got 0."),
    ("at: day 1,", "at: tuesday,", "tuesday", "visits.1.at: must be a time such as 'day 7'"),
    (
        "scales: [MADRS]}",
        "scales: [MADRS, SIS]}",
        "SIS",
        "visits.1.scales.1: Unknown scale 'SIS'. Did you mean",
    ),
    ("window: 1 d", "window: -1 d", "window", "visits.2: 'window' must be a length such as '1 d'"),
    (
        "[MADRS, SSI]}",
        "[MADRS, SSI], window: 1 h}",
        "day 0",
        "visits.0: the visit at day 0 is the baseline and has",
    ),
    (
        "at: day 10, analysis",
        "analysis",
        "change: {",
        "endpoints.change: must say 'at' which visit the change is",
    ),
    (
        ", at_most: 10",
        "",
        "remission: {",
        "endpoints.remission: must give 'at_most', the trial's own cut-off",
    ),
    ("MADRS 22 once", "MADRS 22", "relapse: {", "endpoints.relapse: must give 'start' and 'rule', one of"),
    ("rule: MADRS", "scale: SSI, rule: MADRS", "relapse: {", "asks for points of another scale than SSI."),
    ("event: nausea}", "event: joy}", "nausea: {", "endpoints.nausea: must name an 'event', one of nausea,"),
    (
        "analysis: ancova",
        "analysis: survival",
        "change: {",
        "'analysis' must be one of ancova, mmrm, t, paired for",
    ),
    (
        "analysis: ancova",
        "at_most: 3",
        "change: {",
        "endpoints.change: 'at_most' is read by remission, not by change.",
    ),
    (
        "start: day 1}",
        "start: day 1, at: day 1}",
        "relapse: {",
        "'at' is read by change, remission, response, score",
    ),
    (
        "kind: change",
        "kind: response, fraction: 0",
        "fraction",
        "endpoints.change.fraction: must be greater than 0.",
    ),
    (
        "[age_years >= 50]",
        "[age_years]",
        "strata",
        "randomisation.strata.0: must compare a field with a number, 'age_years",
    ),
    (
        "[age_years >= 50]",
        "[colour >= 5]",
        "strata",
        "randomisation.strata.0: Unknown field of a stratum 'colour'.",
    ),
    ("share: 0.1", "share: 1", "dropout", "conduct.dropout.share: must be less than 1. Got 1."),
    ("share: 0.1, ", "", "dropout", "conduct.dropout: multiplies a hazard of zero: give 'share', or leave"),
    ("by: day 17", "by: day 0", "dropout", "conduct.dropout: 'by' must lie after day 0."),
    (
        "after_event: 2",
        "after_event: 2, events: []",
        "dropout",
        "'after_event' needs 'events' that people leave after",
    ),
    (
        "after_event: 2",
        "events: [sedation]",
        "dropout",
        "conduct.dropout: must be one of nausea, dizziness, headache",
    ),
    (
        "1.5, after_event",
        "0, after_event",
        "dropout",
        "conduct.dropout.per_10_points: must be greater than 0. Got 0.",
    ),
    (
        "systolic_mmHg: 160",
        "systolic_mmHg: 0",
        "hold",
        "conduct.hold.systolic_mmHg: must be greater than 0. Got 0.",
    ),
    ("[1, 1.5]", "[1]", "levels", "conduct.flexible.high: 'levels' must be two or more ascending ratios"),
    (
        "[1, 1.5]",
        "[1.5, 1]",
        "levels",
        "conduct.flexible.high: 'levels' must be two or more ascending ratios",
    ),
    ("until: day 14", "until: day 3", "levels", "'start' must lie after day 0, and 'until' not before it."),
    ("until: day 14", "scale: SSI", "levels", "conduct.flexible.high: 'scale' must be one of mood, not SSI."),
    (
        "until: day 14",
        "down_after: [hypertension]",
        "levels",
        "conduct.flexible.high: must be one of nausea,",
    ),
    (
        "start: day 14}",
        "start: day 14, rule: MADRS 22 twice}",
        "control: {start",
        "conduct.rescue.control: 'rule'",
    ),
    (
        "start: day 14}",
        "start: day 0}",
        "control: {start",
        "conduct.rescue.control: 'start' must lie after day 0.",
    ),
    (
        "share: 0.1}",
        "share: 1.1}",
        "high: {to",
        "conduct.switch.high.share: must be less than",
    ),
    ("after: [nausea], share: 0.1}", "}", "high: {to", "conduct.switch.high: must say when: give 'after'"),
    ("after: [nausea]", "after: [hypertension]", "high: {to", "conduct.switch.high: must be one of nausea,"),
    ("after: [nausea]", "start: day 0", "high: {to", "conduct.switch.high: 'start' must lie after day 0"),
    ("after: [nausea]", "scale: SSI", "high: {to", "conduct.switch.high: 'scale' must be one of mood"),
    *(
        (
            "ketamine 0.8 mg/kg im",
            to,
            "high: {to",
            "conduct.switch.high.to: must be one session of ketamine such as",
        )
        for to in (
            "saline iv over 40 min",
            '"ketamine 0.5 mg/kg im, weekly x 2"',
            '"ketamine 0.5 mg/kg im; midazolam 2 mg iv bolus"',
        )
    ),
    ("ketamine 0.8 mg/kg im", "ketamin 1 mg/kg im", "high: {to", "conduct.switch.high.to: Unknown treatment"),
]
TOGETHER: list[Rule] = [
    (
        "  high:\n",
        "  hi.gh:\n",
        "arms:",
        "arms: names must be letters, digits, '-', '_' and '+', not 'hi.gh'.",
    ),
    (
        "is_control: true",
        "label: x",
        "arms:",
        "arms: a parallel design needs two or more, one with 'is_control: true'.",
    ),
    (
        "n: 40",
        "n: 40\n    is_control: true",
        "arms:",
        "arms: only one may be the control, not high, control.",
    ),
    ("    n: 40\n", "", "  high:", "arms.high: an arm must have patients; give 'n'."),
    (
        "design: parallel",
        "design: single-arm",
        "arms:",
        "arms: a single-arm design has one, and no control; here are high, control.",
    ),
    (
        "design: parallel",
        "design: crossover",
        "schema",
        "crossover: must be given exactly where 'design' is crossover; here it is",
    ),
    (
        "design: parallel",
        "design: withdrawal",
        "schema",
        "withdrawal: must be given exactly where 'design' is with",
    ),
    (
        "[3, 6]",
        "[4, 6]",
        "blocks",
        "randomisation.blocks: must be multiples of 3, the sum of the ratio 2:1 of the",
    ),
    ("day 10, scales", "day 0.5, scales", "visits:", "visits: must ascend in time, a minute or more apart; "),
    ("day 1, scales", "0.5 min, scales", "visits:", "visits: must ascend in time, a minute or more apart; "),
    ("window: 1 d", "window: 9 d", "at: day 10", "visits.2: windows of day 1 and day 10 overlap."),
    ("at: day 0, ", "at: 1 h, ", "visits:", "visits: one must be at day 0, which is baseline."),
    ("alpha: 0.05", "ends: day 10", "ends:", "ends: must not lie before the last visit, day 17."),
    ("scale: MADRS", "scale: PHQ-9", "entry:", "population.entry: no visit rates PHQ-9."),
    (
        "at: day 10, a",
        "at: day 7, a",
        "change: {",
        "endpoints.change: no visit rates MADRS at day 7; it is rated at",
    ),
    (
        "kind: change",
        "kind: change, scale: PHQ-9",
        "change: {",
        "endpoints.change: PHQ-9 is not rated at day 0.",
    ),
    ("at_most: 10", "at_most: 10, is_primary: true", "endpoints:", "endpoints: only one may be primary."),
    (
        "start: day 1}",
        "start: day 17}",
        "relapse: {",
        "endpoints.relapse: nothing is rated after 'start', when",
    ),
    (
        "    high: {levels",
        "    low: {levels",
        "low: {",
        "conduct.flexible.low: no such arm; arms are high, control.",
    ),
    (
        "{start: day 14}",
        "{start: day 15}",
        "{start: day 15",
        "no session of control starts between day 15 and its end.",
    ),
    ("high: {to", "low: {to", "low: {to", "conduct.switch.low: no such arm; arms are high, control."),
    ("high: {to", "control: {to", "control: {to", "every session of control must give ketamine"),
]


@pytest.mark.parametrize(("old", "new", "at", "expected"), [*FIELDS, *TOGETHER])
def test_every_rule_names_the_line_and_what_must_hold(old: str, new: str, at: str, expected: str):
    text = edited((old, new))
    said = problems((old, new))
    meant = [one for one in said if expected.removeprefix("…") in one]
    assert meant, said
    assert meant[0].startswith(f"a.yaml, line {line_of(text, at)}: "), (meant[0], line_of(text, at))


def test_the_protocol_of_these_tests_can_be_run():
    assert read().size == 60


def test_strata_without_blocks_need_a_small_ratio():
    (said,) = problems(("n: 20", "n: 1"), ("  blocks: [3, 6]\n", ""))
    assert said.startswith(
        "a.yaml, line 26: randomisation: cannot be balanced within strata: n of the arms (40, 1)"
    )
    assert read(edited(("n: 20", "n: 1"), ("  blocks: [3, 6]\n", ""), ("[age_years >= 50]", "[]"))).size == 41


def test_all_problems_are_said_at_once_each_on_a_line_of_its_own():
    said = problems(
        ("n: 40", "n: 40\n    is_control: true"), ("window: 1 d", "window: 9 d"), ("[3, 6]", "[4]")
    )
    assert [one.partition(": ")[2].partition(":")[0] for one in said] == [
        "arms",
        "randomisation.blocks",
        "visits.2",
        "visits.3",
    ]


KETAMINE, MIDAZOLAM = CROSSOVER["arms"]["ketamine"], CROSSOVER["arms"]["midazolam"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sequences": []}, "at least 1 item"),
        (
            {"sequences": [["ketamine", "midazolam"], ["midazolam"]]},
            "'sequences' must be of one length, each",
        ),
        (
            {"sequences": [["ketamine", "midazolam"]] * 2},
            "'sequences' must be of one length, each given once",
        ),
        (
            {"sequences": [["ketamine", "ketamine"]]},
            "crossover.sequences: must name ketamine, midazolam, all",
        ),
        ({"n": 1}, "'n' must be 2 or more, one patient for each sequence"),
        ({"period": "day 0"}, "'period' must lie after day 0"),
        ({"period": "day 14"}, "visits: of a crossover must lie within one period"),
        (
            {"arms": {"ketamine": KETAMINE | {"n": 4}, "midazolam": MIDAZOLAM}},
            "give crossover.n instead of n",
        ),
        (
            {"arms": {"ketamine": KETAMINE | {"setting": "saline"}, "midazolam": MIDAZOLAM}},
            "arms: in a crossover all must have one 'setting'",
        ),
        (
            {
                "arms": {
                    "ketamine": {"regimen": "ketamine 0.5 mg/kg iv over 40 min, weekly x 4"},
                    "midazolam": MIDAZOLAM,
                }
            },
            "arms.ketamine.regimen: must end within one period, day 21",
        ),
        ({"conduct": {"flexible": {"ketamine": {"levels": [1, 2]}}}}, "not in a crossover, whose sessions"),
    ],
)
def test_a_crossover_that_cannot_be_run_is_refused(changes: dict[str, Any], expected: str):
    outer = {name: value for name, value in changes.items() if name in ("arms", "conduct")}
    inner = {name: value for name, value in changes.items() if name not in outer}
    content = CROSSOVER | outer | {"crossover": CROSSOVER["crossover"] | inner}
    with pytest.raises(ValidationError, match=expected):
        Protocol.model_validate(content)


WITHDRAWAL = (
    ("design: parallel", "design: withdrawal\nwithdrawal: {at: day 10, rule: remission}"),
    ("ketamine {dose} iv over 40 min, weekly x 3", "ketamine {dose} iv over 40 min, weekly x 4"),
    (
        "midazolam 0.045 mg/kg iv over 40 min, weekly x 3",
        "ketamine 0.5 mg/kg iv over 40 min, weekly x 2 then midazolam 0.045 mg/kg iv over 40 min, weekly x 2",
    ),
    ("  flexible:\n    high: {levels: [1, 1.5], start: day 7, until: day 14}\n", ""),
    ("  switch:\n    high: {to: ketamine 0.8 mg/kg im, after: [nausea], share: 0.1}\n", ""),
)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (("at: day 10, rule", "at: day 9, rule"), "withdrawal.at: no visit rates MADRS at day 9."),
        (
            ("rule: remission}", "rule: stable remission}"),
            "withdrawal.rule: stable remission needs 4 ratings up to",
        ),
        (
            ("weekly x 2 then", "weekly x 1 then"),
            "arms: must be given the same before the withdrawal at day 10.",
        ),
        (
            ("rule: remission}", "rule: response, scale: PHQ-9}"),
            "withdrawal.scale: PHQ-9 is not rated at day 0.",
        ),
    ],
)
def test_a_withdrawal_that_cannot_be_run_is_refused(edit: tuple[str, str], expected: str):
    assert read(edited(*WITHDRAWAL)).withdrawal is not None
    assert any(expected in one for one in problems(*WITHDRAWAL, edit))


# --- what follows from a protocol ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((40, 20), (2, 1)),
        ((47, 25), (2, 1)),
        ((30, 31), (1, 1)),
        ((20, 20, 20), (1, 1, 1)),
        ((45, 30), (3, 2)),
    ],
)
def test_the_ratio_is_the_smallest_whole_one(sizes: tuple[int, ...], expected: tuple[int, ...]):
    arms = {f"arm{place}": {"n": n, "regimen": "saline iv over 40 min"} for place, n in enumerate(sizes)}
    arms["arm0"]["is_control"] = True
    content = {"arms": arms, "visits": [{"at": "day 0"}, {"at": "day 1"}], "id": "a", "title": "b"}
    protocol = Protocol.model_validate(content | {"endpoints": {"one": {"kind": "change", "at": "day 1"}}})
    assert protocol.ratio == expected
    assert protocol.size == sum(sizes)


def test_a_rule_at_two_visits_is_two_ratings_in_order_of_the_day():
    rule = read().population.rule
    assert rule is not None
    assert [(one.day, one.at_least_points) for one in rule.ratings] == [(-7.0, 20.0), (0.0, 20.0)]


def test_the_rule_that_severity_is_solved_with_is_the_part_about_mood():
    both = read(edited(("scale: MADRS, at_least: 20", "scale: SSI, at_least: 4"), ("mean: 33", "mean: 30")))
    assert both.population.rule is not None
    assert both.population.mood_rule is None


def test_strata_are_read_as_field_comparison_and_number():
    assert stratum("age_years >= 65") == ("age_years", ">=", 65.0)
    assert stratum("madrs<35.5") == ("MADRS", "<", 35.5)


def test_events_are_those_of_the_table_and_symptoms_those_of_the_layer():
    assert tuple(event_rules()) == EVENTS
    assert {f"{name}_probability" for name in SYMPTOMS} == set(Outputs._fields)
    for rule in event_rules().values():
        assert rule.is_symptom or set(rule.above) | set(rule.below) <= set(RISES)
    assert tuple(RISES) == READINGS


# --- the JSON Schema -------------------------------------------------------------------------------


def merged_fields(name: str) -> dict[str, Any]:
    return read_source(name).data


def test_the_shipped_schema_is_that_of_the_protocol():
    assert json.loads(read_text(SCHEMA)) == json_schema(), (
        f"euthymia trial schema > src/euthymia/data/{SCHEMA}"
    )


@pytest.mark.parametrize("name", protocol_names())
def test_every_protocol_that_ships_meets_the_schema(name: str):
    jsonschema.validate(merged_fields(name), json_schema())


@pytest.mark.parametrize(
    "bad",
    [
        {"alpha": 5},
        {"visits": [{"at": 0}, {"at": "day 1"}]},
        {"arms": {}},
        {"colour": "red"},
        {"conduct": {"dropout": {"share": 1.0}}},
    ],
)
def test_the_schema_refuses_what_is_out_of_bounds_or_not_there(bad: dict[str, Any]):
    good = merged_fields("fava-2018")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(good | bad, json_schema())


def test_a_file_may_lack_what_it_includes():
    schema = json_schema()
    short = {"include": "fava-2018.yaml", "alpha": 0.1}
    jsonschema.validate(short, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"alpha": 0.1}, schema)


def test_defaults_in_the_schema_are_times_as_one_writes_them():
    parts = json_schema()["$defs"]
    assert parts["Population"]["properties"]["screening"]["default"] == "day -7"
    assert parts["Flexible"]["properties"]["start"]["default"] == "1 h"


def test_a_protocol_that_ships_is_the_one_of_its_text():
    assert load_protocol("fava-2018").id == "fava-2018"
    assert TEXT.count("arms:") == 1


def test_a_switched_session_must_be_over_before_the_next_one():
    def made(to: str) -> Protocol:
        one = {"n": 4, "regimen": "ketamine 0.5 mg/kg iv over 40 min, daily x 3"}
        return Protocol.model_validate(
            {
                "id": "a",
                "title": "a",
                "design": "single-arm",
                "arms": {"one": one},
                "visits": [{"at": "day 0"}, {"at": "day 3"}],
                "endpoints": {"end": {"kind": "change", "at": "day 3"}},
                "conduct": {"switch": {"one": {"to": to, "share": 0.1}}},
            }
        )

    assert made("ketamine 0.5 mg/kg iv over 100 min").conduct.switch
    with pytest.raises(ValidationError, match=r"conduct.switch.one.to: must be over well before the next"):
        made("ketamine 0.5 mg/kg iv over 24 h")
