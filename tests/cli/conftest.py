"""Settings of the tests of the command line."""

from commands import command  # noqa: F401 - a fixture
