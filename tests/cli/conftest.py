"""Settings of the tests of the command line."""

import pytest
from tests.cli.commands import command  # noqa: F401 - a fixture


@pytest.fixture(autouse=True)
def the_default_engine(monkeypatch):
    """Commands run as they do for a user."""
    monkeypatch.delenv("EUTHYMIA_ENGINE")
