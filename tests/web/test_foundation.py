"""Every page and every mistake carries the headers, stays at home, and says what the software is."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

import pytest
from starlette.testclient import TestClient

from euthymia.errors import UnknownNameError
from euthymia.web.app import create_app, page_modules
from euthymia.web.crisis import countries

PATHS = tuple(one.LINK.path for one in page_modules())


@pytest.mark.parametrize("path", [*PATHS, "/nothing", "/api/nothing", "/static/euthymia.css"])
def test_every_answer_carries_the_headers(client: TestClient, path: str):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in headers


@pytest.mark.parametrize("path", PATHS)
def test_pages_have_no_inline_script_or_style_and_name_no_other_host(client: TestClient, path: str):
    text = client.get(path).text
    assert not re.findall(r"<script(?![^>]*\bsrc=)", text)
    assert not re.findall(r"<style|\sstyle=|\son\w+=", text)
    sources = re.findall(r'(?:src|action|hx-get)="([^"]*)"|<link[^>]*href="([^"]*)"', text)
    assert all(one.startswith("/") for pair in sources for one in pair if one)


@pytest.mark.parametrize("path", [*PATHS, "/nothing"])
def test_every_page_says_that_it_is_research_software(client: TestClient, path: str):
    assert "Research software, not a medical device" in client.get(path).text


def test_a_foreign_host_name_is_refused(client: TestClient):
    answer = client.get("/", headers={"host": "elsewhere.example"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "host"


def test_a_query_that_is_too_long_is_refused(client: TestClient):
    assert client.get("/", params={"dose": "1" * 5000}).status_code == 414


def test_a_path_that_is_not_there_answers_a_page_to_people_and_json_to_programs(client: TestClient):
    assert "There is no page here" in client.get("/nothing").text
    assert client.get("/api/nothing").json() == {
        "ok": False,
        "status": 404,
        "errors": [{"field": "", "message": "There is no page here"}],
    }


def test_a_failure_shows_no_traceback():
    app = create_app()

    @app.get("/api/broken")
    def broken() -> None:
        message = "secret"
        raise RuntimeError(message)

    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        answer = client.get("/api/broken")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["ok"] is False


def test_shipped_files_are_those_of_the_notice():
    folder = files("euthymia") / "web" / "static" / "vendor"
    told = re.findall(
        r"^  (\S+)\n  sha256 ([0-9a-f]{64})$", (folder / "NOTICE.txt").read_text(), re.MULTILINE
    )
    shipped = {one.name for one in folder.iterdir()} - {"NOTICE.txt"}
    assert {name for name in shipped if not name.startswith("LICENSE")} == {name for name, _ in told}
    for name, digest in told:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("country", list(countries()))
def test_crisis_lines_of_every_country_stand_on_the_page(country: str):
    with TestClient(create_app(country=country), base_url="http://localhost") as client:
        text = client.get("/").text
    assert countries()[country].lines[0].reach in text
    assert countries()[country].source
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", countries()[country].read_on)


def test_a_country_without_lines_is_refused():
    with pytest.raises(UnknownNameError, match="country 'XX'"):
        create_app(country="XX")
