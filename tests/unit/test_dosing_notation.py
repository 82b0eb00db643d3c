"""What the notation reads, how it prints, and how it refuses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.dosing.order import Order, TherapySession
from euthymia.errors import InvalidInputError, ResultWarning, UnknownNameError

PAGE = (Path(__file__).parents[2] / "docs" / "grammar.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Cells of the table below a heading of the grammar page."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def item(text: str) -> Order | TherapySession:
    ((_, only),) = parse_regimen(text).items
    return only


def test_the_page_has_its_tables() -> None:
    assert len(rows("Examples")) >= 20
    assert len(rows("Errors")) >= 15


@pytest.mark.parametrize(("text", "canonical", "starts"), rows("Examples"))
def test_examples_of_the_page_hold(text: str, canonical: str, starts: str) -> None:
    regimen = parse_regimen(text.strip("`"))
    assert print_regimen(regimen) == canonical.strip("`")
    assert parse_regimen(canonical.strip("`")) == regimen
    days = [float(day) for day in starts.strip("| ").split(",")]
    assert [start_h / 24 for start_h, _ in regimen.items][:10] == days


@pytest.mark.parametrize(("text", "message"), rows("Errors"))
def test_errors_of_the_page_hold(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(message.strip("| "))):
        parse_regimen(text.strip("`"))


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("iv bolus", "intravenous bolus"),
        ("intravenous bolus", "intravenous bolus"),
        ("IV infusion over 40min", "intravenous over 40 min"),
        ("intravenously over 1.5 h", "intravenous over 90 min"),
        ("im", "intramuscular"),
        ("intramuscularly", "intramuscular"),
        ("sc", "subcutaneous"),
        ("subcutaneously", "subcutaneous"),
        ("in", "intranasal"),
        ("nasal", "intranasal"),
        ("sl", "sublingual"),
        ("po", "oral"),
        ("orally", "oral"),
        ("er", "oral extended-release"),
        ("xr", "oral extended-release"),
        ("oral er", "oral extended-release"),
        ("po extended-release", "oral extended-release"),
        ("extended release", "oral extended-release"),
        ("oral extended release", "oral extended-release"),
    ],
)
def test_routes_are_read_in_every_form_and_printed_in_full(written: str, printed: str) -> None:
    assert print_regimen(parse_regimen(f"ketamine 35 mg {written}")) == f"ketamine 35 mg {printed}"


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("0.5 mg/kg", "0.5 mg/kg"),
        ("500 ug/kg", "0.5 mg/kg"),
        ("500 mcg / kg", "0.5 mg/kg"),
        ("500 \u00b5g/kg", "0.5 mg/kg"),
        ("500 \u03bcg/kg", "0.5 mg/kg"),
        (".5 MG/KG", "0.5 mg/kg"),
        ("0.1 g", "100 mg"),
        ("40.0 mg", "40 mg"),
        ("1e1 mg", "10 mg"),
        ("0.1234567890123 mg", "0.1234567890123 mg"),
        ("35 mg (HCl)", "35 mg (hcl)"),
        ("35 mg (hydrochloride)", "35 mg (hcl)"),
        ("35 mg (base)", "35 mg"),
    ],
)
def test_amounts_are_read_in_every_unit_and_printed_in_mg(written: str, printed: str) -> None:
    assert print_regimen(parse_regimen(f"ketamine {written} im")) == f"ketamine {printed} intramuscular"


@pytest.mark.parametrize(
    ("written", "steps", "unit"),
    [
        ("0.14 then 0.28 then 0.57 mg/kg/h iv, 60 min each", ((0.14, 60), (0.28, 60), (0.57, 60)), "mg/kg/h"),
        ("0.14 then 0.28 mg/kg/h iv 1 h each", ((0.14, 60), (0.28, 60)), "mg/kg/h"),
        ("10 mg/h for 60 min then 20 mg/hr for 30 min iv", ((10, 60), (20, 30)), "mg/h"),
        ("12 ug/kg/min iv over 40 min", ((0.72, 40),), "mg/kg/h"),
        ("0.5 mg/min iv over 40 min", ((30, 40),), "mg/h"),
        ("30 mg/h iv, 40 min each", ((30, 40),), "mg/h"),
        ("30 mg/h for 40 min iv", ((30, 40),), "mg/h"),
    ],
)
def test_steps_of_rate_are_read(written: str, steps: tuple, unit: str) -> None:
    order = item(f"ketamine {written}")
    assert isinstance(order, Order)
    assert (order.rate_steps, order.rate_unit) == (steps, unit)


def test_steps_of_rate_do_not_swallow_the_next_phase() -> None:
    text = (
        "ketamine 0.14 then 0.28 mg/kg/h iv, 60 min each, weekly x 2 then ketamine 0.14 mg/kg/h for 60 min iv"
    )
    assert [start_h for start_h, _ in parse_regimen(text).items] == [0, 168, 336]


@pytest.mark.parametrize(
    ("written", "pauses", "stop"),
    [
        ("paused 10-20 min", ((10, 20),), None),
        ("paused 10 to 20 min", ((10, 20),), None),
        ("paused 10\N{EN DASH}20 min", ((10, 20),), None),
        ("paused 0.25-0.5 h", ((15, 30),), None),
        ("paused 10-20 min paused 35-40 min", ((10, 20), (35, 40)), None),
        (", paused 10-20 min, stopped at 45 min", ((10, 20),), 45),
        ("stopped at 45 min paused 10-20 min", ((10, 20),), 45),
    ],
)
def test_pauses_and_stops_are_read(written: str, pauses: tuple, stop: float | None) -> None:
    order = item(f"ketamine 35 mg iv over 40 min {written}")
    assert isinstance(order, Order)
    assert (order.pauses, order.stopped_at_min) == (pauses, stop)


def test_holds_are_read() -> None:
    order = item("ketamine 100 mg sl held for 10 min, spat out")
    assert isinstance(order, Order)
    assert (order.hold_min, order.spat_out) == (10, True)


@pytest.mark.parametrize(
    ("written", "times_h"),
    [
        ("at 0, 72, 168 h", [0, 72, 168]),
        ("at 0 d, 3 d", [0, 72]),
        ("at day 0, day 3", [0, 72]),
        ("at days 0, 3, 7", [0, 72, 168]),
        ("at week 1, 36 h", [36, 168]),
        ("at day 0, 36 h, 3", [0, 36, 72]),
        ("at -1, 1 d", [-24, 24]),
        ("at \N{MINUS SIGN}1 d", [-24]),
        ("at day -28", [-672]),
        ("at 90 min", [1.5]),
        ("at 2 weeks", [336]),
    ],
)
def test_times_are_read_in_every_form(written: str, times_h: list[float]) -> None:
    assert [start_h for start_h, _ in parse_regimen(f"ketamine 35 mg im {written}").items] == times_h


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("once daily x 2", "daily x 2"),
        ("every day x 2", "daily x 2"),
        ("every 24 h x 2", "daily x 2"),
        ("twice a day x2", "twice daily x 2"),
        ("every 8 h \N{MULTIPLICATION SIGN} 2", "three times daily x 2"),
        ("once a week x 2", "weekly x 2"),
        ("every 7 days x 2", "weekly x 2"),
        ("twice a week X 2", "twice weekly x 2"),
        ("thrice weekly x 2", "three times weekly x 2"),
        ("fortnightly x 2", "every 2 weeks x 2"),
        ("every other week x 2", "every 2 weeks x 2"),
        ("every other day x 2", "every 2 days x 2"),
        ("every 36 h x 2", "every 36 h x 2"),
        ("every 90 min x 2", "every 1.5 h x 2"),
        ("daily for 14 days", "daily for 2 weeks"),
        ("daily for 1 week", "daily for 1 week"),
        ("daily for 36 h", "daily for 36 h"),
        ("daily from -2 d x 2", "daily x 2 from -2 d"),
        ("daily x 2 from day 0", "daily x 2"),
        ("daily x 2 then once", "daily x 2 then once"),
        ("daily x 2 then ketamine 35 mg im", "daily x 2 then once"),
        ("daily x 2 then ketamine 35 mg im, weekly x 2", "daily x 2 then weekly x 2"),
    ],
)
def test_schedules_are_read_in_every_form_and_printed_in_one(written: str, printed: str) -> None:
    regimen = parse_regimen(f"ketamine 35 mg im, {written}")
    assert print_regimen(regimen) == f"ketamine 35 mg intramuscular, {printed}"


def test_once_is_not_printed_at_the_start() -> None:
    assert print_regimen(parse_regimen("ketamine 35 mg im once")) == "ketamine 35 mg intramuscular"


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("at 24, 1 h before each dose", "at 1, 24 h before each dose"),
        ("at -1 h after each dose", "at 1 h before each dose"),
        ("at -1, 24 h after each dose", "at -1, 24 h after each dose"),
        ("at day 1 after each dose", "at 1 d after each dose"),
    ],
)
def test_delays_print_before_or_after_in_order_of_size(written: str, printed: str) -> None:
    regimen = parse_regimen(f"ketamine 35 mg im; CBT 50 min {written}")
    assert print_regimen(regimen) == f"ketamine 35 mg intramuscular; CBT 50 min, {printed}"


def test_lines_may_be_broken() -> None:
    text = "ketamine 35 mg im,\n  weekly x 2;\n\tCBT 50 min\n"
    assert parse_regimen(text) == parse_regimen("ketamine 35 mg im, weekly x 2; CBT 50 min")


def test_sessions_are_read() -> None:
    assert item("Cognitive behavioural therapy 1 h") == TherapySession.create(therapy="CBT", duration_min=60)
    assert item("ECT") == TherapySession.create(therapy="ECT")
    assert item("meaning-centred therapy 45 min").therapy == "meaning-centred therapy"  # type: ignore[union-attr]


def test_a_part_of_a_device_warns_while_reading() -> None:
    with pytest.warns(ResultWarning, match="70 mg of esketamine is no multiple"):
        parse_regimen("esketamine 70 mg intranasal")


@pytest.mark.parametrize(
    ("text", "word", "message"),
    [
        ("ketamin 35 mg im", "ketamin", "Unknown treatment 'ketamin'. Did you mean 'ketamine'"),
        ("mindfullness 20 min", "mindfullness", "Did you mean 'mindfulness'"),
        ("35 mg im", "35", "Expected the name of a treatment, such as 'ketamine'. Got '35'."),
        ("ketamine im", "im", "Expected an amount of ketamine, such as '0.5 mg/kg' or '35 mg'. Got 'im'."),
        ("ketamine 35 im", "im", "Unknown unit 'im'."),
        ("ketamine 0.5 mg/kq im", "mg/kq", "Unknown unit 'mg/kq'. Did you mean 'mg/kg'"),
        ("ketamine 35 mg/ im", "mg/ im", "Unknown unit 'mg/ im'."),
        ("ketamine 35 mg/; CBT", ";", "Expected a unit after '/'. Got ';'."),
        ("ketamine 3.5 ml im", "ml", "A volume needs its concentration: write milligrams."),
        ("ketamine 35; CBT", ";", "Expected a unit: mg, mg/kg, ug, ug/kg, mg/h, mg/kg/h or ug"),
        ("ketamine 0,5 mg im", ",", "Decimals are written with a point: '0.5'."),
        ("ketamine 35 mg (salt) im", "salt", "Expected 'hcl' or 'base' in the brackets. Got 'salt'."),
        ("ketamine 35 mg (hcl im", "im", "Expected ')'. Got 'im'."),
        ("ketamine 35 mg, weekly x 4", ",", "Expected a route: iv, im, sc, in, sl, po or er. Got ','."),
        ("ketamine 35 mg intramusculr", "intramusculr", "Did you mean 'intramuscular'"),
        ("ketamine 35 mg im extended release", "extended", "Expected a schedule such as"),
        ("ketamine 35 mg iv, weekly x 4", "iv", "'iv' needs its duration. Write 'iv over 40 min'"),
        ("ketamine 35 mg iv over 40; CBT", ";", "Expected min or h after the number. Got ';'."),
        ("ketamine 35 mg iv over 40 d", "d", "Unknown unit 'd'. "),
        ("ketamine 35 mg iv over 0.67 min", "0.67 min", "Got 0.67. Hours? 0.67 h is 40 min."),
        ("ketamine 35 mg iv over forty min", "forty", "Expected the duration of the infusion"),
        ("ketamine 35 mg im over 40 min", "over", "'over' belongs to an intravenous infusion."),
        ("ketamine 500 mg/kg im", "500 mg/kg", "Micrograms? 500 ug/kg is 0.5 mg/kg."),
        ("ketamine 5 then 10 mg im", "5 then 10 mg", "Steps of an infusion are rates, in mg/h or mg/kg/h."),
        ("ketamine 5 mg/h im", "5 mg/h", "'rate_steps' must be given by intravenous infusion."),
        ("ketamine 5 then 10 mg/h iv; CBT", ";", "Expected the duration of the rates, such as"),
        ("ketamine 5 then 10 mg/h iv, 60 min; CBT", ";", "Expected 'each' after"),
        ("ketamine 5 mg/h for 9 min then 1 mg/kg/h for 9 min iv", "mg/kg/h", "the same kind of unit"),
        ("ketamine 5 mg/h for 9 min then 1 mg/h iv", "iv", "Expected 'for' and the duration of the rate"),
        ("ketamine 35 mg im stopped at 5 min", "stopped at 5 min", "cannot be stopped or paused"),
        ("ketamine 35 mg iv over 9 min stopped 5 min", "5", "Expected 'at' and the minute, as in"),
        ("ketamine 35 mg iv over 9 min paused 5 min", "min", "Expected '-' and the end of the pause, as in"),
        ("ketamine 35 mg iv over 9 min paused 5-20 d", "d", "Unknown unit 'd'."),
        ("ketamine 35 mg iv over 9 min paused 10-20 min", "paused 10-20 min", "within the infusion"),
        ("ketamine 35 mg im held 5 min", "held 5 min", "Only a sublingual order is held in the mouth."),
        ("ketamine 35 mg sl held 5 min held 6 min", "held 6 min", "'held' can be written once."),
        ("ketamine 35 mg sl spat up", "up", "Expected 'out' after 'spat'. Got 'up'."),
        ("ketamine 35 mg im, twce weekly x 4", "twce", "after the comma. Got 'twce'. Did you mean 'twice'?"),
        ("ketamine 35 mg im wekly x 4", "wekly", "or the end. Got 'wekly'. Did you mean 'weekly'?"),
        ("ketamine 35 mg im, twice", "", "Expected 'daily' or 'weekly' after 'twice'."),
        ("ketamine 35 mg im, weekly", "weekly", "Write 'x 8' for 8 items or 'for 4 weeks'."),
        ("ketamine 35 mg im, x 4", "x", "'x' needs a pattern before it: daily, twice weekly"),
        ("ketamine 35 mg im, for 4 weeks", "for", "'for' needs a pattern before it"),
        ("ketamine 35 mg im, weekly x 2 x 3", "x 3", "'x' can be written once."),
        ("ketamine 35 mg im, weekly x 2 for 3 weeks", "x 2", "without a length of time. Got both."),
        ("ketamine 35 mg im, weekly x 2.5", "x 2.5", "'count' must be a whole number, 1"),
        ("ketamine 35 mg im, weekly x four", "four", "Expected the number of items, such as 'x 8'."),
        ("ketamine 35 mg im, weekly for 3 mg", "mg", "Unknown unit 'mg'."),
        ("ketamine 35 mg im, every 1 min x 3", "every 1 min", "'every_h' must be 0.25"),
        ("ketamine 35 mg im at 0, 24", "", "Expected a unit of time: h or d. Got the end of the text."),
        ("ketamine 35 mg im at 0, 24 dys", "dys", "Unknown unit 'dys'. Did you mean 'days'"),
        ("ketamine 35 mg im at noon", "noon", "Expected a time, such as '24 h' or 'day 3'. Got 'noon'."),
        ("ketamine 35 mg im; CBT 50 min at 1 h after dose", "dose", "Expected 'each dose' after 'after'."),
        ("ketamine 35 mg im at 0, 0 h", "at 0, 0 h", "'times_h' must be different from each other"),
        ("CBT, weekly x 4", "CBT", "'duration_min' of CBT must be given. Got nothing."),
        ("CBT 900 min", "900 min", "'duration_min' of CBT must be 1"),
        ("escitalopram 10 mg (hcl) po", "(hcl)", "'salt_form' of escitalopram must be 'base'."),
        ("saline 100 mg im", "100 mg", "'amount' of saline must be left out."),
        ("esketamine 1 mg/kg in", "1 mg/kg", "'amount_unit' of esketamine intranasal must be 'mg'."),
        ("ketamine HCl 35 mg im", "HCl", "Write 'ketamine 50 mg (hcl)'"),
        ("ketamine 35 mg im;", "", "Expected the name of a treatment"),
        ("ketamine 35 mg im @ day 3", "@", "A regimen cannot contain '@'."),
        ("ketamine 1e999 mg im", "1e999", "The number is too large."),
        ("", "", "The regimen is empty. Write, for example, 'ketamine 0.5 mg/kg iv over 40 min'."),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong_and_point_at_the_word(text: str, word: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(message)) as caught:
        parse_regimen(text)
    _, line, carets = str(caught.value).rsplit("\n", 2)
    start = carets.index("^")
    assert line == f"  {text}"
    if word:
        assert line[start : start + carets.count("^")] == word
    else:
        assert (start, carets.count("^")) == (2 + len(text), 1)


def test_the_pointer_stands_under_the_line_of_the_word() -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse_regimen("ketamine 35 mg im;\n\tmindfullness 20 min;\nECT")
    assert str(caught.value).splitlines()[1:] == ["   mindfullness 20 min;", "   ^^^^^^^^^^^^"]


def test_unknown_names_are_key_errors_too() -> None:
    with pytest.raises(KeyError):
        parse_regimen("ketamine 35 mg intranasl")


def test_reading_a_regimen_loads_no_heavy_library() -> None:
    code = (
        "import sys; from euthymia.dosing.notation import parse_regimen; parse_regimen('ketamine 35 mg im');"
        "print(sorted({'polars', 'pint', 'scipy', 'pydantic', 'plotly'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# --- what may be left out, and names that begin like a schedule --------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "escitalopram 10 mg{}, daily x 3",
        "escitalopram 10 mg{} daily x 3",
        "sertraline 50 mg{}",
        "venlafaxine 75 mg (hcl){}, daily x 2 from -3 d",
        "duloxetine 60 mg{} at 0, 24 h; ketamine 35 mg im",
        "escitalopram 10 mg{}, daily x 7 then escitalopram 20 mg{}, daily x 7",
    ],
)
def test_the_route_of_an_antidepressant_may_be_left_out(text: str) -> None:
    left_out = parse_regimen(text.replace("{}", ""))
    assert left_out == parse_regimen(text.replace("{}", " po"))
    assert parse_regimen(print_regimen(left_out)) == left_out


@pytest.mark.parametrize("drug", ["ketamine", "midazolam", "esketamine"])
def test_no_other_drug_goes_without_a_route(drug: str) -> None:
    with pytest.raises(InvalidInputError, match="Expected a route"):
        parse_regimen(f"{drug} 28 mg, daily x 3")


def test_a_therapy_whose_name_begins_like_a_schedule_may_follow_then() -> None:
    found = parse_regimen("CBT 60 min, weekly x 2 then daily practice 10 min, daily x 3 then daily x 2")
    named = [(start_h, item.therapy) for start_h, item in found.items if isinstance(item, TherapySession)]
    assert [name for _, name in named] == ["CBT"] * 2 + ["daily practice"] * 5
    assert parse_regimen(print_regimen(found)) == found
    goes_on = parse_regimen("daily practice 10 min, weekly x 2 then daily x 3")
    assert len(goes_on.items) == 5
