"""Whatever is asked of the JSON twins: no failure of the server, no answer that is not documented."""

from __future__ import annotations

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS, load_all_checks

from euthymia.web.app import create_app

load_all_checks()
EXAMPLES = 40
SAME_QUERY = r"^/api/lab/(result|script)\."
"""Downloads, which take the query of /api/lab and run it."""
schema = schemathesis.openapi.from_asgi("/api/openapi.json", create_app(hosts=("*",)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@schema.exclude(path_regex=SAME_QUERY).parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
def test_an_operation_answers_as_documented(case: schemathesis.Case):
    answer = case.call()
    assert answer.status_code < 500 or answer.status_code == 503, answer.text
    is_busy = answer.status_code == 503
    case.validate_response(answer, checks=_checks()[1:] if is_busy else _checks())


def _checks() -> list:
    names = (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    )
    return [CHECKS.get_one(name) for name in names]


def test_every_json_twin_is_in_the_description():
    paths = schema.raw_schema["paths"]
    assert {"/api/story", "/api/story/chapters/{name}", "/api/story/brain"} <= set(paths)
    assert {"/api/session", "/api/routes", "/api/trials", "/api/trials/{name}", "/api/lab"} <= set(paths)
    assert {"/api/lab/runs", "/api/lab/runs/{name}", "/api/lab/result.json", "/api/lab/script.py"} <= set(
        paths
    )
    assert all(path.startswith("/api/") for path in paths)
    for operations in paths.values():
        for one in operations.values():
            assert {"400", "404", "422", "503"} <= set(one["responses"])
