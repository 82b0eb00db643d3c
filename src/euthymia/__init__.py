"""Euthymia: an open, evidence-traced model of ketamine therapy of depression, from dose to mood.

Research and record-keeping software; not a medical device. Public names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Drug": "dosing.drug",
    "Route": "dosing.order",
    "Order": "dosing.order",
    "Dose": "dosing.order",
    "Regimen": "dosing.regimen",
    "parse_regimen": "dosing.notation",
    "print_regimen": "dosing.notation",
    "Patient": "population.patient",
    "ParameterSet": "model.parameters",
    "load_parameters": "model.parameters",
    "set_names": "model.parameters",
    "simulate": "population.simulate",
    "simulate_concentrations": "population.concentrations",
    "Trajectory": "model.trajectory",
    "variables": "model.variables",
    "load_exposures": "evidence.load",
    "load_time_courses": "evidence.load",
    "cite": "citations",
    "Source": "citations",
    "EuthymiaError": "errors",
    "InvalidInputError": "errors",
    "ResultWarning": "errors",
}
__all__ = sorted(_PUBLIC)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("euthymia")
    if name not in _PUBLIC:
        message = f"module 'euthymia' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"euthymia.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
