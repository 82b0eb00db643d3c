"""Protocols that ship: they load, name their study, follow what was read of it, and list what was not."""

from __future__ import annotations

import re

import numpy as np
import pytest

from euthymia.evidence.studies import find_study, load_outcome_rows, load_studies
from euthymia.trials.design import Endpoint, Protocol
from euthymia.trials.fields import time_text
from euthymia.trials.protocols import load_protocol, protocol_names
from euthymia.trials.sessions import sessions_of

TRIALS = (
    *("berman-2000", "zarate-2006", "murrough-2013", "murrough-2013-repeated", "singh-2016-twice"),
    *("singh-2016-thrice", "su-2017", "fava-2018", "daly-2018", "transform-1", "transform-2", "transform-3"),
    *("sustain-1", "sustain-2", "aspire-1", "grunebaum-2018", "price-2022", "wilkinson-2017", "kads"),
    *("lapidus-2014", "hu-2016", "phillips-2019", "shiroma-2020", "lii-2023", "bedroc", "elekt-d"),
    *("janik-2025", "correia-melo-2020", "bio-k", "mcinnes-2022", "anderson-2017"),
)
FIELD = re.compile(r"([a-z_]+)(\.[\w*-]+)*(\.\*)?: \S")
every = pytest.mark.parametrize("name", protocol_names())


def test_the_trials_with_enough_data_ship():
    assert set(TRIALS) <= set(protocol_names())


@every
def test_each_file_loads_under_its_own_name_and_names_a_study(name: str):
    protocol = load_protocol(name)
    assert protocol.id == name
    assert protocol.study in load_studies()


@every
def test_each_assumption_begins_with_a_field_of_the_protocol(name: str):
    protocol = load_protocol(name)
    assert protocol.assumed
    for line in protocol.assumed:
        found = FIELD.match(line)
        assert found is not None, line
        assert found[1] in Protocol.model_fields, line


@every
def test_assumptions_name_only_arms_and_endpoints_that_there_are(name: str):
    protocol = load_protocol(name)
    places = {"arms": protocol.arms, "endpoints": protocol.endpoints}
    for line in protocol.assumed:
        first, _, rest = line.partition(":")[0].partition(".")
        inner = rest.partition(".")[0]
        if first in places and inner != "*":
            assert inner in places[first], line


@every
def test_sizes_are_those_of_the_study_or_listed_as_assumed(name: str):
    protocol = load_protocol(name)
    is_assumed = any(re.match(r"(arms\.[\w*]+|crossover)\.n: ", line) for line in protocol.assumed)
    arms = [one.n for one in find_study(protocol.study or "").arms if one.n is not None]
    arms += [row.n for row in load_outcome_rows() if row.study == protocol.study and row.n is not None]
    n = find_study(protocol.study or "").n
    sizes = [arm.n for arm in protocol.arms.values()] if protocol.crossover is None else [protocol.size]
    assert is_assumed or protocol.size == n or set(sizes) <= set(arms)


@every
def test_what_has_no_published_baseline_says_so(name: str):
    """A mean of a scale in a protocol is either that of the study's own arms or listed as assumed."""
    protocol = load_protocol(name)
    for scale in protocol.population.baseline:
        assert any(line.startswith(f"population.baseline.{scale}:") for line in protocol.assumed), scale


@every
def test_cut_offs_of_remission_are_those_of_the_study(name: str):
    protocol = load_protocol(name)
    rules = dict(rule.split(" ") for rule in find_study(protocol.study or "").remission)
    ours = [(key, one) for key, one in protocol.endpoints.items() if one.kind == "remission"]
    for key, endpoint in ours:
        assert endpoint.at_most is not None
        named = rules.get(endpoint.scale) or rules.get(endpoint.scale.rstrip("0123456789"))
        if named is None:
            assert any(line.startswith(f"endpoints.{key}.at_most:") for line in protocol.assumed), key
        else:
            assert named in (f"<={endpoint.at_most:g}", f"<{endpoint.at_most + 1:g}")


@every
def test_doses_are_given_on_the_days_that_the_study_lists(name: str):
    protocol = load_protocol(name)
    listed = {days for arm in find_study(protocol.study or "").arms if (days := _days(arm.dosing_days))}
    if len(listed) != 1 or protocol.design == "withdrawal" or name == "phillips-2019-repeated":
        return
    (days,) = listed
    for arm in protocol.arms.values():
        given = sessions_of(arm.plan).start_h / 24.0
        if len(given):
            np.testing.assert_allclose(given, days, err_msg=arm.text)


def _days(text: str) -> tuple[float, ...]:
    """Return days from 0; the trials of nasal esketamine count from 1."""
    found = [float(one) for one in re.findall(r"\d+", text.partition("days")[2] or text)]
    plain = re.fullmatch(r"[\d, ]+", text) is not None
    if not found or not (plain or "days 1, 4" in text):
        return ()
    return tuple(one - found[0] for one in found)


@every
def test_every_crossover_ends_a_period_before_the_next_begins(name: str):
    protocol = load_protocol(name)
    if protocol.crossover is not None:
        assert protocol.visits_h[-1] < protocol.crossover.period


@every
def test_every_endpoint_has_a_visit_and_the_primary_is_marked(name: str):
    protocol = load_protocol(name)
    assert sum(one.is_primary for one in protocol.endpoints.values()) == 1
    for endpoint in protocol.endpoints.values():
        when = endpoint.at if endpoint.at is not None else endpoint.start
        assert when in protocol.visits_h, time_text(when or 0.0)


def test_the_family_of_transform_shares_its_visits_and_endpoints():
    first = load_protocol("transform-1")
    for name in ("transform-2", "transform-3", "janik-2025"):
        other = load_protocol(name)
        assert other.visits == first.visits
        assert other.endpoints == first.endpoints
        assert "e56" not in other.arms or name == "janik-2025"


def test_flexible_doses_reach_what_was_printed():
    kads = load_protocol("kads")
    assert 0.5 * kads.conduct.flexible["ketamine"].levels[-1] == pytest.approx(0.9)
    assert 0.025 * kads.conduct.flexible["midazolam"].levels[-1] == pytest.approx(0.045)
    assert 56.0 * load_protocol("transform-2").conduct.flexible["flexible"].levels[-1] == 84.0
    assert [28.0 * one for one in load_protocol("transform-3").conduct.flexible["flexible"].levels] == [
        28,
        56,
        84,
    ]


def test_an_included_file_is_only_changed_where_the_file_says_so():
    twice, thrice = load_protocol("singh-2016-twice"), load_protocol("singh-2016-thrice")
    assert thrice.population == twice.population
    assert thrice.endpoints == twice.endpoints
    assert "three times weekly" in thrice.arms["ketamine"].regimen
    assert thrice.control == "saline"


def test_relapse_among_all_is_meant_only_where_a_withdrawal_has_chosen_them():
    """Elsewhere a relapse needs somebody who was well."""

    def relapses(protocol: Protocol) -> list[Endpoint]:
        return [one for one in protocol.endpoints.values() if one.kind == "relapse"]

    for name in protocol_names():
        protocol = load_protocol(name)
        for endpoint in relapses(protocol):
            assert (endpoint.among == "all") == (protocol.design == "withdrawal"), name
