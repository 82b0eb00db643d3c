"""Settings of the tests of the command line."""

from collections.abc import Iterator

import pytest
from tests.cli.commands import command  # noqa: F401 - a fixture


@pytest.fixture(scope="module", autouse=True)
def the_default_engine() -> Iterator[None]:
    """Commands run as they do for a user, those of other fixtures too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("EUTHYMIA_ENGINE", raising=False)
        yield
