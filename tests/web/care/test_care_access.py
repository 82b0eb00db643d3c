"""Who may do what: every route by every role, own and restricted patients, and every way in and out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pyotp
import pytest
from fastapi import APIRouter, FastAPI
from tests.web.care.conftest import PASSPHRASE, PIN, Served, event, named, plain, pressure

from euthymia.care.events import kinds
from euthymia.web.care import passwords
from euthymia.web.care.app import routes_of
from euthymia.web.care.pages import check_guarded, guard_of
from euthymia.web.care.refusals import UnusableError
from euthymia.web.care.roles import KIND_RIGHTS, RIGHTS, ROLES
from euthymia.web.care.settings import CareSettings, Hashing

STAFF = ("front_desk", "nurse", "prescriber", "therapist")
CARERS = ("nurse", "prescriber")
CLINICIANS = ("nurse", "prescriber", "therapist")
EVERYBODY = (*STAFF, "stock_witness", "owner", "researcher")
MAY = {
    "home.read": EVERYBODY,
    "board.read": (*STAFF, "owner"),
    "schedule.read": (*STAFF, "owner"),
    "schedule.write": ("front_desk", *CARERS),
    "identity.read": (*STAFF, "owner"),
    "identity.write": ("front_desk", *CARERS),
    "patient.read": (*CLINICIANS, "owner"),
    "intake.read": ("front_desk", *CARERS, "owner"),
    "intake.write": ("front_desk", *CARERS),
    "session.read": (*CARERS, "owner"),
    "session.write": CARERS,
    "assessment.write": CLINICIANS,
    "plan.write": ("prescriber",),
    "therapy.read": (*CLINICIANS, "owner"),
    "therapy.write": CLINICIANS,
    "obligation.read": (*STAFF, "owner"),
    "obligation.write": STAFF,
    "alert.write": CLINICIANS,
    "stock.read": (*CARERS, "stock_witness", "owner"),
    "stock.write": CARERS,
    "stock.witness": (*CARERS, "stock_witness"),
    "clinic.write": CARERS,
    "event.write": (*STAFF, "stock_witness"),
    "glass.break": CLINICIANS,
    "audit.read": ("owner",),
    "account.manage": ("owner",),
    "access.manage": ("owner",),
    "backup.run": ("owner",),
    "identity.erase": ("owner",),
    "research.export": ("researcher",),
}
"""Written by hand from what each role is for; the program's own table is held against it."""
FILLED = {
    "/api/events": {"events": [], "expected": {}},
    "/api/people/search": {"words": "a"},
    "/api/people": {"name": "A", "birth_date": "1970-01-01"},
}


def test_rights_are_those_of_the_roles():
    assert {right: frozenset(roles) for right, roles in MAY.items()} == dict(RIGHTS)
    assert set(ROLES) == set(EVERYBODY)


def test_an_owner_edits_nothing_of_the_clinical_record():
    assert not any("owner" in roles for right, roles in RIGHTS.items() if right.endswith(".write"))


def test_every_kind_of_event_has_a_right_and_none_too_many():
    assert set(KIND_RIGHTS) | {"corrected"} == set(kinds())
    for name, kind in kinds().items():
        assert not kind.roles or set(kind.roles) & set(RIGHTS[KIND_RIGHTS[name]]), name


def test_a_route_without_a_guard_stops_the_application():
    router = APIRouter()
    router.get("/open")(lambda: None)
    app = FastAPI()
    app.include_router(router)
    with pytest.raises(RuntimeError, match="/open"):
        check_guarded([one for one in routes_of(app) if one.path == "/open"])


def _routes(app: Any) -> list[tuple[str, str, Any]]:
    return [
        (method, one.path, guard_of(one)) for one in routes_of(app) for method in sorted(one.methods or ())
    ]


def _ask(client: httpx.Client, method: str, path: str, **more: Any) -> httpx.Response:
    address = re.sub(r"\{\w+\}", "p-s1", path)
    if method == "GET":
        return client.get(address, **more)
    if path in FILLED:
        return client.post(address, json=FILLED[path], **more)
    return client.post(address, data={"reason": "an emergency", "x": "1"}, **more)


