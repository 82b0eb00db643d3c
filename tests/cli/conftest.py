"""Settings of the tests of the command line."""

from tests.cli.commands import command  # noqa: F401 - a fixture
