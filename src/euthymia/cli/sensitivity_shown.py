"""A sensitivity analysis as tables on a terminal, JSON, CSV and a report."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from euthymia.cli import show
from euthymia.population.sensitivity import OUTPUTS, Output, Sensitivity
from euthymia.population.sensitivity_indices import LEVEL, RESAMPLES, Index, Sobol
from euthymia.population.sensitivity_inputs import CHOSEN, GROUPS, Input

if TYPE_CHECKING:
    import polars

    from euthymia.files.report import Section, TableBlock

WIDTH = 96
SHOWN = 0.005
"""Inputs whose total index and local share are below this stand in the file only."""
HEADS = (
    "input",
    "",
    "input from, to",
    "output then",
    "per SD",
    "elasticity",
    "first order",
    "total",
)
CAVEATS = (
    "A share of variance is no effect of treatment and no cause in a patient: it says which number, were it "
    "known, would narrow the prediction of this model.",
    "Only what is calibrated counts as not known. All other constants, those of dissociation and blood "
    "pressure among them, have no prior and are held, which does not mean that they are known.",
    "Inputs are independent here; where evidence ties them together, indices would be others. Weight, age, "
    "comedication and chance (swings of mood, events) are not moved.",
)
WIDTHS = (
    "Shares of variance depend on how wide each input was let vary: {}, those between people partly assumed. "
    "A wider input takes a larger share, whatever the biology."
)
HOW_READ = (
    "From, to: the 16 % and 84 % points of the input, and the output there with all else typical. Per SD: "
    "slope at the typical value. Elasticity: per cent of the output for a per cent of the input. First "
    "order: share of variance with this input alone; total: with its interactions (95 % interval)."
)


def caveats(found: Sensitivity) -> tuple[str, ...]:
    """Return what an analysis rests on, and what it cannot say."""
    from euthymia.cli.chain import rests_on

    made = found.course.provenance
    widths = "what is not known by a posterior" if made.posterior else "the widths of the priors are assumed"
    return (rests_on(made), WIDTHS.format(widths), *CAVEATS)


# --- terminal ----------------------------------------------------------------------------------------


def print_tables(found: Sensitivity) -> None:
    """Print what was moved, a table by group, one for each output, and what it rests on."""
    print(found.course.provenance.regimen)
    print(what(found))
    if found.by_group:
        heads, rows = group_rows(found)
        show.table(heads, rows, right=range(1, len(heads)))
    for output in OUTPUTS:
        print(f"{output.meaning}: {_summary(found, output)}")
        rows = output_rows(found, output)
        if rows:
            show.table(HEADS, rows, right=range(2, len(HEADS)))
    for text in (HOW_READ, *held_texts(found), *caveats(found)):
        print(textwrap.fill(text, WIDTH))
    print(show.NOT_A_DEVICE)


def what(found: Sensitivity) -> str:
    """Return what was moved and how, in a line."""
    made = found.course.provenance
    changed = [f"{key}={value:g}" for key, value in made.overrides.items()]
    return (
        f"{', '.join(('typical patient', f'{made.weight_kg[0]:g} kg', *made.covariates))}; "
        f"set {', '.join((made.parameters, *changed))}; {len(found.inputs)} inputs moved alone, "
        f"{len(found.varied)} together; {found.samples} samples, {found.sets} parameter sets; "
        f"seed {found.seed}; engine {made.engine}; euthymia {made.version}"
    )


def _summary(found: Sensitivity, output: Output) -> str:
    """Return the typical value of an output and how it varies."""
    one = widest(found, output)
    typical = f"{show.significant(found.typical[output.name])} {output.unit} in the typical patient"
    if not one.indices:
        return f"{typical}; it does not vary."
    return (
        f"{typical}; over all that is moved {show.significant(one.p50)} "
        f"({show.significant(one.p05)} to {show.significant(one.p95)}, 5–95 %), SD "
        f"{show.significant(one.sd)}; first orders add to "
        f"{sum(index.first for index in found.sobol[output.name].indices.values()):.2f}."
    )


def widest(found: Sensitivity, output: Output) -> Sobol:
    """Return how an output varies with all inputs moving, or with those that were moved together."""
    return (found.by_group or found.sobol)[output.name]


def group_rows(found: Sensitivity) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows of the indices by group: total, first order in brackets."""
    groups = [key for key in GROUPS if any(one.group == key for one in found.inputs)]
    rows = [
        [output.meaning, *(_pair(found.by_group[output.name].indices.get(key)) for key in groups)]
        for output in OUTPUTS
    ]
    return ["total index (first order)", *(GROUPS[key] for key in groups)], rows


def _pair(index: Index | None) -> str:
    return (
        "–" if index is None else f"{_with_width(index.total, index.total_half_width)} ({index.first:z.2f})"
    )


def _with_width(value: float, half_width: float) -> str:
    return f"{value:z.2f} ± {half_width:.2f}"


def shown_inputs(found: Sensitivity, output: Output) -> list[Input]:
    """Return the inputs that matter to an output, the largest total index first."""
    indices, local = found.sobol[output.name].indices, found.local[output.name]
    kept = [
        one
        for one in found.inputs
        if one.name in indices and max(indices[one.name].total, local[one.name].share) >= SHOWN
    ]
    return sorted(kept, key=lambda one: -indices[one.name].total)