@pytest.mark.slow
def test_every_route_by_every_role(served: Served):
    """Generated from the routes themselves: refused with 403 without the right, never with it."""
    found = _routes(served.app)
    assert len(found) > 30
    for role in EVERYBODY:
        client = served.client(role)
        for method, path, guard in found:
            if guard.is_public or path in ("/logout", "/lock", "/live"):
                continue
            answer = _ask(client, method, path)
            is_allowed = not guard.right or role in MAY[guard.right]
            is_half_way = bool(guard.stages) and "full" not in guard.stages
            if is_half_way:
                assert answer.status_code in (303, 401), (role, method, path)
            elif is_allowed:
                assert answer.status_code != 403 or "PIN" in answer.text, (role, method, path, answer.text)
                assert answer.status_code < 500, (role, method, path, answer.text)
            else:
                assert answer.status_code == 403, (role, method, path, answer.status_code)


def test_nothing_is_given_to_who_is_not_signed_in(served: Served):
    served.care.store.put_person(named("p-s1"), actor="desk", role="front_desk")
    client = served.bare()
    for method, path, guard in _routes(served.app):
        answer = _ask(client, method, path)
        if not guard.is_public:
            assert answer.status_code in (303, 401, 422), (method, path, answer.status_code)
            assert answer.status_code != 303 or answer.headers["location"] == "/login"
            assert "Zwiebelfisch" not in answer.text


def test_a_form_without_our_token_is_refused_and_noted(served: Served):
    client = served.client("nurse")
    del client.headers["X-CSRF-Token"]
    for method, path, guard in _routes(served.app):
        if method == "POST" and not guard.is_public and "full" in guard.stages:
            assert _ask(client, method, path).status_code == 403, path
    with served.care.store.reading() as connection:
        query = "SELECT count(*) FROM audit WHERE action = 'refused' AND detail LIKE '%no token%'"
        assert connection.exec_driver_sql(query).scalar() > 5


def test_another_site_is_refused_even_with_the_token(served: Served):
    client = served.client("nurse")
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post("/lock", headers=headers).status_code == 403
    assert client.post("/lock", headers={"Origin": served.address}).status_code == 303


def test_another_name_of_this_host_is_refused(served: Served):
    assert served.bare().get("/login", headers={"Host": "evil.example"}).status_code == 400


def test_who_a_patient_is_by_role(served: Served):
    store = served.care.store
    store.put_person(named("p-s1"), actor="desk", role="front_desk")
    assert served.client("front_desk").get("/api/people/p-s1").json()["person"]["name"] == "Anna Zwiebelfisch"
    assert served.client("researcher").get("/api/people/p-s1").status_code == 403
    found = served.client("nurse").post("/api/people/search", json={"words": "zwieb"}).json()["people"]
    assert [one["patient"] for one in found] == ["p-s1"]


def test_a_restricted_patient_is_open_to_the_team_and_through_broken_glass(served: Served):
    served.care.store.put_person(named("p-s1"), actor="desk", role="front_desk")
    owner, nurse = served.client("owner"), served.client("nurse")
    insider = served.client("nurse", account="insider")
    assert owner.post("/patients/p-s1/team", data={"team": "insider"}).status_code == 303
    assert nurse.get("/api/people/p-s1").status_code == 403
    assert nurse.post("/api/people/search", json={"words": "zwieb"}).json()["people"] == []
    assert _write(nurse, event(values=pressure(1)), {"session:s1": 0}).status_code == 403
    assert insider.get("/api/people/p-s1").status_code == 200
    assert nurse.post("/patients/p-s1/glass", data={"reason": "x"}).status_code == 422
    assert nurse.post("/patients/p-s1/glass", data={"reason": "collapsed in chair 2"}).status_code == 303
    assert nurse.get("/api/people/p-s1").status_code == 200
    assert "collapsed in chair 2" in owner.get("/audit").text
    served.clock.go(minutes=61)
    assert served.client("nurse").get("/api/people/p-s1").status_code == 403


