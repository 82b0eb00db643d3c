"""Figures of a trial: what is drawn is what was given, and nothing overlaps or is cut."""

from __future__ import annotations

from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.unit.plots.drawn import drawn

from euthymia.plots.arms import arm_styles, key_html, panels_html
from euthymia.plots.consort import ArmFlow, Flow, consort_figure
from euthymia.plots.contrasts import Contrast, forest_figure, replicate_figure
from euthymia.plots.power import PowerLine, power_figure
from euthymia.plots.survival import AtRisk, Steps, survival_at_risk_figure
from euthymia.plots.trials import Bar, Course, Published, course_figure, event_figure, share_figure
from euthymia.plots.waterfall import Exposed, exposure_response_figure, steps_of, waterfall_figure
from euthymia.trials.analysis.survival import kaplan_meier

NAN = float("nan")
LONG = "esketamine 84 mg nasal spray + an antidepressant that was newly begun"
STYLES = arm_styles({"high": "ketamine 1.0 mg/kg", "low": "ketamine 0.5 mg/kg", "none": "saline"})


def flow_of(count: int, label: str = "ketamine 0.5 mg/kg", **changes: Any) -> Flow:
    styles = arm_styles({f"arm {place}": f"{label} {place}" for place in range(count)})
    arms = [
        ArmFlow(
            style=style,
            allocated=20,
            left=(("withdrew", 2), ("withdrew after an adverse event", 3)),
            completed=15,
            analysed=20,
            rated="14 rated at day 14",
        )
        for style in styles.values()
    ]
    given: dict[str, Any] = {
        "screened": 40 * count,
        "enrolled": 20 * count,
        "not_enrolled": (("without the entry rule", 20 * count),),
        "arms": tuple(arms),
    }
    return Flow(**given | changes)


def drawings(flow: Flow) -> list[ElementTree.Element]:
    """Return the SVG drawings of a flow."""
    root = ElementTree.fromstring(f"<x>{consort_figure(flow)}</x>")
    return [one for one in root.iter("svg") if one.get("class") == "flow"]


