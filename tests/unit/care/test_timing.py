import tomllib
from datetime import timedelta

import pytest

from euthymia.care.timing import OWN_SOURCE, finding, load_timing
from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.tables import read_text

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


def raw() -> dict:
    return tomllib.loads(read_text("rules/session_timing.toml"))


def test_every_row_is_read_as_it_stands_in_the_table():
    table, found = raw(), load_timing.__wrapped__()
    for name, row in table["limits"].items():
        limit = found.limits[name]
        assert limit.id == name
        assert (limit.quantity, limit.passes, limit.value) == (row["quantity"], row["passes"], row["value"])
        assert (limit.unit, limit.severity, limit.says) == (row["unit"], row["severity"], row["says"])
        assert (limit.prompt, list(limit.routes)) == (row.get("prompt", ""), row.get("routes", []))
        assert (limit.is_own_rule, limit.jurisdiction) == (
            row.get("is_own_rule", False),
            row.get("jurisdiction", ""),
        )
        assert (limit.source, limit.confidence) == (table["sources"][row["source"]], row["confidence"])
    for name, row in table["clocks"].items():
        clock = found.clocks[name]
        seconds = row["value"] * {"min": 60, "h": 3600, "d": 86400}[row["unit"]]
        assert (clock.id, clock.length.total_seconds()) == (name, seconds)
        assert (clock.source, clock.confidence) == (table["sources"][row["source"]], row["confidence"])
        assert (clock.is_floor, clock.is_own_rule) == (
            row.get("is_floor", False),
            row.get("is_own_rule", False),
        )
        assert (clock.says, clock.jurisdiction) == (row["says"], row.get("jurisdiction", ""))
    assert set(found.ladders) == set(table["ladders"])
    assert found.words["risk_urgent"] == ("intent", "plan", "behaviour")
    assert found.version == table["version"]


def test_every_schedule_is_read_as_it_stands_in_the_table():
    table, found = raw(), load_timing.__wrapped__()
    for name, row in table["schedules"].items():
        one = found.schedules[name]
        assert (one.route, list(one.at_min), list(one.needs)) == (name, row.get("at_min", []), row["needs"])
        assert (one.during_every_min, one.after_every_min) == (
            row.get("during_every_min"),
            row.get("after_every_min"),
        )
        assert (one.then_every_min, one.then_from_min) == (row["then_every_min"], row["then_from_min"])
        assert (one.floor_anchor, one.says) == (row["floor_anchor"], row["says"])
        assert (one.source, one.confidence) == (table["sources"][row["source"]], row["confidence"])
        assert one.is_own_rule == row.get("is_own_rule", False)


def test_a_rule_without_a_source_is_our_own_and_says_so():
    own = finding("x", "meets", "says", observed=3.0, threshold=2.0, unit="min", asks=("a",), version="1")
    assert (own.is_own_rule, own.confidence, own.source) == (True, "own", OWN_SOURCE)
    assert (own.severity, own.observed, own.threshold, own.unit) == ("override", 3.0, 2.0, "min")
    assert (own.asks, own.version, own.jurisdiction) == (("a",), "1", "")
    label = finding("x", "meets", "says", source="label", jurisdiction="US", confidence="seen-in-source")
    assert (label.is_own_rule, label.jurisdiction, label.confidence) == (False, "US", "seen-in-source")
    assert finding("x", "meets", "says", source="poster", is_own_rule=True).is_own_rule