def output_rows(found: Sensitivity, output: Output) -> list[list[str]]:
    """Return a row for each input that matters to an output."""
    rows = []
    for one in shown_inputs(found, output):
        local, index = found.local[output.name][one.name], found.sobol[output.name].indices[one.name]
        rows.append(
            [
                one.name,
                GROUPS[one.group],
                _from_to(one),
                f"{show.significant(local.at_low)} to {show.significant(local.at_high)}",
                show.significant(local.slope_per_sd, 2),
                "–" if local.elasticity is None else f"{local.elasticity:+z.2f}",
                _with_width(index.first, index.first_half_width),
                _with_width(index.total, index.total_half_width),
            ]
        )
    return rows


def _from_to(one: Input) -> str:
    low, high = (show.significant(float(one.value(z)), 2) for z in (-1.0, 1.0))
    return f"{low} to {high}"


def held_texts(found: Sensitivity) -> list[str]:
    """Return what was held in the Sobol analysis, how much that leaves out, and what moves nothing."""
    still = {one.name for one in found.without_effect}
    held = [one for one in found.held if one.name not in still]
    texts = []
    if held:
        sizes = "; ".join(_held_size(found, output, held) for output in OUTPUTS)
        texts.append(
            f"Held at their typical values in the Sobol analysis by input: {_names(held)}. Largest local "
            f"effect left out, and its share of the squared local effects: {sizes}."
        )
    if found.by_group:
        kept = [(output, found.variance_kept(output.name)) for output in OUTPUTS]
        shares = ", ".join(f"{one.meaning} {share:.2f}" for one, share in kept if share is not None)
        texts.append(
            "Variance with these held over that with everything moving, as estimated from the samples: "
            f"{shares}. The indices by group hold nothing."
        )
    if still:
        texts.append(f"Without effect on any output here: {_names(found.without_effect)}.")
    return texts


def _names(inputs: Sequence[Input]) -> str:
    return ", ".join(one.name for one in inputs)


def _held_size(found: Sensitivity, output: Output, held: Sequence[Input]) -> str:
    effects = found.local[output.name]
    size = max(effects[one.name].size for one in held)
    return f"{output.meaning} {show.significant(size, 2)} {output.unit} ({found.held_share(output.name):.1%})"


# --- files -------------------------------------------------------------------------------------------


def document(found: Sensitivity, command: Sequence[str]) -> dict[str, Any]:
    """Return an analysis in the shape of ``euthymia.sensitivity/1``; no wall times or dates."""
    made = found.course.provenance
    return {
        "schema": "euthymia.sensitivity/1",
        "command": list(command),
        "version": made.version,
        "seed": found.seed,
        "regimen": made.regimen,
        "status": "simulated; research software, not a medical device",
        "parameters": made.parameters,
        "posterior": made.posterior or None,
        "overrides": dict(made.overrides),
        "weight_kg": made.weight_kg[0],
        "covariates": list(made.covariates),
        "engine": made.engine,
        "sources": list(made.sources),
        "samples": found.samples,
        "resamples": RESAMPLES,
        "level": LEVEL,
        "sets": found.sets,
        "what_it_rests_on": list(caveats(found)),
        "inputs": [_input(found, one) for one in found.inputs],
        "outputs": [_output(found, one) for one in OUTPUTS],
        "warnings": list(found.course.warnings),
    }


def _input(found: Sensitivity, one: Input) -> dict[str, Any]:
    return {
        "name": one.name,
        "group": one.group,
        "fields": list(one.fields),
        "unit": one.unit,
        "distribution": one.about,
        "typical": float(one.value(one.nominal)),
        "low": float(one.value(-1.0)),
        "high": float(one.value(1.0)),
        "is_held": one.name not in found.varied,
    }


def _output(found: Sensitivity, output: Output) -> dict[str, Any]:
    sobol = found.sobol[output.name]
    kept = found.variance_kept(output.name)
    return {
        "name": output.name,
        "meaning": output.meaning,
        "unit": output.unit,
        "typical": found.typical[output.name],
        "local": {name: asdict(one) for name, one in found.local[output.name].items()},
        "held_local_share": found.held_share(output.name),
        "variance_kept": kept,
        "by_input": _sobol(sobol),
        "by_group": _sobol(found.by_group[output.name]) if found.by_group else None,
    }


def _sobol(one: Sobol) -> dict[str, Any]:
    return {
        "mean": one.mean,
        "sd": one.sd,
        "p05": one.p05,
        "p50": one.p50,
        "p95": one.p95,
        "indices": {name: asdict(index) for name, index in one.indices.items()},
    }


