"""What is published of a trial and may be shown beside its simulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from euthymia.evidence.records import OutcomeRow
from euthymia.evidence.select import is_open
from euthymia.evidence.studies import load_outcome_rows, load_studies
from euthymia.trials.design import Endpoint, Protocol
from euthymia.trials.fields import SAME_TIME_H
from euthymia.trials.published import Observed, ObservedEstimate, ObservedMean
from euthymia.trials.replication import (
    CLOSED,
    ReplicationRun,
    load_replication,
    observed_interval,
    observed_of,
)
from euthymia.trials.replication_runs import QUANTITIES

KINDS = {
    "mean_change": "change",
    "contrast_change": "change",
    "mean_score": "score",
    "response_share": "response",
    "remission_share": "remission",
    "contrast_share": "response",
}
"""Endpoint that a quantity belongs to."""


def observed_beside(protocol: Protocol) -> Observed:
    """Return the published numbers that belong to the arms, visits and endpoints of a protocol.

    Of a trial that is kept for validation nothing is returned but the reason.
    """
    outcomes = {row.row_id: row for row in load_outcome_rows()}
    pairs = [
        (run, outcomes[run.row_id])
        for run in load_replication()
        if run.is_comparable and run.protocols == (protocol.id,)
    ]
    if not all(is_open(outcome) for _, outcome in pairs):
        return Observed(closed=CLOSED)
    pairs = [(run, outcome) for run, outcome in pairs if not run.is_direction]
    return Observed(means=tuple(_means(pairs)), estimates=tuple(_estimates(protocol, pairs)))


def source_keys(protocol: Protocol) -> tuple[str, ...]:
    """Return the bibliography of a protocol's study."""
    study = load_studies().get(protocol.study or "")
    return () if study is None else study.source_keys


def _means(pairs: Sequence[tuple[ReplicationRun, OutcomeRow]]) -> Iterator[ObservedMean]:
    for run, outcome in pairs:
        if run.quantity not in ("mean_change", "mean_score") or len(run.arms) != 1 or run.among:
            continue
        value = observed_of(run, outcome)
        if np.isnan(value) or run.since_h:
            continue
        low, high = observed_interval(run, outcome)
        yield ObservedMean(
            arm=run.arms[0],
            scale=run.scale,
            time_h=run.last_h,
            value=value,
            low=low,
            high=high,
            is_change=run.quantity == "mean_change",
            source=outcome.source_keys[0] if outcome.source_keys else "",
        )


def _estimates(
    protocol: Protocol, pairs: Sequence[tuple[ReplicationRun, OutcomeRow]]
) -> Iterator[ObservedEstimate]:
    for run, outcome in pairs:
        if len(run.arms) != 1 or len(run.reference) > 1 or run.among:
            continue
        value = observed_of(run, outcome)
        low, high = observed_interval(run, outcome)
        for name, endpoint in protocol.endpoints.items():
            if not np.isnan(value) and _belongs(run, endpoint):
                yield ObservedEstimate(
                    endpoint=name,
                    arm=run.arms[0],
                    reference=run.reference[0] if run.reference else "",
                    measure=QUANTITIES[run.quantity].measure,
                    value=value,
                    low=low,
                    high=high,
                    source=outcome.source_keys[0] if outcome.source_keys else "",
                )


def _belongs(run: ReplicationRun, endpoint: Endpoint) -> bool:
    """Tell whether an endpoint is what a published number was of: kind, scale, visit and cut-off."""
    at = endpoint.at
    is_same_visit = at is not None and abs(run.last_h - at) < SAME_TIME_H and not run.since_h
    is_same_cut = endpoint.kind != "remission" or run.at_most == endpoint.at_most
    kind = KINDS.get(run.quantity)
    return kind == endpoint.kind and run.scale == endpoint.scale and is_same_visit and is_same_cut
