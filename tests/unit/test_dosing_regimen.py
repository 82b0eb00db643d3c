"""Schedules by hand, and regimens put together."""

from __future__ import annotations

import re
from typing import Any

import pytest

from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.dosing.order import Order
from euthymia.dosing.regimen import (
    Clause,
    Phase,
    Regimen,
    append,
    combine,
    ketamine_starts_h,
    repeat,
    shift,
    single,
)
from euthymia.dosing.schedule import AfterEachDose, AtTimes, Repeated
from euthymia.errors import InvalidInputError

INJECTION = "ketamine 35 mg im"


def days(text: str) -> list[float]:
    return [round(start_h / 24, 6) for start_h, _ in parse_regimen(text).items]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("daily x 4", [0, 1, 2, 3]),
        ("twice daily x 3", [0, 0.5, 1]),
        ("three times daily x 4", [0, 0.333333, 0.666667, 1]),
        ("weekly x 3", [0, 7, 14]),
        ("twice weekly x 5", [0, 3, 7, 10, 14]),
        ("three times weekly x 7", [0, 2, 4, 7, 9, 11, 14]),
        ("every two weeks x 3", [0, 14, 28]),
        ("every 12 h x 3", [0, 0.5, 1]),
        ("every 3 d x 3", [0, 3, 6]),
        ("every 3 weeks x 2", [0, 21]),
        ("daily for 1 weeks", [0, 1, 2, 3, 4, 5, 6]),
        ("daily for 3 days", [0, 1, 2]),
        ("twice weekly for 2 weeks", [0, 3, 7, 10]),
        ("twice weekly for 3 days", [0]),
        ("twice weekly for 4 days", [0, 3]),
        ("three times weekly for 8 days", [0, 2, 4, 7]),
        ("weekly for 2 weeks", [0, 7]),
        ("every two weeks for 3 weeks", [0, 14]),
        ("every 0.1 d for 0.3 d", [0, 0.1, 0.2]),
        ("once", [0]),
        ("at 0, 72, 168 h", [0, 3, 7]),
        ("at 72, 0 h", [0, 3]),
        ("daily x 2 from -1 d", [-1, 0]),
        ("twice weekly x 3 from 7 d", [7, 10, 14]),
    ],
)
def test_schedules_give_these_days(schedule: str, expected: list[float]) -> None:
    assert days(f"{INJECTION}, {schedule}") == expected


@pytest.mark.parametrize(
    ("schedules", "expected"),
    [
        ("twice weekly x 2 then weekly x 2", [0, 3, 7, 14]),
        ("twice weekly x 3 then weekly x 2", [0, 3, 7, 10, 17]),
        ("three times weekly x 3 then once", [0, 2, 4, 7]),
        ("twice weekly for 1 weeks then weekly for 2 weeks then every two weeks x 2", [0, 3, 7, 14, 21, 35]),
        ("daily x 1 then weekly x 2", [0, 1, 8]),
        ("every two weeks for 3 weeks then once", [0, 14, 28]),
        ("daily x 2 from -5 d then daily x 1", [-5, -4, -3]),
        ("daily x 2 then at 10, 20 d", [0, 1, 10, 20]),
        ("daily x 2 then daily x 2 from 10 d", [0, 1, 10, 11]),
        ("once then weekly x 2 from 3 d then once", [0, 3, 10, 17]),
    ],
)
def test_a_phase_starts_one_interval_after_the_last_item_before(
    schedules: str, expected: list[float]
) -> None:
    assert days(f"{INJECTION}, {schedules}") == expected


def test_clauses_run_on_their_own_clocks_and_merge_in_order_of_time() -> None:
    regimen = parse_regimen(f"{INJECTION}, weekly x 2; CBT 50 min, daily x 2 from -1 d")
    assert [(start_h, type(item).__name__) for start_h, item in regimen.items] == [
        (-24, "TherapySession"), (0, "Order"), (0, "TherapySession"), (168, "Order"),
    ]  # fmt: skip


