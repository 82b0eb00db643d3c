from datetime import timedelta

import pytest

from euthymia.care.timing import load_timing
from euthymia.errors import InvalidInputError, UnknownNameError

TIMING = load_timing()


def test_a_site_may_set_its_own_values_and_they_are_marked_as_its_own():
    found = TIMING.with_site(limits={"ready_systolic": 150}, clocks_min={"predose_vitals": 20})
    limit, clock = found.limits["ready_systolic"], found.clocks["predose_vitals"]
    assert (limit.value, limit.source, limit.confidence, limit.is_own_rule) == (150, "the site", "own", True)
    assert (clock.length, clock.source, clock.confidence) == (timedelta(minutes=20), "the site", "own")
    assert clock.is_own_rule
    assert found.minutes("predose_vitals") == 20.0
    assert TIMING.limits["ready_systolic"].value == 140, "the shipped table stays"


def test_a_floor_can_be_lengthened_and_not_shortened():
    assert TIMING.with_site(clocks_min={"observation": 150}).minutes("observation") == 150.0
    assert TIMING.with_site(clocks_min={"observation": 120}).minutes("observation") == 120.0
    with pytest.raises(InvalidInputError, match=r"'observation' must be 120 min or more .*Got 119\.9"):
        TIMING.with_site(clocks_min={"observation": 119.9})


def test_what_is_not_in_the_table_is_named():
    with pytest.raises(UnknownNameError, match="limit"):
        TIMING.with_site(limits={"ready_systolik": 1})
    with pytest.raises(UnknownNameError, match="clock"):
        TIMING.with_site(clocks_min={"observatoin": 1})
    with pytest.raises(UnknownNameError, match="route"):
        TIMING.schedule("rectal")


def test_a_missing_value_is_unknown_and_says_what_to_ask():
    found = TIMING.of_limit("predose_spo2", None)
    assert (found.status, found.asks, found.observed) == ("unknown", ("spo2_percent",), None)
    assert found.is_stopping
    known = TIMING.of_limit("predose_spo2", 92.0)
    assert (known.status, known.asks, known.observed, known.threshold) == ("meets", (), 92.0, 92.0)
    assert known.version == TIMING.version == "session-timing 1"


def test_lengths_are_those_of_the_table():
    assert TIMING.length("rems_form") == timedelta(days=7)
    assert TIMING.minutes("observation") == 120.0
    assert TIMING.length("first_contact_until") == timedelta(hours=72)
