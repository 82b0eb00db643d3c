"""What each mechanism predicts of a regimen, as tables, JSON and parts of a report."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from euthymia.cli import show

if TYPE_CHECKING:
    from euthymia.files.report import Section
    from euthymia.plots.chain import Line
    from euthymia.population.rivals import Ensemble, Rival

NOT_REFITTED = (
    "Sizes of rivals are not set to anything: compare a row with the first row of its own mechanism, not one "
    "mechanism's points with another's."
)
NOT_WEIGHTED = (
    "Each mechanism counts once, not weighted by how likely it is, so the band is no interval of anything. "
    "An edge need not be the course of one mechanism, and its width holds sizes of rivals that nothing set."
)
LINKS = (
    ("nmda_block_interneuron_fraction", "NMDA block,<br>interneurons", 0.0),
    ("glutamate_surge_relative", "Glutamate", 1.0),
    ("plasticity_drive_fraction", "Drive", 0.0),
    ("ampa_potentiation_fraction", "AMPA", 0.0),
    ("synaptic_protein_relative", "Synaptic protein", 0.0),
    ("prefrontal_synapses_fraction", "Synapses,<br>prefrontal", None),
    ("madrs_points", "MADRS", None),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What is shown of a regimen: each mechanism, the band over them, and why an experiment is left out."""

    regimen: str
    weight_kg: float
    found: Sequence[Rival]
    band: Ensemble | None
    left_out: Mapping[str, str]


def print_prediction(seen: Prediction, *, width: int) -> None:
    """Print mechanism by experiment, what is left out, and the band."""
    print(f"{seen.regimen}: one typical patient of {seen.weight_kg:g} kg\n")
    heads = _heads()
    show.table(heads, _rows(seen.found), right=tuple(range(2, len(heads))))
    for text in _left_out_texts(seen):
        print(textwrap.fill(text, width) + "\n")
    if seen.band is not None:
        heads = _band_heads(seen)
        show.table(heads, _band_rows(seen.band), right=tuple(range(1, len(heads))))
        for text in _band_texts(seen.band):
            print(textwrap.fill(text, width))
        print()


def prediction_document(seen: Prediction) -> dict[str, Any]:
    """Return what belongs to all mechanisms together, as JSON."""
    from euthymia.population.rivals import READ_DAYS

    document: dict[str, Any] = {
        "regimen": seen.regimen,
        "days": list(READ_DAYS),
        "left_out": dict(seen.left_out),
    }
    if seen.band is not None:
        document["ensemble"] = _band_document(seen.band)
    return document


def prediction_sections(seen: Prediction) -> list[Section]:
    """Return the parts of a report: the band, the chain by mechanism, every experiment."""
    from euthymia.files.report import Section, TableBlock

    heads = _heads()
    table = TableBlock(heads=heads, rows=_rows(seen.found), right=tuple(range(2, len(heads))))
    return [
        *([_band_section(seen, seen.band)] if seen.band is not None else []),
        Section(
            title="The chain, by mechanism",
            figure=_chain_html(seen.found),
            caption="Simulated: one typical patient without expectancy.",
        ),
        Section(title="What each predicts", tables=[table], texts=_left_out_texts(seen)),
    ]


def _days() -> tuple[str, ...]:
    from euthymia.cli.chain import day_label
    from euthymia.population.rivals import READ_DAYS

    return tuple(day_label(day) for day in READ_DAYS)


def _heads() -> tuple[str, ...]:
    return ("mechanism", "change of MADRS", *_days())


def _rows(found: Sequence[Rival]) -> list[list[str]]:
    from euthymia.population.rivals import experiments

    return [
        [
            one.mechanism.name if place == 0 else "",
            experiment.title,
            *(f"{points:+z.1f}" for points in one.change_points[experiment.id]),
        ]
        for one in found
        for place, experiment in enumerate(experiments())
        if experiment.id in one.change_points
    ]


