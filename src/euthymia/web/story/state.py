"""The one patient of the story: what the controls say, as a record, a query and a regimen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query
from pydantic import BeforeValidator

from euthymia.dosing.notation import parse_regimen, print_regimen
from euthymia.dosing.regimen import Regimen
from euthymia.errors import invalid
from euthymia.population.patient import Patient
from euthymia.population.relapse import with_maintenance
from euthymia.population.run import Life
from euthymia.population.story import taught
from euthymia.population.surroundings import Taken
from euthymia.tables import Row, read_table

RouteName = Literal["infusion", "intramuscular", "subcutaneous", "nasal", "sublingual", "oral", "extended"]
Sessions = Literal[1, 2, 4, 6, 8]
Setting = Literal["open", "midazolam", "none"]
Ssri = Literal["none", "started", "taken"]
Therapy = Literal["none", "CBT", "mindfulness", "meaning-centred therapy"]
Upkeep = Literal["none", "fortnightly", "weekly"]
Account = Literal["hyper", "hypo"]
Among = Literal["everyone", "ideation"]
SSRI, SSRI_DAYS = "escitalopram 10 mg", 56
UPKEEP = {"none": "", "fortnightly": "every 2 weeks x 4", "weekly": "weekly x 8"}
THERAPY_DAYS = (0.0, 1.0, 3.0)
"""Sessions of a therapy, counted from its first day."""
LATE_D = 21
"""Day after the last session of a therapy that comes late."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteChoice:
    """A route as the story offers it: its order, and between which studied doses the dose moves."""

    name: str
    title: str
    order: str
    unit: str
    low: float
    high: float
    step: float
    default: float
    basis: tuple[str, ...]
    words: str


@cache
def route_choices() -> dict[str, RouteChoice]:
    """Return the routes of the story by name."""
    return {row["route"]: _choice(row) for row in read_table("story_routes.csv")}


