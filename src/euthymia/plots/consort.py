"""Flow of people through a trial, as CONSORT diagrams are drawn: inline SVG, wide and for narrow screens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap

from euthymia.plots.arms import INK, SOFT, ArmStyle

SIZE = 13
LINE, PAD = 17, 9
LETTER, BOLD = 0.56 * SIZE, 0.66 * SIZE
"""Mean width of a letter in the widest font of a page; boxes have room to spare."""
GAP, STAGE = 30, 92
NARROW = 350
MOST_COLUMNS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmFlow:
    """One arm from allocation to analysis: counts, and reasons for leaving with theirs."""

    style: ArmStyle
    allocated: int
    left: tuple[tuple[str, int], ...]
    completed: int
    analysed: int
    rated: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """Everyone in one replicate.

    Attributes
    ----------
    screened, enrolled : int
    not_enrolled : tuple of (reason, count)
    lead_in : tuple of (reason, count)
        Who was enrolled and not randomised, in a withdrawal; empty elsewhere.
    is_randomised : bool
        Whether there is a lot to draw.
    """

    screened: int
    enrolled: int
    not_enrolled: tuple[tuple[str, int], ...]
    arms: tuple[ArmFlow, ...]
    lead_in: tuple[tuple[str, int], ...] = ()
    is_randomised: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class _Box:
    """A box at a place (left, top, width), its lines, and the strip of colour along its top."""

    x: float
    y: float
    width: float
    lines: tuple[str, ...]
    bold: int = 1
    colour: str = ""

    @property
    def height(self) -> float:
        return LINE * len(self.lines) + 2 * PAD

    @property
    def end(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> float:
        return self.x + self.width / 2.0


def consort_figure(flow: Flow) -> str:
    """Return the diagram as HTML: one drawing for wide pages, one for narrow ones, of which one shows."""
    tall = _tall(flow)
    if len(flow.arms) > MOST_COLUMNS:
        return f'<div class="panels">{tall}</div>'
    return f'<div class="panels"><div class="wide">{_wide(flow)}</div><div class="narrow">{tall}</div></div>'


def _wide(flow: Flow) -> str:
    count = len(flow.arms)
    column = max(138.0, min(230.0, 1010.0 / count - 16.0))
    width = max(STAGE + count * (column + 16.0), 660.0)
    centre = STAGE + (width - STAGE) / 2.0
    boxes, paths, stages = [], [], []
    top = _top(flow, centre=centre, width=width, boxes=boxes, paths=paths)
    stages.append(("Enrolment", 0.0, top))
    first = centre - count * (column + 16.0) / 2.0 + 8.0
    columns = [first + place * (column + 16.0) for place in range(count)]
    bar = top + GAP / 2.0
    middles = [x + column / 2.0 for x in columns]
    if count > 1:
        paths += [f"M{centre} {top}V{bar}", f"M{middles[0]} {bar}H{middles[-1]}"]
    y = top + GAP
    starts = [f"M{middle} {bar if count > 1 else top}V{y}" for middle in middles]
    parts = [_stages(arm, column) for arm in flow.arms]
    for row, stage in enumerate(("Allocation", "Follow-up", "Analysis")):
        tallest = 0.0
        for x, arm, texts in zip(columns, parts, flow.arms, strict=True):
            box = _Box(
                x=x,
                y=y,
                width=column,
                lines=arm[row],
                bold=1 if row else len(arm[0]) - 1,
                colour="" if row else texts.style.colour,
            )
            boxes.append(box)
            tallest = max(tallest, box.height)
        paths += [start + "|" for start in starts]
        stages.append((stage, y, y + tallest))
        ends = [box.end for box in boxes[-count:]]
        y += tallest + GAP
        starts = [f"M{middle} {end}V{y}" for middle, end in zip(middles, ends, strict=True)]
    drawn = [_stage(*one) for one in stages]
    return _svg("wide", width, y - GAP + 2.0, [*drawn, *map(_path, paths), *map(_drawn, boxes)], _words(flow))


def _top(
    flow: Flow, *, centre: float, width: float, boxes: list[_Box], paths: list[str], aside: float = 250.0
) -> float:
    """Add what comes before the arms; return where its last box ends."""
    own = 190.0
    steps = [(f"Screened  {flow.screened}", flow.not_enrolled, "Not enrolled")]
    if flow.lead_in:
        steps.append((f"Enrolled  {flow.enrolled}", flow.lead_in, "Not randomised"))
    y = 1.0
    for text, reasons, head in steps:
        box = _Box(x=centre - own / 2.0, y=y, width=own, lines=(text,))
        lost = _reasons(head, reasons, aside)
        side = _Box(x=min(centre + 34.0, width - aside - 1.0), y=box.end + GAP / 2.0, width=aside, lines=lost)
        boxes += [box, side]
        y = side.end + GAP / 2.0
        at = side.y + side.height / 2.0
        paths += [f"M{centre} {box.end}V{y}|", f"M{centre} {at}H{side.x}|"]
    word = "Randomised" if flow.is_randomised else "Enrolled"
    last = _Box(
        x=centre - own / 2.0, y=y, width=own, lines=(f"{word}  {sum(a.allocated for a in flow.arms)}",)
    )
    boxes.append(last)
    return last.end


def _tall(flow: Flow) -> str:
    boxes: list[_Box] = []
    paths: list[str] = []
    end = _top(flow, centre=102.0, width=float(NARROW), boxes=boxes, paths=paths, aside=208.0)
    y, last = end + GAP, end
    for arm in flow.arms:
        allocation, follow_up, analysis = _stages(arm, NARROW - 34.0)
        texts = (*allocation, *follow_up, *analysis)
        box = _Box(
            x=32.0, y=y, width=NARROW - 34.0, lines=texts, bold=len(allocation) - 1, colour=arm.style.colour
        )
        last = box.y + box.height / 2.0
        paths.append(f"M14 {last}H32|")
        boxes.append(box)
        y = box.end + 14.0
    paths.append(f"M14 {end}V{last}")
    return _svg("tall", float(NARROW), y, [*map(_path, paths), *map(_drawn, boxes)], _words(flow))


def _stages(arm: ArmFlow, width: float) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    allocation = (*_wrapped(arm.style.label, width, BOLD), f"Allocated  {arm.allocated}")
    count = sum(number for _, number in arm.left)
    follow_up = (*_reasons("Left", arm.left, width), f"Completed  {arm.completed}")
    if not count:
        follow_up = ("Left  0", f"Completed  {arm.completed}")
    analysis = (f"Analysed  {arm.analysed}", *_wrapped(arm.rated, width))
    return allocation, follow_up, analysis


def _reasons(head: str, reasons: Sequence[tuple[str, int]], width: float) -> tuple[str, ...]:
    """Return a count and, below it, the reasons with theirs."""
    found = [f"{head}  {sum(number for _, number in reasons)}"]
    for reason, number in reasons:
        if number:
            found += _wrapped(f"{number} {reason}", width)
    return tuple(found)


def _wrapped(text: str, width: float, letter: float = LETTER) -> list[str]:
    return wrap(text, max(int((width - 2 * PAD) / letter), 8))


def _drawn(box: _Box) -> str:
    """Return a box; the strip of colour and the bold first lines say whose it is."""
    strip = (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="5" fill="{box.colour}"/>'
        if box.colour
        else ""
    )
    texts = "".join(
        f'<text x="{box.x + PAD:g}" y="{box.y + PAD + LINE * (place + 1) - 4:g}" '
        f'font-weight="{600 if place < box.bold else 400}">{_spaced(text)}</text>'
        for place, text in enumerate(box.lines)
    )
    return (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" fill="#fff" '
        f'stroke="#9aa5b1"/>{strip}{texts}'
    )


def _spaced(text: str) -> str:
    """Return a text whose count, two spaces after it, is bold."""
    head, gap, count = text.rpartition("  ")
    return f'{escape(head)} <tspan font-weight="600">{escape(count)}</tspan>' if gap else escape(text)


def _path(path: str) -> str:
    """Return a line; one that ends with a bar has a point."""
    head = ' marker-end="url(#point)"' if path.endswith("|") else ""
    return f'<path d="{path.rstrip("|")}" fill="none" stroke="{SOFT}" stroke-width="1.2"{head}/>'


def _stage(name: str, top: float, end: float) -> str:
    middle = (top + end) / 2.0
    return (
        f'<rect x="1" y="{top + 1:g}" width="{STAGE - 16}" height="{end - top - 1:g}" rx="6" '
        f'fill="#e6eef4"/><text x="{(STAGE - 14) / 2}" y="{middle + 4:g}" text-anchor="middle" '
        f'font-size="12" fill="{SOFT}">{name}</text>'
    )


def _words(flow: Flow) -> str:
    """Return the diagram in a sentence, for who cannot see it."""
    arms = "; ".join(
        f"{arm.style.label}: allocated {arm.allocated}, left {sum(n for _, n in arm.left)}, "
        f"completed {arm.completed}, analysed {arm.analysed}"
        for arm in flow.arms
    )
    return f"Screened {flow.screened}, enrolled {flow.enrolled}. {arms}."


def _svg(name: str, width: float, height: float, parts: Sequence[str], words: str) -> str:
    """Return a drawing; its arrow heads have a name of their own, for a drawing not shown lends none."""
    point = (
        f'<defs><marker id="point-{name}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8Z" fill="{SOFT}"/></marker></defs>'
    )
    content = "".join(parts).replace("url(#point)", f"url(#point-{name})")
    return (
        f'<svg class="flow" viewBox="0 0 {width:g} {height:g}" style="max-width:{width:g}px" role="img" '
        f'aria-label="{escape(words)}" font-size="{SIZE}" fill="{INK}">{point}{content}</svg>'
    )
