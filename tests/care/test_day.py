import json

import pytest

from euthymia.care.clinic import Clinic
from euthymia.care.day import simulate_day
from euthymia.care.record import Event
from euthymia.errors import InvalidInputError


@pytest.fixture(scope="module", autouse=True)
def _quickly():
    """Readings do not depend on the engine beyond its certificate; the compiled one is quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EUTHYMIA_ENGINE", "c")
        yield


@pytest.fixture(scope="module")
def day():
    return simulate_day(chairs=2, patients=4, seed=2)


@pytest.mark.slow
def test_every_session_ends_reviewed_with_its_obligations_open_and_its_alerts_owned(day):
    for session in day.clinic.sessions.values():
        assert session.stage == "REVIEWED"
        if session.doses:
            types = {one.type for one in day.clinic.open_of(session.patient)}
            assert "first_contact" in types
            assert ("rems_form" in types) == (session.drug == "esketamine")
    assert all(alert.owner for alert in day.clinic.alerts.values())
    assert day.load["alerts_open_at_end"] == 0
    assert all(lot.is_balanced for lot in day.clinic.lots.values())


@pytest.mark.slow
def test_nobody_leaves_before_two_hours_after_the_last_dose(day):
    for session in day.clinic.sessions.values():
        if session.doses:
            left = session.last["patient_left"].observed_at
            assert (left - session.observed_from).total_seconds() >= 120 * 60


@pytest.mark.slow
def test_the_events_alone_make_the_same_clinic(day):
    again = [Event.from_dict(json.loads(json.dumps(event.to_dict()))) for event in day.events]
    rebuilt = Clinic.of(again)
    assert rebuilt.sessions == day.clinic.sessions
    assert rebuilt.obligations == day.clinic.obligations


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_gives_another_day():
    def text(one) -> str:
        return json.dumps([event.to_dict() for event in one.events])

    small = text(simulate_day(chairs=1, patients=2, seed=2))
    assert text(simulate_day(chairs=1, patients=2, seed=2)) == small
    assert text(simulate_day(chairs=1, patients=2, seed=3)) != small


@pytest.mark.slow
def test_the_load_is_counted(day):
    assert day.load["sessions"] == 4
    assert day.load["events"] == len(day.events)
    assert day.boards[0][1][0].stage == "BOOKED"
    assert set(day.load["busy_fraction"]) == {"nurse-1", "prescriber-1"}


@pytest.mark.parametrize(("chairs", "patients"), [(0, 1), (21, 4), (2, 5), (2, 0)])
def test_a_day_that_does_not_hold_them_is_refused(chairs, patients):
    with pytest.raises(InvalidInputError):
        simulate_day(chairs=chairs, patients=patients)