def frame(found: Sensitivity) -> polars.DataFrame:
    """Return an analysis as a long table: a row for each output and input, then for each group."""
    import polars

    rows: list[dict[str, Any]] = []
    for output in OUTPUTS:
        common = {"output": output.name, "unit": output.unit, "typical": found.typical[output.name]}
        indices = found.sobol[output.name].indices
        rows += [
            common
            | {"kind": "input", "input": one.name, "group": one.group}
            | {"input_low": float(one.value(-1.0)), "input_high": float(one.value(1.0))}
            | asdict(found.local[output.name][one.name])
            | _indices(indices, one.name)
            for one in found.inputs
        ]
        by_group = found.by_group[output.name].indices if found.by_group else {}
        rows += [
            common | {"kind": "group", "input": "", "group": key} | _indices(by_group, key)
            for key in by_group
        ]
    return polars.DataFrame(rows, infer_schema_length=None)


def _indices(indices: Mapping[str, Index], name: str) -> dict[str, float | None]:
    if name in indices:
        return asdict(indices[name])
    return dict.fromkeys(("first", "first_half_width", "total", "total_half_width"))


# --- report ------------------------------------------------------------------------------------------


def report(found: Sensitivity) -> str:
    """Return an analysis as an HTML page."""
    from euthymia.cli.reports import footer_of
    from euthymia.files.report import Section, render_report
    from euthymia.plots.concentrations import library

    made = found.course.provenance
    return render_report(
        kind="sensitivity",
        title=made.regimen,
        lead=[
            "Which inputs the prediction hangs on: what is chosen, what differs between people, and what is "
            "not known.",
            caveats(found)[0],
        ],
        sections=[
            Section(
                title="What was moved", regimen=made.regimen, texts=[what(found)], points=caveats(found)[1:]
            ),
            *([_group_section(found)] if found.by_group else []),
            *(_output_section(found, output) for output in OUTPUTS),
            Section(title="What was held", texts=held_texts(found)),
            Section(title="Inputs", tables=[_input_table(found)]),
        ],
        sources=sorted(made.sources),
        footer=footer_of(found.course),
        library=library(),
        warnings=found.course.warnings,
    )


def _group_section(found: Sensitivity) -> Section:
    from euthymia.files.report import Section, TableBlock
    from euthymia.plots.sensitivity import Bars, GroupBars, group_figure

    heads, rows = group_rows(found)
    moving = [one for one in OUTPUTS if found.by_group[one.name].indices]
    groups = [
        GroupBars(
            group=title,
            bars=[Bars(label=one.meaning, **asdict(found.by_group[one.name].indices[key])) for one in moving],
        )
        for key, title in GROUPS.items()
        if any(one.group == key for one in found.inputs)
    ]
    return Section(
        title="By group",
        texts=[
            "All inputs move at once. Narrowing what is not known takes evidence, what differs between "
            "people takes knowing the person, and the dose is chosen."
        ],
        figure=group_figure(groups),
        caption="Simulated: total index with its 95 % interval; diamonds: first order. Interactions are "
        "counted by every group that takes part, so totals may add to more than 1.",
        tables=[TableBlock(heads=heads, rows=rows, right=range(1, len(heads)))],
    )


def _output_section(found: Sensitivity, output: Output) -> Section:
    from euthymia.files.report import Section, TableBlock
    from euthymia.plots.sensitivity import Bars, sensitivity_figure

    rows = output_rows(found, output)
    if not rows:
        return Section(title=output.meaning, texts=[f"{_summary(found, output)}"])
    local = found.local[output.name]
    bars = [
        Bars(
            label=short_name(one),
            under=GROUPS[one.group] if one.group != CHOSEN else "chosen, times the regimen",
            at_low=local[one.name].at_low,
            at_high=local[one.name].at_high,
            text=f"{one.name}: {_from_to(one)} {'' if one.unit == '1' else one.unit}",
            **asdict(found.sobol[output.name].indices[one.name]),
        )
        for one in shown_inputs(found, output)
    ]
    return Section(
        title=output.meaning,
        texts=[_summary(found, output)],
        figure=sensitivity_figure(
            bars, typical=found.typical[output.name], quantity=f"{output.meaning} ({output.unit})"
        ),
        caption="Simulated. Left: one input at its 16 % or 84 % point, all else typical. Right: share of the "
        "variance, with 95 % intervals.",
        tables=[TableBlock(heads=HEADS, rows=rows, right=range(2, len(HEADS)), note=HOW_READ)],
    )


def short_name(one: Input) -> str:
    """Return the name of an input without its unit, for the label of a bar."""
    for ending in (f"_{one.unit.replace('/', '_per_').replace('1_per_', 'per_')}", "_fraction", "_relative"):
        if one.name.endswith(ending):
            return one.name.removesuffix(ending)
    return one.name


def _input_table(found: Sensitivity) -> TableBlock:
    from euthymia.files.report import TableBlock

    rows = [
        [
            one.name,
            GROUPS[one.group],
            show.significant(float(one.value(one.nominal))),
            _from_to(one),
            one.unit,
            one.about,
            "" if one.name in found.varied else "held in Sobol",
        ]
        for one in found.inputs
    ]
    return TableBlock(
        title=f"All {len(rows)} inputs",
        heads=("input", "", "typical", "16 % – 84 %", "unit", "distribution", ""),
        rows=rows,
        right=(2, 3),
        is_folded=True,
        note="A number between people is spread around what is not known of its middle.",
    )