def test_sessions_follow_every_ketamine_of_the_whole_regimen_and_nothing_else() -> None:
    text = (
        "ketamine 35 mg im, weekly x 2; esketamine 28 mg in at 2 d; escitalopram 10 mg po, daily x 3; "
        "CBT 50 min at 2, 24 h after each dose; mindfulness 20 min at 1 h before each dose"
    )
    items = parse_regimen(text).items
    sessions = [(start_h, item.therapy) for start_h, item in items if not isinstance(item, Order)]
    assert [start_h for start_h, therapy in sessions if therapy == "CBT"] == [2, 24, 50, 72, 170, 192]
    assert [start_h for start_h, therapy in sessions if therapy == "mindfulness"] == [-1, 47, 167]


def test_sessions_that_fall_together_are_one() -> None:
    regimen = parse_regimen(f"{INJECTION}, daily x 2; CBT 50 min at 0, 24 h after each dose")
    assert [start_h for start_h, item in regimen.items if not isinstance(item, Order)] == [0, 24, 48]


def test_doses_come_in_order_of_time_across_orders() -> None:
    regimen = parse_regimen("esketamine 56 mg in; ketamine 35 mg im at 0.05 h; CBT 50 min")
    doses = regimen.doses(70.0)
    assert [(dose.drug, dose.device_index) for dose in doses] == [
        ("esketamine", 0),
        ("ketamine", 0),
        ("esketamine", 1),
    ]


def test_horizons_count_from_the_last_item_and_the_last_order() -> None:
    regimen = parse_regimen(f"{INJECTION}, weekly x 2; CBT 50 min at 24 h after each dose")
    assert regimen.horizon_h() == 168 + 24 + 168
    assert regimen.horizon_h(pk_only=True) == 168 + 48
    with pytest.raises(
        InvalidInputError, match=r"'pk_only' must be false for a regimen without drugs. Got true"
    ):
        parse_regimen("CBT 50 min").horizon_h(pk_only=True)


@pytest.mark.parametrize(
    "text",
    [
        "ketamine 35 mg iv over 60 min, every 0.5 h x 2",
        "ketamine 35 mg iv over 60 min at 0, 0.5 h",
        "ketamine 35 mg iv over 60 min, daily x 1 then ketamine 20 mg iv over 40 min, weekly x 1 from 0.5 h",
        "ketamine 35 mg iv over 20 min paused 10-60 min at 0, 0.5 h",
        "ketamine 35 mg im; ketamine 35 mg iv over 60 min at 0, 0.5 h",
    ],
)
def test_infusions_of_one_drug_that_overlap_in_a_clause_are_refused(text: str) -> None:
    with pytest.raises(
        InvalidInputError, match=r"'infusions' of ketamine .* Got 0 h to .* h, and .* from 0.5 h"
    ):
        parse_regimen(text)


def test_infusions_that_follow_each_dose_may_not_overlap_either() -> None:
    text = f"{INJECTION}, every 0.5 h x 2; midazolam 2 mg iv over 60 min at 0 h after each dose"
    with pytest.raises(InvalidInputError, match=r"'infusions' of midazolam"):
        parse_regimen(text)


@pytest.mark.parametrize(
    "text",
    [
        "ketamine 35 mg iv over 60 min at 0, 1 h",
        "ketamine 35 mg iv over 60 min; ketamine 35 mg iv over 60 min at 0.5 h",
        "ketamine 35 mg iv over 60 min, daily x 1 then midazolam 2 mg iv over 60 min, daily x 1 from 0.5 h",
        "ketamine 35 mg iv over 60 min stopped at 20 min at 0, 0.5 h",
        "ketamine 35 mg iv over 40 min, every 0.6666666666666666 h x 100",
    ],
)
def test_back_to_back_parallel_and_different_infusions_are_allowed(text: str) -> None:
    assert parse_regimen(text).items