def boxes(svg: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    """Return left, top, right, bottom of the boxes with text."""
    found = []
    for one in svg.iter("rect"):
        if one.get("fill") == "#fff":
            x, y, width, height = (float(one.get(name) or 0) for name in ("x", "y", "width", "height"))
            found.append((x, y, x + width, y + height))
    return found


# --- arms --------------------------------------------------------------------------------------


def test_a_dozen_arms_are_told_apart_by_colour_and_dash_and_by_marker():
    styles = arm_styles({str(place): str(place) for place in range(12)}).values()

    assert len({(one.colour, one.dash) for one in styles}) == 12
    assert len({(one.colour, one.marker) for one in styles}) == 12
    neighbours = list(styles)[:6]
    assert len({one.dash for one in neighbours}) == len({one.marker for one in neighbours}) == 6


def test_labels_of_arms_cannot_break_out_of_a_page():
    styles = arm_styles({"a": "</script><script>alert(1)</script>"})

    key = key_html(list(styles.values()))
    bars = [Bar(style=styles["a"], share=0.5, low=0.4, high=0.6)]
    page = key + panels_html([("<b>", share_figure(bars, quantity="Patients (%)"))])

    assert "<script>alert" not in page
    assert "&lt;b&gt;" in page


# --- CONSORT -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9])
@pytest.mark.parametrize("label", ["saline", LONG])
def test_boxes_of_the_flow_do_not_overlap_and_lie_inside(count: int, label: str):
    lead_in = (("left before day 112", 3), ("without stable remission at day 112", 30))

    for svg in drawings(flow_of(count, label, lead_in=lead_in)):
        _, _, width, height = (float(one) for one in (svg.get("viewBox") or "").split())
        found = boxes(svg)
        assert len(found) >= 4 + count
        for x0, y0, x1, y1 in found:
            assert x0 >= 0
            assert y0 >= 0
            assert x1 <= width
            assert y1 <= height
        for one, other in combinations(found, 2):
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart, (one, other)


@pytest.mark.parametrize("count", [2, 5, 8])
def test_texts_of_the_flow_fit_into_their_boxes(count: int):
    # 0.62 em is the mean width of bold letters in the widest font of a page, digits included
    for svg in drawings(flow_of(count, LONG)):
        found = boxes(svg)
        size = float(svg.get("font-size") or 0)
        for text in svg.iter("text"):
            if text.get("text-anchor"):
                continue
            x, y = float(text.get("x") or 0), float(text.get("y") or 0)
            words = "".join(text.itertext())
            inside = [box for box in found if box[0] < x < box[2] and box[1] < y < box[3]]
            assert inside, words
            letter = 0.62 if text.get("font-weight") == "600" else 0.54
            assert x + letter * size * len(words) <= inside[0][2], words


def test_flow_shows_every_count_and_reason():
    wide, narrow = drawings(flow_of(2))

    for svg in (wide, narrow):
        words = [" ".join("".join(one.itertext()).split()) for one in svg.iter("text")]
        for text in (
            "Screened 80",
            "Not enrolled 40",
            "Randomised 40",
            "Left 5",
            "Completed 15",
            "Analysed 20",
        ):
            assert text in words
        assert words.count("Allocated 20") == 2
    assert "allocated 20, left 5, completed 15, analysed 20" in (wide.get("aria-label") or "")


def test_one_arm_is_enrolled_and_not_randomised():
    (wide, _) = drawings(flow_of(1, is_randomised=False))

    words = ["".join(one.itertext()) for one in wide.iter("text")]

    assert "Enrolled 20" in words
    assert not any(word.startswith("Randomised") for word in words)


def test_narrow_drawing_is_as_wide_as_a_telephone():
    narrow = drawings(flow_of(5))[1]

    assert float((narrow.get("viewBox") or "").split()[2]) <= 358


# --- courses -----------------------------------------------------------------------------------


def course(times_h: list[float], mean: list[float], name: str = "high", reach: float = 1.0) -> Course:
    middle = np.array(mean)
    times = np.array(times_h)
    return Course(style=STYLES[name], times_h=times, mean=middle, low=middle - reach, high=middle + reach)


def test_visits_at_which_nobody_was_rated_are_left_out():
    html = course_figure([course([0.0, 24.0, 168.0], [30.0, NAN, 20.0])], quantity="MADRS total (points)")

    traces, layout = drawn(html)

    assert list(traces[-1]["x"]) == [0.0, 7.0]
    assert list(traces[-1]["y"]) == [30.0, 20.0]
    assert layout["yaxis"]["title"]["text"] == "MADRS total (points)"
    assert layout["xaxis"]["title"]["text"] == "Days after the first dose"


def test_visits_in_the_first_hours_ask_for_a_square_root_axis():
    times = [0.0, 2 / 3, 2.0, 24.0, 168.0, 336.0]

    traces, layout = drawn(course_figure([course(times, [30.0] * 6)], quantity="x"))

    assert traces[-1]["x"] == pytest.approx(np.sqrt(np.array(times) / 24.0))
    assert "square-root" in layout["xaxis"]["title"]["text"]
    places, labels = layout["xaxis"]["tickvals"], layout["xaxis"]["ticktext"]
    assert labels[0] == "0"
    assert labels[-1] == "14"
    letters = np.array([len(label) for label in labels])
    # on 290 px a letter of 7 px is 0.024 of the axis
    width = layout["xaxis"]["range"][1] - layout["xaxis"]["range"][0]
    assert (np.diff(places) > 0.024 * width * (letters[1:] + letters[:-1]) / 2).all()


def test_arms_with_bars_stand_apart_and_keep_their_days_in_what_a_pointer_reads():
    three = [course([0.0, 168.0], [30.0, 20.0], name) for name in STYLES]

    traces, _ = drawn(course_figure(three, quantity="x"))

    ends = [trace["x"][-1] for trace in traces]
    assert len(traces) == len(set(ends)) == 3
    assert {trace["customdata"][-1][0] for trace in traces} == {7.0}
    assert [trace["line"]["color"] for trace in traces] == [one.colour for one in STYLES.values()]
    assert [trace["line"]["dash"] for trace in traces] == [one.dash for one in STYLES.values()]


def test_published_points_are_drawn_open_in_the_colour_of_their_arm_with_their_interval():
    beside = Published(
        style=STYLES["low"],
        times_h=np.array([168.0]),
        value=np.array([18.0]),
        low=np.array([15.0]),
        high=np.array([NAN]),
        source="Fava2018",
    )

    traces, _ = drawn(course_figure([course([0.0, 168.0], [30.0, 20.0])], [beside], quantity="x"))

    point = traces[-1]
    assert list(point["y"]) == [18.0]
    assert list(point["error_y"]["arrayminus"]) == [3.0]
    assert list(point["error_y"]["array"]) == [0.0]
    assert point["marker"]["color"] == "white"
    assert point["marker"]["line"]["color"] == STYLES["low"].colour
    assert "Fava2018" in point["name"]


# --- shares ------------------------------------------------------------------------------------


def test_bars_are_per_cent_with_their_interval_and_published_ones_beside():
    bars = [
        Bar(style=STYLES["high"], share=0.6, low=0.5, high=0.75, observed=0.4, observed_low=0.2),
        Bar(style=STYLES["none"], share=0.1, low=0.0, high=0.2),
    ]

    (bar, points), layout = drawn(share_figure(bars, quantity="Patients (%)"))

    assert bar["x"] == pytest.approx([60.0, 10.0])
    assert bar["error_x"]["array"] == pytest.approx([15.0, 10.0])
    assert bar["error_x"]["arrayminus"] == pytest.approx([10.0, 10.0])
    assert list(points["x"]) == pytest.approx([40.0])
    assert layout["yaxis"]["ticktext"] == ["ketamine 1.0<br>mg/kg", "saline"]


def test_arms_of_the_same_label_keep_a_line_each():
    same = arm_styles({"a": "ketamine", "b": "ketamine"})
    bars = [Bar(style=one, share=0.5, low=0.4, high=0.6) for one in same.values()]

    (bar,), _ = drawn(share_figure(bars, quantity="x"))

    assert len(set(bar["y"])) == 2


def test_events_have_a_row_each_with_the_arms_below_each_other():
    bars = [Bar(style=one, share=0.2, low=0.1, high=0.3) for one in STYLES.values()]

    traces, layout = drawn(event_figure([("nausea", bars), ("dizziness", bars)], quantity="Patients (%)"))

    assert layout["yaxis"]["ticktext"] == ["nausea", "dizziness"]
    places = sorted(place for trace in traces for place in trace["y"])
    assert len(places) == 6
    assert np.diff(places).min() > 0.2
    assert layout["xaxis"]["range"][1] == pytest.approx(1.02 * 40.0)


# --- individuals -------------------------------------------------------------------------------


def test_waterfall_is_sorted_and_has_the_line_of_response():
    html = waterfall_figure(
        np.array([-60.0, NAN, 10.0, -20.0]), style=STYLES["high"], lowest=-104.0, highest=29.0, line=-50.0
    )

    (bar,), layout = drawn(html)

    assert list(bar["y"]) == [10.0, -20.0, -60.0]
    assert [shape["y0"] for shape in layout["shapes"]] == [-50.0, 0]
    assert bar["marker"]["color"] == STYLES["high"].colour


def test_few_doses_are_summarised_each():
    exposure = np.array([0.5, 0.5, 0.5, 1.0, 1.0, 0.0, NAN])
    change = np.array([-4.0, -6.0, -8.0, -10.0, -20.0, -99.0, -99.0])

    steps = steps_of(exposure, change)

    assert [(one.exposure, one.middle, one.count) for one in steps] == [(0.5, -6.0, 3), (1.0, -15.0, 2)]
    assert (steps[0].low, steps[0].high) == (-7.0, -5.0)


def test_many_exposures_are_summarised_by_quarter():
    exposure = np.linspace(1.0, 8.0, 80)

    steps = steps_of(exposure, -exposure)

    assert [one.count for one in steps] == [20, 20, 20, 20]
    assert [one.middle for one in steps] == pytest.approx([-one.exposure for one in steps])


def test_patients_of_the_same_exposure_stand_apart_and_keep_it_in_what_a_pointer_reads():
    arm = Exposed(style=STYLES["high"], exposure=np.full(5, 0.5), change=np.arange(5.0))
    steps = steps_of(arm.exposure, arm.change)

    (points, middle), layout = drawn(
        exposure_response_figure([arm], steps, exposure="Given (mg/kg)", change="Change (points)")
    )

    assert len(set(points["x"])) == 5
    assert set(points["customdata"]) == {0.5}
    assert list(middle["y"]) == [2.0]
    assert layout["xaxis"]["title"]["text"] == "Given (mg/kg)"


# --- relapse -----------------------------------------------------------------------------------


def at_risk_of(days: list[float], has_relapsed: list[bool], name: str) -> AtRisk:
    curve = kaplan_meier(days, has_relapsed)
    times = np.unique([0.0, *curve.times])
    share, low, high = curve.at(times)
    steps = Steps(label=STYLES[name].label, days=times, share=share, low=low, high=high)
    return AtRisk(style=STYLES[name], steps=steps, at_risk=curve.count_at_risk)


def test_numbers_at_risk_are_those_followed_until_each_day():
    days = [7.0, 7.0, 14.0, 28.0, 28.0]
    arm = at_risk_of(days, [True, False, True, False, False], "high")

    traces, layout = drawn(survival_at_risk_figure([arm], start="day 28"))

    counts = next(trace for trace in traces if trace["mode"] == "text")
    assert [int(one) for one in counts["text"]] == [sum(day >= x for day in days) for x in counts["x"]]
    assert list(counts["x"]) == list(layout["xaxis"]["tickvals"])
    assert layout["xaxis"]["title"]["text"] == "Days after day 28"


def test_bands_of_many_arms_are_left_out():
    arms = [at_risk_of([7.0, 14.0, 28.0], [True, True, False], name) for name in STYLES]
    fourth = arm_styles({**{name: one.label for name, one in STYLES.items()}, "d": "fourth"})["d"]

    def bands(given: list[AtRisk]) -> int:
        return sum("fill" in trace for trace in drawn(survival_at_risk_figure(given, start="day 0"))[0])

    assert bands(arms) == 3
    assert bands([*arms, AtRisk(style=fourth, steps=arms[0].steps, at_risk=arms[0].at_risk)]) == 0


# --- contrasts and power -----------------------------------------------------------------------


def test_every_replicate_with_an_estimate_is_in_a_bar():
    values = np.concatenate([np.random.default_rng(1).normal(-5.0, 2.0, 200), [NAN, np.inf]])

    traces, layout = drawn(
        replicate_figure(
            values, style=STYLES["high"], quantity="Difference (points)", observed=(-9.0, -12.0, NAN)
        )
    )

    assert np.sum(traces[0]["y"], dtype=int) == 200
    middle = next(shape["x0"] for shape in layout["shapes"] if shape["line"]["width"] == 2)
    assert middle == pytest.approx(values[:200].mean())
    assert list(traces[1]["x"]) == [-9.0]
    low, high = layout["xaxis"]["range"]
    assert low < -12.0
    assert high > 0.0


def test_a_ratio_stands_on_a_logarithmic_axis_with_one_marked():
    values = np.exp(np.random.default_rng(1).normal(-0.7, 0.3, 100))

    traces, layout = drawn(
        replicate_figure(values, style=STYLES["high"], quantity="Hazard ratio", is_ratio=True)
    )

    assert np.sum(traces[0]["y"], dtype=int) == 100
    ticks = dict(zip(layout["xaxis"]["ticktext"], layout["xaxis"]["tickvals"], strict=True))
    assert ticks["1"] == 0.0
    assert ticks["0.5"] == pytest.approx(np.log(0.5))


def test_published_results_that_are_not_open_leave_no_mark():
    rows = [
        Contrast(
            label="ketamine - saline, day 1",
            simulated=-5.0,
            low=-8.0,
            high=-2.0,
            observed=NAN,
            observed_low=NAN,
            observed_high=NAN,
        )
    ] * 2

    (simulated, published), layout = drawn(forest_figure(rows, quantity="Difference (points)"))

    assert len(set(simulated["y"])) == 2
    assert len(layout["yaxis"]["ticktext"]) == 2
    assert not any(np.isfinite(one) for one in np.array(published["x"], float))


def test_power_is_drawn_with_its_band_its_formula_and_the_target():
    sizes = np.array([20, 40])
    line = PowerLine(
        style=STYLES["high"],
        sizes=sizes,
        power=np.array([0.5, 0.8]),
        low=np.array([0.4, 0.7]),
        high=np.array([0.6, 0.9]),
        closed_form=np.array([0.52, 0.81]),
    )

    (band, formula, power), layout = drawn(power_figure([line], target=0.9))

    assert band["y"] == pytest.approx([60.0, 90.0, 70.0, 40.0])
    assert formula["y"] == pytest.approx([52.0, 81.0])
    assert power["y"] == pytest.approx([50.0, 80.0])
    assert layout["shapes"][0]["y0"] == pytest.approx(90.0)
    assert layout["xaxis"]["title"]["text"] == "Patients in each arm"
