"""Numbers of a trial of one's own: read from a file, or refused with what is wrong in it."""

from __future__ import annotations

from math import asin, log, sqrt
from pathlib import Path

import pytest

from euthymia.calibration.added import read_added
from euthymia.errors import InvalidInputError

TEXT = """\
schema: euthymia.added-trial/1
protocol: murrough-2013
role: calibrate
source: Table 2
rows:
  - {name: M1, quantity: mean_change, arm: ketamine, time: day 1, observed: -14}
  - {name: M2, quantity: sd_change, arm: ketamine, time: day 1, observed: 9.5}
  - {quantity: response_share, arm: ketamine, time: day 1, fraction: 0.5, observed: 64}
"""


def written(tmp_path: Path, *edits: tuple[str, str]) -> Path:
    text = TEXT
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_become_targets_on_the_scale_of_their_comparison(tmp_path: Path):
    found = read_added(written(tmp_path))
    assert [one.name for one in found] == ["M1", "M2", "mine-3"]
    expected = [-14.0, log(9.5), asin(sqrt(0.64))]
    assert [one.observed for one in found] == pytest.approx(expected, rel=1e-12)
    assert {one.trials for one in found} == {("murrough-2013",)}
    assert {one.role for one in found} == {"calibrate"}
    assert found[0].run.times_h == (24.0,)


def test_a_protocol_beside_the_file_is_found(tmp_path: Path):
    (tmp_path / "own.yaml").write_text("include: murrough-2013\nid: own\n", encoding="utf-8")
    (one, *_) = read_added(written(tmp_path, ("protocol: murrough-2013", "protocol: own.yaml")))
    assert one.trials == (str(tmp_path / "own.yaml"),)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("role: calibrate\n", ""), "role: must be one of background, calibrate, prior. Got none"),
        (("role: calibrate", "role: validate"), "kept to validate are predicted, never fitted"),
        (("source: Table 2\n", ""), "source: must say where the numbers stand"),
        (("schema: euthymia.added-trial/1", "schema: x"), "schema: must be"),
        (("murrough-2013", "murogh-2013"), "murrough-2013"),
        (("rows:", "row:"), "Unknown field 'row'"),
        (("quantity: mean_change", "quantity: mean"), "rows.1: .*quantity must be one of"),
        (("arm: ketamine", "arm: ketamin"), "rows.1: .*no arm 'ketamin'"),
        (("time: day 1", "time: day 5"), "rows.1: .*does not rate MADRS at day 5"),
        (("observed: -14", "observed: much"), r"rows.1.observed: must be the printed number\. Got 'much'"),
        (("observed: 64", "observed: 164"), r"rows.3.observed: must be 0-100 percent\. Got 164"),
        (("name: M1", "nick: M1"), "rows.1: Unknown field 'nick'"),
        (("quantity: mean_change", "quantity: hazard_ratio"), "rows.1: "),
        (("  - {name: M1", "  - {name: M1: "), "is no YAML"),
    ],
)
def test_what_cannot_be_fitted_is_refused_with_file_and_row(tmp_path: Path, edit: tuple[str, str], said: str):
    with pytest.raises(InvalidInputError, match=said) as told:
        read_added(written(tmp_path, edit))
    assert "\n" not in str(told.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_added(tmp_path / "none.yaml")