def _choice(row: Row) -> RouteChoice:
    low, high, step, default = (float(row[name]) for name in ("low", "high", "step", "default"))
    return RouteChoice(
        name=row["route"],
        title=row["title"],
        order=row["order"],
        unit=row["unit"],
        low=low,
        high=high,
        step=step,
        default=default,
        basis=tuple(row["basis"].split(";")),
        words=row["words"],
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """What the controls of the story say.

    Parameters
    ----------
    dose : float
        In the unit of the route, within its studied doses.
    sessions : int
        One, or twice weekly.
    therapy_day : int
        Days from the last session to the first hour of therapy.
    strain, weeks : float
        Load and length of the stress that comes before, in the first chapter.
    stress : float
        Load of the stress that comes after, from a week after the last session on, for three weeks.
    months : int
        How long monthly exposure is followed in the chapter on safety.
    """

    route: RouteName = "infusion"
    dose: float = 0.5
    sessions: Sessions = 4
    setting: Setting = "open"
    ssri: Ssri = "none"
    therapy: Therapy = "none"
    therapy_day: int = 1
    strain: float = 3.0
    weeks: int = 8
    account: Account = "hyper"
    weight_kg: float = 70.0
    hypertension: bool = False
    among: Among = "everyone"
    upkeep: Upkeep = "none"
    stress: float = 2.0
    months: int = 6

    @classmethod
    def create(cls, **fields: object) -> State:
        """Return a state with what is given; a dose that is left out is the usual one of the route.

        Raises
        ------
        InvalidInputError
            A dose outside the studied ones of its route.
        """
        given = {name: value for name, value in fields.items() if value is not None}
        choice = route_choices()[str(given.get("route", cls().route))]
        given.setdefault("dose", choice.default)
        made = cls(**given)  # pyright: ignore[reportArgumentType]
        if not choice.low - 1e-9 <= made.dose <= choice.high + 1e-9:
            raise invalid(
                "dose",
                must=f"{choice.low:g}–{choice.high:g} {choice.unit}, the studied doses {choice.words} "
                f"(story_routes.csv: {', '.join(choice.basis)})",
                got=f"{made.dose:g}",
            )
        return made

    @property
    def choice(self) -> RouteChoice:
        """Return the route with its limits."""
        return route_choices()[self.route]

    @property
    def changed(self) -> dict[str, object]:
        """Return the fields that differ from a first visit, as a link keeps them."""
        usual = asdict(State(route=self.route, dose=self.choice.default)) | {"route": State().route}
        return {name: value for name, value in asdict(self).items() if value != usual[name]}

    @property
    def plain(self) -> dict[str, str | float | int | bool]:
        """Return every field."""
        return asdict(self)

    @property
    def query(self) -> str:
        """Return the query of a link to this state; empty for a first visit."""
        plain = {name: _written(value) for name, value in self.changed.items()}
        return f"?{urlencode(plain)}" if plain else ""

    @property
    def doses(self) -> str:
        """Return the doses alone, in the regimen language."""
        order = self.order_of(self.dose)
        return order if self.sessions == 1 else f"{order}, twice weekly x {self.sessions}"

    def order_of(self, dose: float) -> str:
        """Return one dose by the route, in the regimen language."""
        return self.choice.order.format(dose=f"{dose:g}")

    @property
    def plan(self) -> str:
        """Return everything that is given, in the regimen language."""
        return self.with_therapy(self.therapy, self.therapy_day)

    def with_therapy(self, therapy: str, first_day: float) -> str:
        """Return the plan with three hours of a therapy from a day after the last session, or with none."""
        text = self._medicated
        if therapy == "none":
            return text
        days = [first_day + day for day in THERAPY_DAYS]
        return taught(text, self.last_session_h, days, f"{therapy} 60 min")

    @property
    def with_upkeep(self) -> str:
        """Return the plan with the sessions that go on after it."""
        return self.going_on(UPKEEP[self.upkeep])

    def going_on(self, schedule: str) -> str:
        """Return the plan with further sessions by a schedule; none where it is empty."""
        if not schedule:
            return self.plan
        first, *others = self.plan.split("; ")
        text = with_maintenance(first, schedule if self.sessions > 1 else f"{schedule} from 7 d")[0]
        return "; ".join((text, *others))

    @property
    def _medicated(self) -> str:
        return f"{self.doses}; {SSRI} daily x {SSRI_DAYS}" if self.ssri == "started" else self.doses

    @property
    def regimen(self) -> Regimen:
        """Return the plan, read."""
        return parse_regimen(self.plan)

    @property
    def last_session_h(self) -> float:
        """Return when the last session of the plan begins."""
        return max(start_h for start_h, _ in parse_regimen(self.doses).items)

    @property
    def patient(self) -> Patient:
        """Return the typical patient with the weight and history chosen."""
        return Patient.create(weight_kg=self.weight_kg, is_hypertensive=self.hypertension or None)

    @property
    def life(self) -> Life:
        """Return what the patient takes already."""
        return Life(taken=(Taken.create(SSRI),)) if self.ssri == "taken" else Life()

    @property
    def words(self) -> str:
        """Return the plan in a few words."""
        often = "once" if self.sessions == 1 else f"{self.sessions} sessions, twice a week"
        return f"{self.dose:g} {self.choice.unit} {self.choice.words}, {often}"

    def command(self, days: float) -> str:
        """Return the command line that gives the same numbers."""
        options = [f"--days {days:g}"]
        options += [f"--setting {self.setting}"] if self.setting != "open" else []
        options += [f"--weight-kg {self.weight_kg:g}"] if self.weight_kg != State().weight_kg else []
        options += ["--hypertension"] if self.hypertension else []
        options += [f"--already-on '{SSRI}'"] if self.ssri == "taken" else []
        return f'euthymia simulate "{print_regimen(self.regimen)}" {" ".join(options)}'


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number_in(text: object) -> object:
    """Return a number written in a query as one; else the text, for the limits to refuse."""
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else text


def asked_state(
    route: Annotated[RouteName | None, Query(description="How the drug gets in")] = None,
    dose: Annotated[float | None, Query(ge=0.01, le=1000, description="In the unit of the route")] = None,
    sessions: Annotated[
        Sessions | None, BeforeValidator(_number_in), Query(description="Once, or twice weekly")
    ] = None,
    setting: Annotated[Setting | None, Query(description="What the patient believes")] = None,
    ssri: Annotated[Ssri | None, Query(description="An ordinary antidepressant beside it")] = None,
    therapy: Annotated[Therapy | None, Query(description="Three hours of it")] = None,
    therapy_day: Annotated[int | None, Query(ge=1, le=28, description="After the last session")] = None,
    strain: Annotated[float | None, Query(ge=0, le=5, description="Stress before, beyond usual")] = None,
    weeks: Annotated[int | None, Query(ge=1, le=26, description="How long that lasts")] = None,
    account: Annotated[Account | None, Query(description="Of the default mode network")] = None,
    weight_kg: Annotated[float | None, Query(ge=45, le=130, description="Body weight")] = None,
    hypertension: Annotated[bool | None, Query(description="A history of high pressure")] = None,
    among: Annotated[Among | None, Query(description="Of whom ideation is averaged")] = None,
    upkeep: Annotated[Upkeep | None, Query(description="Sessions that go on, for 8 weeks")] = None,
    stress: Annotated[float | None, Query(ge=0, le=3, description="Stress after, beyond usual")] = None,
    months: Annotated[int | None, Query(ge=1, le=24, description="Of exposure in the safety chapter")] = None,
    was_route: Annotated[
        RouteName | None, Query(description="Route before a change; the dose of another is forgotten")
    ] = None,
) -> State:
    """Return the state that a query asks for."""
    asked = {name: value for name, value in locals().items() if value is not None}
    if asked.pop("was_route", route) != route:
        asked.pop("dose", None)
    return State.create(**asked)


Asked = Annotated[State, Depends(asked_state)]
