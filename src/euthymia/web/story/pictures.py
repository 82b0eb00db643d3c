"""The picture of each chapter by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from euthymia.web.runs import is_made, remembered
from euthymia.web.story import first, last, ways
from euthymia.web.story.state import State
from euthymia.web.story.view import View

PICTURES: Mapping[str, Callable[[State], View]] = {
    "brain": first.brain,
    "surge": first.surge,
    "repair": first.repair,
    "network": first.network,
    "pace": first.pace,
    "routes": ways.routes,
    "session": last.session,
    "therapy": last.therapy,
    "ideation": last.ideation,
    "relapse": last.relapse,
    "safety": last.safety,
    "people": last.people,
}


def view_of(chapter: str, state: State) -> View:
    """Return the live part of a chapter for a patient, remembered or computed."""
    return remembered(("story", chapter, state), lambda: PICTURES[chapter](state))


def is_ready(chapter: str, state: State) -> bool:
    """Whether the live part of a chapter would come at once."""
    return is_made(("story", chapter, state))