ORDER = Order.create(drug="ketamine", route="intramuscular", amount=35)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pattern": "daily"}, "'count' must be given, for a pattern has no end. Got nothing. Write 'x 8'"),
        (
            {"pattern": "daily", "count": 2, "length_h": 24},
            "'count' must be given without a length of time. Got both.",
        ),
        (
            {"pattern": "daily", "count": 0},
            "'count' must be a whole number, 1\N{EN DASH}10000 (rules/dosing.toml). Got 0.",
        ),
        ({"pattern": "daily", "count": 2.5}, "Got 2.5."),
        ({"pattern": "daily", "count": True}, "'count' must be a whole number"),
        ({"pattern": "hourly", "count": 2}, "'pattern' must be one of daily, twice daily"),
        ({"count": 2}, "'pattern' must be given, or else every_h. Got neither."),
        ({"pattern": "daily", "every_h": 24, "count": 2}, "Got both."),
        ({"every_h": 0.1, "count": 2}, "'every_h' must be 0.25\N{EN DASH}8760 (rules/dosing.toml). Got 0.1."),
        ({"every_h": 1, "length_h": 80000}, "'count' must be a whole number, 1\N{EN DASH}10000"),
        ({"pattern": "daily", "length_h": 0}, "'length_h' must be above 0. Got 0."),
        ({"pattern": "daily", "count": 1, "from_h": 1e6}, "'from_h' must be -87600\N{EN DASH}87600"),
    ],
)
def test_schedules_that_cannot_be_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        Repeated.create(**given)


def test_fixed_times_are_distinct_and_at_least_one() -> None:
    with pytest.raises(InvalidInputError, match=r"'times_h' must be different from each other. Got 0, 0, 24"):
        AtTimes.create(times_h=[24, 0, 0])
    with pytest.raises(InvalidInputError, match=r"'delays_h' must be at least one time. Got none"):
        AfterEachDose.create(delays_h=[])


def test_clauses_and_regimens_need_parts() -> None:
    with pytest.raises(InvalidInputError, match=r"'phases' must be at least one phase. Got none"):
        Clause.create(phases=[])
    with pytest.raises(InvalidInputError, match=r"'clauses' must be at least one clause. Got none"):
        Regimen.create(clauses=[])
    with pytest.raises(
        InvalidInputError, match=r"'item' must be an Order or a TherapySession. Got 'ketamine'"
    ):
        Phase.create(item="ketamine")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{INJECTION} then {INJECTION}", "'then' must be used after a phase with an interval"),
        (f"{INJECTION} at 0 h then weekly x 2", "'then' must be used after a phase with an interval"),
        (
            f"{INJECTION}, weekly x 2 then at 3 d",
            "the last item of the phase before, 168 h. Got 72 h",
        ),
        (
            f"{INJECTION}, weekly x 2 then at 7 d",
            "the last item of the phase before, 168 h. Got 168 h",
        ),
        ("CBT 50 min at 1 h after each dose", "'after each dose' must be used beside an order of a ketamine"),
        (
            f"{INJECTION} at 1 h after each dose",
            "than the ketamine that it follows. Got ketamine",
        ),
        (
            f"{INJECTION}; CBT 50 min, daily x 2 then at 1 h after each dose",
            "without 'then' beside 'after each dose'",
        ),
    ],
)
def test_chains_that_cannot_be_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        parse_regimen(text)


def test_names_do_not_enter_equality_and_are_kept() -> None:
    named = parse_regimen(INJECTION, name="induction")
    assert named == single(ORDER)
    assert named.name == "induction"
    assert shift(named, by_h=1).name == repeat(named, times=2, every_h=24).name == "induction"


def test_shift_can_be_written_down() -> None:
    regimen = parse_regimen(
        f"{INJECTION}, weekly x 2 then daily x 1; CBT 50 min at 1 d; ECT; "
        "mindfulness 20 min at 1 h after each dose"
    )
    assert print_regimen(shift(regimen, by_h=-24)) == (
        "ketamine 35 mg intramuscular, weekly x 2 from -1 d then daily x 1; CBT 50 min, at 0 d; "
        "ECT, at -1 d; mindfulness 20 min, at 1 h after each dose"
    )


