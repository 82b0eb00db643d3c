"""``euthymia rivals``: the band over mechanisms, and facts by each of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.cli.commands import INFUSION, Command, check_schema, check_stands_alone

from euthymia.population import rival_facts, rivals
from euthymia.population.rival_facts import typical_facts

TWO = ("--mechanism", "direct", "--mechanism", "expectancy_only")


@pytest.fixture
def first_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave only the regimen as given, which is all that a band needs."""
    first = rivals.experiments()[:1]
    monkeypatch.setattr(rivals, "experiments", lambda: first)


@pytest.fixture
def few_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    few = tuple(row for row in typical_facts() if row.row_id in ("Q005", "Q027", "Q046"))
    monkeypatch.setattr(rival_facts, "typical_facts", lambda: few)


@pytest.mark.slow
@pytest.mark.usefixtures("first_experiment")
def test_ensemble_is_printed_written_and_reported(command: Command, tmp_path: Path):
    page = tmp_path / "rivals.html"
    document = command("rivals", INFUSION, *TWO, "--ensemble", "--json", "--report", page).json
    check_schema(document, "rivals-1")
    band = document["ensemble"]
    assert len(band["times_h"]) == len(band["madrs_points"]["median"])
    changes = [one["madrs_change_points"]["as_given"] for one in document["mechanisms"]]
    assert band["madrs_change_points"]["lowest"] == np.min(changes, axis=0).tolist()
    assert band["highest_by"] == ["expectancy_only"] * len(document["days"])
    html = page.read_text(encoding="utf-8")
    check_stands_alone(html)
    out = command("rivals", INFUSION, *TWO, "--ensemble").out
    for text in (" ".join(out.split()), html, band["note"]):
        assert "the band is no interval of anything" in text
        assert "not weighted by how likely it is" in text
    assert "Lowest: direct (2 h, day 1, day 7, day 28). Highest: expectancy_only" in " ".join(out.split())


@pytest.mark.usefixtures("first_experiment")
def test_without_ensemble_there_is_no_band(command: Command):
    done = command("rivals", INFUSION, *TWO, "--json")
    check_schema(done.json, "rivals-1")
    assert "ensemble" not in done.json
    assert done.json["left_out"] == {}


@pytest.mark.usefixtures("few_facts")
def test_facts_are_shown_by_mechanism_with_what_separates(command: Command, tmp_path: Path):
    page = tmp_path / "facts.html"
    done = command("rivals", "--facts", *TWO, "--json", "--report", page)
    check_schema(done.json, "rivals-1")
    facts = done.json["facts"]
    rows = {f"{row['row_id']}{row['part']}": row for row in facts["rows"]}
    assert list(rows) == ["Q005a", "Q005b", "Q027a", "Q046a", "Q046b"]
    assert facts["separating"] == ["Q027a", "Q046b"]
    assert facts["separating_none_count"] == 3
    assert facts["not_separated"] == []
    assert (rows["Q046a"]["decided_by"], rows["Q046a"]["is_separating"]) == ("size", False)
    assert rows["Q046a"]["by_mechanism"]["expectancy_only"] == {
        "simulated": None,
        "verdict": "not reproduced",
    }
    html = page.read_text(encoding="utf-8")
    check_stands_alone(html)
    assert "Facts that separate" in html
    assert "Autry" not in html, "no source of a fact that is not shown"


@pytest.mark.slow
def test_facts_about_blockers_say_what_is_blocked(command: Command, monkeypatch: pytest.MonkeyPatch):
    few = tuple(row for row in typical_facts() if row.row_id == "Q040")
    monkeypatch.setattr(rival_facts, "typical_facts", lambda: few)
    two = ("--mechanism", "disinhibition", "--mechanism", "mtor_bypassed")
    document = command("rivals", "--facts", *two, "--json").json
    check_schema(document, "rivals-1")
    assert document["facts"]["separating"] == ["Q040a"]
    assert document["facts"]["rows"][0]["regimen"] == f"{INFUSION}, with mTORC1 off (rapamycin)"
    assert "with mTORC1 off (rapamycin): others 1.00, here 0." in " ".join(
        command("rivals", "--facts", *two).out.split()
    )


@pytest.mark.usefixtures("few_facts")
def test_facts_on_a_terminal_end_with_how_many_separate_none(command: Command):
    out = " ".join(command("rivals", "--facts", *TWO).out.split())
    assert "1 direct, 2 expectancy_only." in out
    assert "expectancy_only: Q027a ampa_potentiation_fraction change" in out
    assert "3 of 5 facts separate none: on 2 all mechanisms agree, on 1 they differ by size." in out
    assert "No mechanism is chosen or ranked by their number." in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--ensemble",), "'--ensemble' needs a regimen"),
        (("--report", "rivals.html"), "'--report' a regimen or '--facts'"),
        ((INFUSION, "--facts"), "'--facts' has regimens and people of its own"),
        (("--facts", "--ensemble"), "'--facts' has regimens and people of its own"),
        (("--facts", "--weight-kg", "60"), "Leave out the regimen, '--ensemble' and '--weight-kg'"),
        (("--facts", "--mechanism", "direct"), "'mechanism' must be two or more. Got direct"),
        ((INFUSION, "--ensemble", "--mechanism", "direct"), "'mechanism' must be two or more"),
    ],
)
def test_options_without_a_say_are_refused(command: Command, arguments: tuple[str, ...], message: str):
    done = command("rivals", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_experiments_left_out_are_named_with_the_reason(command: Command, monkeypatch: pytest.MonkeyPatch):
    few = tuple(one for one in rivals.experiments() if one.id in ("as_given", "esketamine"))
    monkeypatch.setattr(rivals, "experiments", lambda: few)
    asked = ("rivals", "esketamine 28 mg intranasal", "--mechanism", "direct")
    document = command(*asked, "--json").json
    check_schema(document, "rivals-1")
    assert document["left_out"] == {"esketamine": "The regimen gives esketamine already."}
    assert "esketamine" not in document["mechanisms"][0]["madrs_change_points"]
    assert "Left out: esketamine, same amount. The regimen gives" in command(*asked).out