def test_a_restricted_patient_is_not_reached_through_its_session(served: Served):
    """A write that names the session and another patient is held against the session's own patient."""
    served.care.store.record([event(values=pressure(1))], expected={"session:s1": 0})
    served.client("owner").post("/patients/p-s1/team", data={"team": "insider"})
    served.care.store.put_person(named("p-s1"), actor="desk", role="front_desk")
    assert served.client("owner").post("/patients/p-s1/team", data={"team": "insider"}).status_code == 303
    subjects = {"patient": "p-other", "course": "c-s1", "session": "s1"}
    said = event(values=pressure(1), subjects=subjects)
    assert _write(served.client("nurse"), said, {"session:s1": 1}).status_code == 403


def _write(client: httpx.Client, one: Any, expected: dict[str, int], **more: Any) -> httpx.Response:
    return client.post("/api/events", json={"events": [plain(one)], "expected": expected, **more})


@pytest.mark.parametrize("role", EVERYBODY)
def test_kinds_of_events_by_role(served: Served, role: str):
    """A reading is a carer's, a plan a prescriber's; who may not is refused before anything is looked at."""
    client = served.client(role)
    reading = _write(client, event(values=pressure(120)), {"session:s1": 0})
    assert reading.status_code == (200 if role in CARERS else 403)
    facts = {
        "order_id": "o1",
        "drug": "ketamine",
        "route": "iv_infusion",
        "amount_mg": 35.0,
        "signed_by": role,
    }
    order = event("order_signed", facts=facts, subjects={"patient": "p-1", "course": "c-1"})
    assert _write(client, order, {"course:c-1": 0}).status_code == (200 if role == "prescriber" else 403)


def test_author_role_and_time_are_the_records_to_say(served: Served):
    given = plain(event(values=pressure(120)))
    client = served.client("nurse")
    for more in ({"author": "somebody"}, {"role": "owner"}, {"entered_at": "2020-01-01T00:00:00Z"}):
        body = {"events": [{**given, **more}], "expected": {"session:s1": 0}}
        assert client.post("/api/events", json=body).status_code == 422
    [stored] = _write(client, event(values=pressure(120)), {"session:s1": 0}).json()["events"]
    assert (stored["author"], stored["role"]) == ("nurse", "nurse")


def test_two_tabs_on_one_record_get_409_with_a_diff(served: Served):
    first, second = served.client("nurse"), served.client("prescriber")
    assert _write(first, event(values=pressure(120)), {"session:s1": 0}).status_code == 200
    refused = _write(second, event(values=pressure(150)), {"session:s1": 0})
    said = refused.json()
    assert (refused.status_code, said["ok"], said["current"]) == (409, False, 1)
    assert {one["field"] for one in said["differences"]} == {"kind", "values.systolic_mmHg"}
    assert said["since"][0]["author"] == "nurse"
    assert _write(second, event(values=pressure(150)), {"session:s1": 1}).status_code == 200


def test_a_signature_needs_the_pin_after_a_while_and_nobody_signs_for_another(served: Served):
    client = served.client("prescriber")
    facts = {"order_id": "o1", "drug": "ketamine", "route": "iv_infusion", "amount_mg": 35.0}
    subjects = {"patient": "p-1", "course": "c-1"}

    def order(signed_by: str) -> Any:
        return event("order_signed", facts={**facts, "signed_by": signed_by}, subjects=subjects)

    served.clock.go(minutes=4)
    client.get("/")
    served.clock.go(minutes=4)
    assert _write(client, order("prescriber"), {"course:c-1": 0}).json()["errors"][0]["field"] == "pin"
    assert _write(client, order("prescriber"), {"course:c-1": 0}, pin="000001").status_code == 403
    assert _write(client, order("nurse"), {"course:c-1": 0}, pin=PIN).status_code == 422
    assert _write(client, order("prescriber"), {"course:c-1": 0}, pin=PIN).status_code == 200


