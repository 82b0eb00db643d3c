import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.care.events import check_event, corrected, correction, history, kinds
from euthymia.care.record import Event, Quantity, from_text, to_text
from euthymia.errors import InvalidInputError

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SUBJECTS = {"patient": "p1", "course": "c1", "session": "s1"}
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def pressure(entered: str = "128", canonical: float = 128.0) -> Quantity:
    return Quantity(entered=entered, unit="mmHg", canonical=canonical, canonical_unit="mmHg")


def reading(**changes) -> Event:
    given = {
        "event_id": "e1",
        "kind": "reading_taken",
        "subjects": SUBJECTS,
        "observed_at": NOON,
        "entered_at": NOON + timedelta(minutes=1),
        "author": "nora",
        "role": "nurse",
        "values": {"systolic_mmHg": pressure()},
        "facts": {"on_air": True},
    }
    return Event(**(given | changes))


@given(answers=PLAIN, entered=st.text(), canonical=st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_written_as_json_is_read_back_the_same(answers, entered, canonical):
    event = reading(
        kind="intake_recorded", facts={"answers": answers}, values={"weight_kg": pressure(entered, canonical)}
    )
    assert Event.from_dict(json.loads(json.dumps(event.to_dict()))) == event


@given(st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC)))
def test_instants_keep_every_microsecond_and_sort_as_text(instant):
    assert from_text(to_text(instant)) == instant
    assert (to_text(instant) < to_text(NOON)) == (instant < NOON)


def test_an_instant_of_any_zone_is_kept_in_utc():
    local = datetime(2026, 3, 2, 14, tzinfo=timezone(timedelta(hours=2)))
    assert reading(observed_at=local).to_dict()["observed_at"] == "2026-03-02T12:00:00.000000Z"


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(InvalidInputError, match="'observed_at' must be an instant with a time zone"):
        reading(observed_at=datetime(2026, 3, 2, 12))


def test_another_schema_is_refused():
    with pytest.raises(InvalidInputError, match="'schema' must be"):
        Event.from_dict(reading().to_dict() | {"schema": "euthymia.care.event/0"})


def test_nothing_in_an_event_can_be_changed():
    event = reading(kind="intake_recorded", facts={"answers": {"drugs": ["lithium"]}})
    with pytest.raises(TypeError):
        event.facts["answers"]["drugs"] = ()
    with pytest.raises(AttributeError):
        event.kind = "note_added"


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"kind": "reading_takn"}, "reading_taken"),
        ({"subjects": {"patient": "p1", "course": "c1"}}, "subjects.session"),
        ({"facts": {"on_aire": True}}, "on_air"),
        ({"kind": "check_skipped", "values": {}, "facts": {"check_id": "k"}}, "'reason' must be given"),
        ({"kind": "note_added", "facts": {}, "values": {}}, "facts.text"),
        ({"kind": "note_added", "facts": {"text": "x"}}, "'values' must be left out"),
        ({"values": {"systolic_mmHg": pressure("nan", float("nan"))}}, "without NaN"),
    ],
)
def test_an_event_that_does_not_say_what_its_kind_needs_is_refused(changes, match):
    with pytest.raises(InvalidInputError, match=match):
        check_event(reading(**changes))


def corrected_by(of: Event, event_id: str, systolic: float) -> Event:
    return correction(
        of,
        event_id=event_id,
        at=NOON + timedelta(minutes=5),
        author="nora",
        role="nurse",
        reason="read the wrong line",
        values={"systolic_mmHg": pressure(f"{systolic:g}", systolic)},
    )


def test_a_correction_stands_in_place_and_the_old_value_stays():
    first, other = reading(), reading(event_id="e2", observed_at=NOON + timedelta(minutes=10))
    second = corrected_by(first, "e3", 138.0)
    third = corrected_by(second, "e4", 139.0)
    events = [first, other, second, third]
    standing = corrected(events)
    assert [one.number("systolic_mmHg") for one in standing[:2]] == [139.0, 128.0]
    assert standing[0].facts["on_air"] is True
    assert [one.number("systolic_mmHg") for one in history(events, "e1")] == [128.0, 138.0, 139.0]


def test_a_correction_needs_a_reason_and_may_not_bring_foreign_facts():
    with pytest.raises(InvalidInputError, match="'reason'"):
        correction(reading(), event_id="x", at=NOON, author="n", role="nurse", reason=" ")
    with pytest.raises(InvalidInputError, match="fact of reading_taken"):
        correction(
            reading(), event_id="x", at=NOON, author="n", role="nurse", reason="slip", facts={"lot": "a"}
        )


def test_every_kind_belongs_to_a_machine_and_names_each_fact_once():
    for kind in kinds().values():
        names = (*kind.needs, *kind.may)
        assert len(set(names)) == len(names), kind.name
