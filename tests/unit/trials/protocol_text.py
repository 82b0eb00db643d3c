"""A protocol as a file, and what is said of it after a change."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from euthymia.errors import InvalidInputError
from euthymia.trials.design import Protocol
from euthymia.trials.protocols import check_protocol, parse_source

TEXT = """\
schema: euthymia.protocol/1
id: a-trial
title: Two arms
design: parallel
population:
  name: trd-adult
  baseline:
    MADRS: {mean: 33, sd: 8}
    age_years: {mean: 45, sd: 12, low: 18, high: 65}
    female: {share: 0.6}
  entry:
    - {scale: MADRS, at_least: 20, at: [screening, baseline]}
  screening: day -7
  already_on: [escitalopram 10 mg]
arms:
  high:
    n: 40
    dose: 0.5 mg/kg
    regimen: ketamine {dose} iv over 40 min, weekly x 3
    setting: midazolam
  control:
    n: 20
    regimen: midazolam 0.045 mg/kg iv over 40 min, weekly x 3
    setting: midazolam
    is_control: true
randomisation:
  strata: [age_years >= 50]
  blocks: [3, 6]
visits:
  - {at: day 0, scales: [MADRS, SSI]}
  - {at: day 1, scales: [MADRS]}
  - {at: day 10, scales: [MADRS, SSI], window: 1 d}
  - {at: day 17}
endpoints:
  change: {kind: change, at: day 10, analysis: ancova, is_primary: true}
  remission: {kind: remission, at: day 17, at_most: 10}
  relapse: {kind: relapse, rule: MADRS 22 once, start: day 1}
  nausea: {kind: event, event: nausea}
conduct:
  dropout: {share: 0.1, by: day 17, per_10_points: 1.5, after_event: 2}
  hold: {systolic_mmHg: 160}
  flexible:
    high: {levels: [1, 1.5], start: day 7, until: day 14}
  rescue:
    control: {start: day 14}
  switch:
    high: {to: ketamine 0.8 mg/kg im, after: [nausea], share: 0.1}
looks: {fractions: [0.5, 1]}
alpha: 0.05
"""


def read(text: str = TEXT, *changes: str, folder: Path | None = None) -> Protocol:
    """Return the protocol of a text that stands in the file ``a.yaml``."""
    return check_protocol(parse_source(text, "a.yaml", folder), changes=changes)


def edited(*edits: tuple[str, str]) -> str:
    """Return the text with some pieces, each of which must be there, replaced by others."""
    text = TEXT
    for old, new in edits:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    return text


def problems(*edits: tuple[str, str]) -> list[str]:
    """Return what is said of the edited text, line by line."""
    with pytest.raises(InvalidInputError) as caught:
        read(edited(*edits))
    return str(caught.value).splitlines()


def line_of(text: str, piece: str) -> int:
    """Return the line of the first piece of a text, from 1."""
    found = re.search(re.escape(piece), text)
    assert found is not None, piece
    return text.count("\n", 0, found.start()) + 1
