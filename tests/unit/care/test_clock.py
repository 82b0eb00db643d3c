from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.care.clock import (
    Now,
    SteadyClock,
    due_in_calendar_days,
    end_of_day,
    exactly,
    from_local,
    local_day,
    zone_of,
)
from euthymia.errors import InvalidInputError

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
BERLIN = zone_of("Europe/Berlin")


class Wall:
    """A computer's clock and its count of seconds, moved by hand."""

    def __init__(self) -> None:
        self.at, self.ticks = NOON, 100.0

    def run(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.ticks += seconds

    def step(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def clock(self, **more) -> SteadyClock:
        return SteadyClock(lambda: self.at, lambda: self.ticks, **more)


def test_an_undisturbed_clock_reads_as_the_wall_does():
    wall = Wall()
    clock = wall.clock()
    for seconds in (0.0, 1.0, 3600.0):
        wall.run(seconds)
        now = clock.read()
        assert now.latest - now.earliest <= timedelta(microseconds=1)
        assert abs(now.at - wall.at) <= timedelta(microseconds=2)
        assert now.step == timedelta(0)


@given(
    st.lists(
        st.tuples(st.sampled_from(["run", "step"]), st.floats(min_value=-7200, max_value=7200)), max_size=12
    )
)
def test_times_of_entry_grow_whatever_the_wall_does(moves):
    wall, last = Wall(), None
    clock = wall.clock()
    for kind, seconds in moves:
        (wall.run if kind == "run" and seconds >= 0 else wall.step)(seconds)
        now = clock.read()
        assert last is None or now.at > last
        assert now.earliest <= now.at <= now.latest
        last = now.at


def test_a_step_forward_does_not_make_time_pass_for_what_must_last():
    wall = Wall()
    clock = wall.clock()
    start = clock.read().at
    wall.run(60 * 60)
    wall.step(2 * 3600)
    now = clock.read()
    assert now.step == timedelta(hours=2)
    assert now.minutes_at_least(start) == pytest.approx(60.0, abs=1e-6)
    assert now.minutes_at_most(start) == pytest.approx(180.0, abs=1e-6)
    assert now.is_in_doubt
    assert clock.read().step == timedelta(0), "it is said once"


def test_a_step_back_does_not_hide_what_is_due_and_lengthens_what_must_last():
    wall = Wall()
    clock = wall.clock()
    start = clock.read().at
    wall.run(3600)
    wall.step(-1800)
    now = clock.read()
    assert now.minutes_at_least(start) == pytest.approx(30.0, abs=1e-6)
    assert now.minutes_at_most(start) == pytest.approx(60.0, abs=1e-6)
    assert now.is_past(start + timedelta(minutes=60))


def test_somebody_who_has_looked_ends_the_doubt():
    wall = Wall()
    clock = wall.clock()
    wall.run(10)
    wall.step(3600)
    clock.read()
    now = clock.confirm()
    assert not now.is_in_doubt
    assert now.at == wall.at


def test_drift_of_two_seconds_is_followed_and_more_is_not():
    wall = Wall()
    clock = wall.clock()
    wall.step(2.0)
    assert not clock.read().is_in_doubt
    wall.step(2.1)
    assert clock.read().step == timedelta(seconds=2.1)


def test_after_a_restart_no_entry_comes_before_the_last_one():
    wall = Wall()
    last = NOON + timedelta(hours=1)
    now = wall.clock(last=last).read()
    assert now.at > last
    assert now.step == timedelta(hours=-1) - timedelta(microseconds=1)
    assert now.earliest == NOON


def test_minutes_are_never_negative():
    now = exactly(NOON)
    later = NOON + timedelta(minutes=5)
    assert (now.minutes_at_least(later), now.minutes_at_most(later)) == (0.0, 0.0)
    assert not now.is_past(later)
    assert now.is_past(NOON)


def test_doubt_begins_above_the_drift():
    def reading(seconds: float) -> Now:
        return Now(at=NOON, earliest=NOON, latest=NOON + timedelta(seconds=seconds))

    assert not reading(2.0).is_in_doubt
    assert reading(2.001).is_in_doubt


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)]
)
def test_a_day_has_as_many_hours_as_the_site_gives_it(day, hours):
    length = end_of_day(day, BERLIN) - end_of_day(day - timedelta(days=1), BERLIN)
    assert length == timedelta(hours=hours)


def test_seven_calendar_days_end_at_midnight_of_the_site_across_summer_time():
    session = datetime(2026, 3, 24, 23, 30, tzinfo=UTC)
    assert local_day(session, BERLIN) == date(2026, 3, 25)
    due = due_in_calendar_days(session, 7, BERLIN)
    assert due == datetime(2026, 4, 1, 21, 59, 59, 999999, tzinfo=UTC)


def test_the_hour_that_is_left_out_is_refused():
    with pytest.raises(InvalidInputError, match="summer time begins"):
        from_local(datetime(2026, 3, 29, 2, 30), BERLIN)


def test_the_hour_that_comes_twice_has_to_be_said():
    wall = datetime(2026, 10, 25, 2, 30)
    with pytest.raises(InvalidInputError, match="the first or the second"):
        from_local(wall, BERLIN)
    first, second = (from_local(wall, BERLIN, is_second=one) for one in (False, True))
    assert second - first == timedelta(hours=1)
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_an_unknown_zone_is_named():
    with pytest.raises(InvalidInputError, match="time_zone"):
        zone_of("Mars/Olympus")


def test_a_clock_is_in_doubt_only_as_long_as_the_wall_disagrees():
    wall = Wall()
    clock = wall.clock()
    wall.run(5)
    wall.step(60)
    assert clock.read().is_in_doubt
    wall.step(-60)
    again = clock.read()
    assert not again.is_in_doubt
    assert again.step == timedelta(0)
    wall.step(60)
    assert clock.read().step == timedelta(seconds=60), "a second step is said again"


def test_confirming_keeps_the_order_of_entries_where_the_wall_was_set_back():
    wall = Wall()
    clock = wall.clock()
    wall.run(600)
    before = clock.read().at
    wall.step(-300)
    now = clock.confirm()
    assert now.at == before + timedelta(microseconds=1)
    assert now.step == timedelta(0)
    wall.run(301)
    assert clock.read().at == NOON + timedelta(seconds=601)


def test_a_restart_without_a_step_says_none():
    now = Wall().clock(last=NOON - timedelta(hours=1)).read()
    assert (now.at, now.step) == (NOON, timedelta(0))


def test_messages_about_local_times_name_field_time_and_cause():
    gap, twice = datetime(2026, 3, 29, 2, 30), datetime(2026, 10, 25, 2, 30)
    begins = "'time' must be one that clocks show that day (summer time begins). Got 02:30."
    ends = "'time' must be said to be the first or the second (summer time ends). Got 02:30."
    for wall, says in ((gap, begins), (twice, ends)):
        with pytest.raises(InvalidInputError) as refused:
            from_local(wall, BERLIN)
        assert str(refused.value) == says
    with pytest.raises(InvalidInputError) as refused:
        zone_of("Mars/Olympus")
    assert str(refused.value) == "'time_zone' must be a name such as Europe/Berlin. Got 'Mars/Olympus'."
    assert from_local(datetime(2026, 6, 1, 12), BERLIN) == datetime(2026, 6, 1, 10, tzinfo=UTC)