def test_waste_needs_a_second_person_with_their_own_pin(served: Served):
    nurse = served.client("nurse")
    served.account("wendy", "stock_witness")
    served.account("desk", "front_desk")
    subjects = {"lot": "lot1"}
    received = {
        "drug": "esketamine",
        "count": 3,
        "unit": "device",
        "amount_mg_each": 28.0,
        "expiry": "2027-01-01",
    }
    assert (
        _write(nurse, event("lot_received", subjects=subjects, facts=received), {"stock:lot1": 0}).status_code
        == 200
    )

    def waste(witness: str, **more: Any) -> httpx.Response:
        facts = {"count": 1, "by": "nurse", "witness": witness}
        said = event("lot_wasted", subjects=subjects, facts=facts, reason="dropped")
        return _write(nurse, said, {"stock:lot1": 1}, **more)

    assert waste("wendy").status_code == 403
    assert waste("wendy", second={"account": "wendy", "pin": "000001"}).status_code == 403
    assert waste("nurse", second={"account": "nurse", "pin": PIN}).status_code == 403
    assert waste("wendy", second={"account": "desk", "pin": PIN}).status_code == 403
    assert waste("desk", second={"account": "desk", "pin": PIN}).status_code == 403
    assert waste("wendy", second={"account": "wendy", "pin": PIN}).status_code == 200


def test_a_correction_needs_the_right_of_what_it_corrects(served: Served):
    nurse, therapist = served.client("nurse"), served.client("therapist")
    [stored] = _write(nurse, event(values=pressure(120)), {"session:s1": 0}).json()["events"]
    fix = event("corrected", corrects=stored["event_id"], reason="misread", values=pressure(102))
    assert _write(therapist, fix, {"session:s1": 1}).status_code == 403
    other = event("corrected", "s2", corrects=stored["event_id"], reason="misread", values=pressure(102))
    assert _write(nurse, other, {"session:s2": 0}).status_code == 422
    assert _write(nurse, fix, {"session:s1": 1}).status_code == 200


# --- coming in and going out


def _form(client: httpx.Client, page: str) -> dict[str, str]:
    """Return the hidden fields of a page's main form, as a browser would send them."""
    html = client.get(page).text.split("<main", 1)[1]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html))


def test_from_the_printed_token_to_a_signed_in_owner(served: Served):
    token = served.care.accounts.set_up_token()
    client = served.bare()
    who = {"account": "olga", "name": "Olga", "passphrase": PASSPHRASE}
    wrong = client.post("/set-up", data={**_form(client, "/set-up"), **who, "token": "x" * 40})
    assert wrong.status_code == 403
    done = client.post("/set-up", data={**_form(client, "/set-up"), **who, "token": token})
    assert (done.status_code, done.headers["location"]) == (303, "/enrol")
    assert client.get("/").headers["location"] == "/login"
    secret = _form(client, "/enrol")
    code = pyotp.TOTP(secret["secret"]).at(served.clock())
    shown = client.post("/enrol", data={**secret, "code": code, "pin": PIN})
    codes = re.findall(r"<code>([0-9a-f]{20})</code>", shown.text)
    assert len(set(codes)) == 10
    assert client.get("/").status_code == 200
    again = served.bare()
    assert again.post("/set-up", data={**_form(again, "/set-up"), **who, "token": token}).status_code == 403
    assert served.care.accounts.set_up_token() is None
    _sign_in(served, "olga", codes[0])
    with pytest.raises(AssertionError):
        _sign_in(served, "olga", codes[0])


def _sign_in(served: Served, account: str, code: str) -> httpx.Client:
    client = served.bare()
    form = {**_form(client, "/login"), "account": account, "passphrase": PASSPHRASE}
    assert client.post("/login", data=form).headers.get("location") == "/code"
    before = client.cookies["care"]
    answer = client.post("/code", data={**_form(client, "/code"), "code": code})
    assert answer.status_code == 303, answer.text
    assert client.cookies["care"] != before, "a new token after signing in"
    return client


def test_a_code_counts_once_and_for_half_a_minute(served: Served):
    served.account("nina", "nurse")
    code = served.code("nina")
    _sign_in(served, "nina", code)
    with pytest.raises(AssertionError, match="used before"):
        _sign_in(served, "nina", code)
    served.clock.go(seconds=31)
    late = served.code("nina")
    served.clock.go(seconds=95)
    with pytest.raises(AssertionError, match="wrong"):
        _sign_in(served, "nina", late)


