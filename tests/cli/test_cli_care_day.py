import json

import pytest
from tests.cli.commands import Command

from euthymia.care.clinic import Clinic
from euthymia.care.record import Event

RUN = ("care", "simulate-day", "--chairs", "1", "--patients", "2", "--seed", "4")


@pytest.mark.slow
def test_a_day_as_json_and_as_lines_of_events(command: Command, tmp_path):
    path = tmp_path / "day.jsonl"
    found = command(*RUN, "--json", "--out", str(path))
    assert found.code == 0, found.err
    document = json.loads(found.out)
    assert document["schema"] == "euthymia.care.day/1"
    assert (document["seed"], document["load"]["sessions"]) == (4, 2)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == document["load"]["events"]
    clinic = Clinic.of(Event.from_dict(json.loads(line)) for line in lines)
    assert {one.stage for one in clinic.sessions.values()} == {"REVIEWED"}


@pytest.mark.slow
def test_a_day_as_a_table_says_that_it_is_simulated(command: Command):
    found = command(*RUN)
    assert found.code == 0, found.err
    assert "session-2" in found.out
    assert "monitors nobody" in found.out


def test_more_patients_than_chairs_hold_are_refused(command: Command):
    found = command("care", "simulate-day", "--chairs", "1", "--patients", "3")
    assert found.code == 2
    assert "'patients' must be 1 to 2 on 1 chairs in a day" in found.err