def test_shift_there_and_back_is_the_same_regimen() -> None:
    regimen = parse_regimen(f"{INJECTION}, weekly x 2")
    assert shift(shift(regimen, by_h=24), by_h=-24) == regimen


def test_append_follows_by_one_interval() -> None:
    first = parse_regimen(f"{INJECTION}, twice weekly x 2")
    second = parse_regimen("esketamine 84 mg in, weekly x 2")
    assert append(first, second) == parse_regimen(
        f"{INJECTION}, twice weekly x 2 then esketamine 84 mg in, weekly x 2"
    )


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ("ketamine 35 mg im", [0, 3, 7]),
        ("ketamine 35 mg im at 1 d", [0, 3, 8]),
        ("ketamine 35 mg im, weekly x 2 from 2 d", [0, 3, 9, 16]),
        ("ketamine 35 mg im, weekly x 1 then at 9 d", [0, 3, 7, 16]),
    ],
)
def test_append_moves_times_of_the_second(second: str, expected: list[float]) -> None:
    joined = append(parse_regimen(f"{INJECTION}, twice weekly x 2"), parse_regimen(second))
    assert [start_h / 24 for start_h, _ in joined.items] == expected


def test_append_at_a_time_takes_any_regimen() -> None:
    first = parse_regimen(f"{INJECTION}; CBT 50 min at 1 d after each dose")
    joined = append(first, parse_regimen(INJECTION), at_h=72)
    assert print_regimen(joined) == (
        "ketamine 35 mg intramuscular; CBT 50 min, at 1 d; ketamine 35 mg intramuscular, at 3 d"
    )
    one_each = append(parse_regimen(INJECTION), parse_regimen(INJECTION), at_h=72)
    assert print_regimen(
        one_each
    ) == "ketamine 35 mg intramuscular then ketamine 35 mg intramuscular, at 3 d".replace(
        "ketamine 35 mg intramuscular, at", "at"
    )


def test_append_without_a_time_needs_one_clause_each_and_an_interval() -> None:
    several = parse_regimen(f"{INJECTION}; CBT 50 min")
    with pytest.raises(InvalidInputError, match=r"'at_h' must be given where a regimen has several clauses"):
        append(several, parse_regimen(INJECTION))
    with pytest.raises(InvalidInputError, match=r"'then' must be used after a phase"):
        append(parse_regimen(INJECTION), parse_regimen(INJECTION))


def test_repeat_gives_the_regimen_again_and_leaves_sessions_after_each_dose_alone() -> None:
    regimen = repeat(
        parse_regimen(f"{INJECTION}, daily x 2; CBT 50 min at 1 h after each dose"), times=2, every_h=168
    )
    assert [start_h for start_h, _ in regimen.items] == [0, 1, 24, 25, 168, 169, 192, 193]
    assert parse_regimen(print_regimen(regimen)) == regimen
    with pytest.raises(InvalidInputError, match=r"'times' must be a whole number above 0. Got 0"):
        repeat(regimen, times=0, every_h=168)
    with pytest.raises(InvalidInputError, match=r"'then' must be later than the last item"):
        repeat(parse_regimen(f"{INJECTION}, daily x 3"), times=2, every_h=24)


def test_combine_puts_regimens_in_parallel() -> None:
    both = combine(parse_regimen(INJECTION), parse_regimen("CBT 50 min, weekly x 2"), name="both")
    assert both == parse_regimen(f"{INJECTION}; CBT 50 min, weekly x 2")
    assert both.name == "both"


def test_ketamine_starts_are_sorted_over_clauses() -> None:
    regimen = parse_regimen("esketamine 28 mg in at 2 d; ketamine 35 mg im, weekly x 2; sertraline 50 mg po")
    assert ketamine_starts_h(regimen) == (0, 48, 168)