def test_a_passphrase_alone_opens_nothing(served: Served):
    served.account("nina", "nurse")
    client = served.bare()
    client.post("/login", data={**_form(client, "/login"), "account": "nina", "passphrase": PASSPHRASE})
    for page in ("/", "/api/people/p-s1", "/live", "/unlock", "/enrol"):
        assert client.get(page).status_code in (303, 401)


def test_a_session_locks_after_a_rest_and_its_pin_opens_it_under_a_new_token(served: Served):
    client = served.client("nurse")
    served.clock.go(minutes=5.1)
    assert client.get("/api/people/p-s1").status_code == 423
    assert client.get("/").headers["location"] == "/unlock"
    assert _write(client, event(values=pressure(120)), {"session:s1": 0}).status_code == 423
    form = _form(client, "/unlock")
    assert client.post("/unlock", data={**form, "pin": "000001"}).status_code == 403
    before = client.cookies["care"]
    assert client.post("/unlock", data={**form, "pin": PIN}).status_code == 303
    assert client.get("/").status_code == 200
    stale = served.bare()
    stale.cookies.set("care", before)
    assert stale.get("/api/people/p-s1").status_code == 401


def test_five_wrong_pins_end_the_session(served: Served):
    client = served.client("nurse")
    client.post("/lock")
    for _ in range(5):
        last = client.post("/unlock", data={"pin": "000001"})
    assert last.status_code == 401
    assert client.post("/unlock", data={"pin": PIN}).status_code == 401


def test_what_a_page_asks_by_itself_does_not_keep_a_session_open(served: Served):
    client = served.client("nurse")
    for _ in range(3):
        served.clock.go(minutes=2)
        last = client.get("/api/people/p-s1", headers={"X-Background": "1"})
    assert last.status_code == 423


def test_a_session_ends_after_its_absolute_time(serve: Callable[..., Served]):
    served = serve(absolute_h=0.3)
    client = served.client("nurse")
    for _ in range(4):
        served.clock.go(minutes=4)
        assert client.get("/api/people/p-s1").status_code == 200
    served.clock.go(minutes=4)
    assert client.get("/api/people/p-s1").status_code == 401


def test_signing_out_and_closing_an_account_count_at_once(served: Served):
    one, other, owner = served.client("nurse"), served.client("nurse"), served.client("owner")
    out = one.post("/logout")
    assert out.headers["clear-site-data"] == '"cache", "cookies", "storage"'
    assert (one.get("/api/people/p").status_code, other.get("/api/people/p").status_code) == (401, 200)
    assert owner.post("/accounts/nurse/active", data={"is_active": "false"}).status_code == 303
    assert other.get("/api/people/p").status_code == 401


def test_roles_that_are_taken_away_count_at_once(served: Served):
    one, owner = served.client("nurse"), served.client("owner")
    assert one.get("/api/people/p").status_code == 200
    owner.post("/accounts/nurse/roles", data={"roles": "researcher"})
    assert one.get("/api/people/p").status_code == 401
    assert served.client("nurse").get("/api/people/p").status_code == 403


def test_the_last_owner_stays(served: Served):
    owner = served.client("owner")
    assert owner.post("/accounts/owner/active", data={"is_active": "false"}).status_code == 422
    assert owner.get("/api/accounts").status_code == 200


def test_guessing_is_slowed_per_account_and_address_and_outlives_a_restart(served: Served):
    served.account("nina", "nurse")
    accounts = served.care.accounts
    for _ in range(5):
        with pytest.raises(Exception, match="wrong"):
            accounts.check_passphrase("nina", "not it at all, really", address="10.0.0.9")
    fresh = type(accounts)(served.care.store)
    with pytest.raises(Exception, match="Too many"):
        fresh.check_passphrase("nina", PASSPHRASE, address="10.0.0.9")
    assert fresh.check_passphrase("nina", PASSPHRASE, address="10.0.0.8").account == "nina"
    served.clock.go(minutes=16)
    assert fresh.check_passphrase("nina", PASSPHRASE, address="10.0.0.9").account == "nina"


