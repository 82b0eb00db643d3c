"""The page on routes: same people by every route, shared axes, and facts that stand in the tables."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from euthymia.tables import read_table
from euthymia.web.given import FACTS, PROTOCOLS, RULES, facts_about, ways
from euthymia.web.pages.routes import MISSING, TOPICS, Asked, people_of, told_of
from euthymia.web.sketches import FOOT, sketch


def _numbers(client: TestClient, query: str = "") -> dict[str, dict[str, float]]:
    found = client.get(f"/api/routes{query}").json()["routes"]
    return {one["name"]: {key: each["p50"] for key, each in one["numbers"].items()} for one in found}


def test_every_route_of_the_issue_is_there_with_numbers(client: TestClient):
    found = _numbers(client)
    assert set(found) == set(ways())
    assert all(one["level_peak"] > 1 and one["madrs_day_1"] < 0 for one in found.values())
    assert found["infusion"]["absorbed_percent"] == pytest.approx(100.0)
    assert found["oral"]["absorbed_percent"] < found["sublingual"]["absorbed_percent"] < 100.0


def test_a_larger_dose_raises_the_level_of_every_route_that_has_one(client: TestClient):
    low, high = (_numbers(client, f"?size={size}") for size in ("low", "high"))
    for name, way in ways().items():
        if way.low == way.high:
            assert low[name] == high[name]
        else:
            assert high[name]["level_peak"] > low[name]["level_peak"]


def test_without_hope_mood_moves_less(client: TestClient):
    hoped, alone = (_numbers(client, f"?belief={belief}") for belief in ("open", "none"))
    assert all(alone[name]["madrs_day_1"] > hoped[name]["madrs_day_1"] for name in ways())


def test_the_people_are_the_same_by_every_route():
    first, second = (people_of(Asked(), ways()[name]) for name in ("infusion", "oral"))
    assert (first["madrs_points"][:, 0] == second["madrs_points"][:, 0]).all()


@pytest.mark.parametrize(
    "query", ["size=huge", "belief=hope", "weight_kg=300", "weight_kg=x", "weight_kg=nan", "hypertension=7"]
)
def test_what_is_outside_its_limits_is_refused_by_name(client: TestClient, query: str):
    answer = client.get(f"/api/routes?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == query.split("=")[0]


def test_the_address_follows(client: TestClient):
    answer = client.get("/routes/live?size=high&belief=open&weight_kg=70&hypertension=false")
    assert answer.headers["HX-Push-Url"] == "/routes?size=high"


def test_facts_are_rows_of_the_tables_and_what_is_missing_is_said(client: TestClient):
    rows = {row["id"]: row for table in (RULES, PROTOCOLS) for row in read_table(table)}
    for one in read_table(FACTS):
        assert one["way"] in ways()
        assert one["topic"] in TOPICS
        assert one["row"] in rows
    empty = sum(not facts_about(way, topic) for way in ways().values() for topic in TOPICS)
    text = client.get("/routes").text
    assert text.count(MISSING) == empty > 0
    assert rows["SR-SETTIN-01"]["rule"] in text


def test_pictures_of_a_column_share_their_axis():
    told = told_of(Asked())
    tops = {
        one.way.name: min(
            float(y) for y in re.findall(r"[ML]\S+ (\S+?)(?=[LZ]|$)", one.sketches["level"].band)
        )
        for one in told
    }
    highest = {one.way.name: one.spreads["level_peak"].p95 for one in told}
    assert min(tops, key=lambda name: tops[name]) == max(highest, key=lambda name: highest[name] or 0)
    assert tops["oral"] > tops["infusion"]


def test_a_sketch_puts_its_ends_where_they_belong():
    import numpy as np

    x = np.array([0.0, 1.0, 2.0])
    one = sketch(x, 0 * x, x, 2 * x, bottom=-2.0, top=4.0, says="")
    assert one.line == "M0.0 41.3L75.0 32.0L150.0 22.7"
    assert one.zero == pytest.approx(FOOT - 56 / 3, abs=0.05)


def test_every_picture_says_its_number_and_the_page_is_a_table_too(client: TestClient):
    text = client.get("/routes").text
    assert text.count('role="img" aria-label="Level: ') == len(ways())
    assert text.count("<tbody><tr>") == 1
