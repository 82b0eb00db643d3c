"""The controls of each chapter: what may be turned, between which limits, and what it is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from euthymia.population.settings import settings
from euthymia.web.story.state import State, route_choices


@dataclass(frozen=True, kw_only=True, slots=True)
class Slider:
    """A number to turn."""

    name: str
    label: str
    value: float
    low: float
    high: float
    step: float
    unit: str = ""
    help: str = ""
    kind: str = "slider"

    @property
    def places(self) -> int:
        """Return decimals that its steps need."""
        text = f"{self.step:g}"
        return len(text.partition(".")[2])

    @property
    def shown(self) -> str:
        """Return the value as it is written beside the slider."""
        return f"{self.value:.{self.places}f}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One of a few."""

    name: str
    label: str
    value: str
    options: tuple[tuple[str, str], ...]
    help: str = ""
    kind: str = "choice"


Control = Slider | Choice


def of(state: State) -> Mapping[str, Sequence[Control]]:
    """Return the controls of every chapter, set as the state says."""
    return {
        "brain": (
            Slider(
                name="strain",
                label="Stress, beyond an ordinary life",
                value=state.strain,
                low=0,
                high=5,
                step=0.5,
                unit="×",
            ),
            Slider(
                name="weeks", label="for how long", value=state.weeks, low=1, high=26, step=1, unit="weeks"
            ),
        ),
        "surge": (dose(state),),
        "repair": (
            Choice(
                name="sessions",
                label="Sessions",
                value=str(state.sessions),
                options=(("1", "one"), *((str(count), f"{count}, twice a week") for count in (2, 4, 6, 8))),
            ),
        ),
        "network": (
            Choice(
                name="account",
                label="Which account of depression?",
                value=state.account,
                options=(("hyper", "coupled too tightly"), ("hypo", "coupled too loosely")),
                help="Evidence stands on both sides. Only this chapter depends on it.",
            ),
        ),
        "pace": (
            Choice(
                name="setting",
                label="What does the patient believe?",
                value=state.setting,
                options=(
                    ("open", "knows it is ketamine"),
                    ("midazolam", "blinded: half get a sedative"),
                    ("none", "expects nothing"),
                ),
                help=settings()[state.setting]["meaning"],
            ),
            Choice(
                name="ssri",
                label="An ordinary antidepressant beside it (escitalopram 10 mg)",
                value=state.ssri,
                options=(("none", "no"), ("started", "started with it"), ("taken", "taken for months")),
            ),
        ),
        "routes": (
            Choice(
                name="route",
                label="Route",
                value=state.route,
                options=tuple((one.name, one.title) for one in route_choices().values()),
                help="A new route starts at a usual dose of its own.",
            ),
            Slider(
                name="weight_kg",
                label="Body weight",
                value=state.weight_kg,
                low=45,
                high=130,
                step=1,
                unit="kg",
            ),
        ),
        "session": (
            Choice(
                name="hypertension",
                label="A history of high blood pressure",
                value="true" if state.hypertension else "false",
                options=(("false", "no"), ("true", "yes")),
                help="Some conditions rule treatment out; see the chapter on what it costs.",
            ),
        ),
        "therapy": (
            Choice(
                name="therapy",
                label="Three hours of",
                value=state.therapy,
                options=(
                    ("none", "nothing"),
                    ("CBT", "cognitive therapy"),
                    ("mindfulness", "mindfulness"),
                    ("meaning-centred therapy", "meaning-centred therapy"),
                ),
                help="Chosen here, it stays in the plan. With nothing, the picture shows cognitive therapy.",
            ),
            Slider(
                name="therapy_day",
                label="first hour, days after the last session",
                value=state.therapy_day,
                low=1,
                high=28,
                step=1,
                unit="d",
            ),
        ),
        "ideation": (
            Choice(
                name="among",
                label="Average over",
                value=state.among,
                options=(("everyone", "everybody"), ("ideation", "people who have such thoughts")),
            ),
        ),
        "relapse": (
            Choice(
                name="upkeep",
                label="Further sessions, for eight weeks",
                value=state.upkeep,
                options=(("none", "none"), ("fortnightly", "every two weeks"), ("weekly", "weekly")),
            ),
            Slider(
                name="stress",
                label="New stress from a week after the last session, for three weeks",
                value=state.stress,
                low=0,
                high=3,
                step=0.5,
                unit="×",
            ),
        ),
        "safety": (
            Slider(
                name="months",
                label="Weekly sessions go on for",
                value=state.months,
                low=1,
                high=24,
                step=1,
                unit="months",
            ),
        ),
        "people": (),
    }


def dose(state: State) -> Slider:
    """Return the control of the dose: studied doses of the route only."""
    choice = state.choice
    return Slider(
        name="dose",
        label=f"Dose of each session, {choice.words}",
        value=state.dose,
        low=choice.low,
        high=choice.high,
        step=choice.step,
        unit=choice.unit,
        help=f"Doses that were studied by this route: {choice.low:g} to {choice.high:g} {choice.unit} "
        f"({', '.join(choice.basis)}). Not a suggestion for anybody.",
    )