def test_an_unknown_account_is_answered_as_a_known_one(served: Served):
    served.account("nina", "nurse")
    client = served.bare()
    form = _form(client, "/login")
    said = [
        client.post("/login", data={**form, "account": name, "passphrase": "not it at all, really"}).text
        for name in ("nina", "nobody")
    ]
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("given", "is_good"),
    [
        ("four words of one's own", True),
        ("ein langer deutscher Satz ü", True),
        ("short", False),
        ("x" * 129, False),
        ("aaaaaaaaaaaaaaaaaaaa", False),
        ("abcabcabcabcabcabcabc", False),
        ("qwertyuiopasdfghjkl", False),
        ("1234567890123456789", False),
        ("passwordpasswordpassword", False),
        ("ketamineclinic1234", False),
        ("nina.nina.nina.nina", False),
    ],
)
def test_passphrases(given: str, is_good: bool):
    if is_good:
        assert passwords.check_passphrase(given, account="nina") == given
    else:
        with pytest.raises(UnusableError):
            passwords.check_passphrase(given, account="nina")


@pytest.mark.parametrize("pin", ["12345", "123456", "987654", "111111", "121212", "abcdef", "1234567890123"])
def test_pins_that_are_refused(pin: str):
    with pytest.raises(UnusableError):
        passwords.check_pin(pin)


def test_hashing_costs_what_it_should_by_default():
    cost = Hashing()
    assert cost.memory_KiB >= 19 * 1024
    assert cost.time_cost >= 2
    hashed = passwords.Hasher(cost).hash(PASSPHRASE)
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_cookies_and_headers_are_strict(serve: Callable[..., Served]):
    served = serve(is_tls=True)
    answer = served.bare().get("/login")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-care-form=")
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Secure", "Path=/"))
    assert "expires" not in cookie.lower()
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["strict-transport-security"]
    assert answer.headers["x-frame-options"] == "DENY"


def test_a_body_that_is_too_large_is_refused(served: Served):
    client = served.client("nurse")
    assert client.post("/api/events", content=b"x" * 600_000).status_code == 413
    assert client.post("/api/events", content=iter([b"x" * 300_000, b"x" * 300_000])).status_code >= 400


def test_the_demonstration_lets_everybody_in_and_the_record_nobody(
    serve: Callable[..., Served], settings: CareSettings, served: Served
):
    assert served.bare().post("/demo", data={"role": "nurse"}).status_code == 404
    demo = serve(data=settings.data.with_name("demo.sqlite"), is_demo=True)
    from euthymia.web.care.invented import fill_demo

    fill_demo(demo.care.store)
    client = demo.bare()
    page = client.get("/login").text
    assert "INVENTED PATIENTS" in page
    form = dict(re.findall(r'name="(_csrf)" value="([^"]*)"', page))
    assert client.post("/demo", data={**form, "role": "nurse"}).status_code == 303
    assert "INVENTED PATIENTS" in client.get("/").text
    client.headers["X-CSRF-Token"] = re.findall(r'name="csrf" content="([^"]*)"', client.get("/").text)[0]
    real = {"name": "Anna Zwiebelfisch", "birth_date": "1971-03-04"}
    assert client.post("/api/people", json=real).status_code == 422
    assert client.post("/api/people", json={**real, "name": "Invented person 99"}).status_code == 200


def test_reading_is_in_the_trail_before_the_page_is_sent(served: Served):
    served.care.store.put_person(named("p-s1"), actor="desk", role="front_desk")
    served.client("nurse").get("/api/people/p-s1")
    served.client("owner").get("/audit")
    with served.care.store.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT actor, action, about, detail FROM audit WHERE action = 'read'"
        ).all()
    assert [(one[0], one[2], json.loads(one[3])["screen"]) for one in rows] == [
        ("nurse", "p-s1", "person"),
        ("owner", "", "trail"),
    ]


def test_every_page_has_its_twin(served: Served):
    owner = served.client("owner")
    for path in ("/", "/accounts", "/audit", "/backups"):
        assert owner.get(path).headers["content-type"].startswith("text/html")
        twin = owner.get(f"/api{path}")
        assert twin.json()["ok"] is True