def _left_out_texts(seen: Prediction) -> list[str]:
    """Return which experiments the regimen does not allow, and why."""
    from euthymia.population.rivals import experiments

    titles = {one.id: one.title for one in experiments()}
    return [f"Left out: {titles[key]}. {reason}" for key, reason in seen.left_out.items()]


def _band_heads(seen: Prediction) -> tuple[str, ...]:
    return (f"change of MADRS, {len(seen.found)} mechanisms", *_days())


def _band_rows(band: Ensemble) -> list[list[str]]:
    return [
        [edge, *(f"{points:+z.1f}" for points in changes)] for edge, changes in band.change_points.items()
    ]


def _band_texts(band: Ensemble) -> list[str]:
    """Return what must be said beside the band."""
    same = "; ".join(", ".join(names) for names in band.same_course)
    shared = [f"One course is shared by {same}: the median leans that way."] if same else []
    return [_edges_text(band), NOT_WEIGHTED, *shared]


def _edges_text(band: Ensemble) -> str:
    """Return which mechanisms are lowest and highest on which days."""
    return " ".join(
        f"{edge}: {'; '.join(f'{name} ({days})' for name, days in _days_by(names).items())}."
        for edge, names in (("Lowest", band.lowest_by), ("Highest", band.highest_by))
    )


def _days_by(names: Sequence[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for name, day in zip(names, _days(), strict=True):
        found.setdefault(name, []).append(day)
    return {name: ", ".join(days) for name, days in found.items()}


def _band_document(band: Ensemble) -> dict[str, Any]:
    return {
        "note": NOT_WEIGHTED,
        "times_h": band.times_h.tolist(),
        "madrs_points": {edge: points.tolist() for edge, points in band.points.items()},
        "madrs_change_points": {edge: list(points) for edge, points in band.change_points.items()},
        "lowest_by": list(band.lowest_by),
        "highest_by": list(band.highest_by),
        "same_course": [list(names) for names in band.same_course],
    }


def _band_section(seen: Prediction, band: Ensemble) -> Section:
    from euthymia.files.report import Section, TableBlock
    from euthymia.plots.chain import Line
    from euthymia.plots.concentrations import to_html
    from euthymia.plots.ensemble import ensemble_figure

    middle = Line(
        label="median of the mechanisms",
        times_h=band.times_h,
        median=band.points["median"],
        low=band.points["lowest"],
        high=band.points["highest"],
    )
    lines = [_line(one, "madrs_points", place) for place, one in enumerate(seen.found)]
    figure = ensemble_figure(
        middle, lines, quantity="MADRS (points)", doses_h=seen.found[0].course.session_starts_h
    )
    heads = _band_heads(seen)
    table = TableBlock(heads=heads, rows=_band_rows(band), right=tuple(range(1, len(heads))))
    return Section(
        title="Over the mechanisms",
        texts=_band_texts(band),
        figure=to_html(figure),
        caption="Simulated: one typical patient without expectancy. Thin lines: mechanisms. Band: from the "
        "lowest to the highest at each time.",
        tables=[table],
    )


def _chain_html(found: Sequence[Rival]) -> str:
    from euthymia.plots.chain import ChainPanel, Marks, chain_figure
    from euthymia.plots.concentrations import to_html

    first = found[0].course
    panels = [
        ChainPanel(
            quantity=title,
            unit="1",
            floor=floor,
            lines=tuple(_line(one, stem, place) for place, one in enumerate(found)),
        )
        for stem, title, floor in LINKS
    ]
    marks = Marks(doses_h=first.session_starts_h)
    return to_html(chain_figure(panels, horizon_h=float(first.times_h[-1]), marks=marks))


def _line(one: Rival, stem: str, place: int) -> Line:
    from euthymia.plots.chain import Line

    return Line(
        label=one.mechanism.name,
        times_h=one.course.times_h,
        median=np.asarray(one.course.values[stem][0]),
        style=place,
    )
