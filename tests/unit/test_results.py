"""Results as JSON, CSV, Parquet and folders; files are written whole or not at all; pages escape."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import polars
import pytest

from euthymia import __version__, simulate_concentrations
from euthymia.errors import InvalidInputError, RunFailedError, UnknownNameError
from euthymia.files.report import Section, TableBlock, render_report
from euthymia.files.results import (
    SUFFIXES,
    _mean,
    check_out,
    dump_json,
    quantile_table,
    simulation_json,
    write_result,
)
from euthymia.files.writing import check_writable, write_whole
from euthymia.model.trajectory import Trajectory
from euthymia.tables import list_files, read_text

COMMAND = ["simulate", "..."]


def course(patients: int | None = 5) -> Trajectory:
    return simulate_concentrations(
        "ketamine 0.5 mg/kg iv over 40 min",
        patients=patients,
        times_h=[0.0, 0.5, 2.0],
        variables=["ketamine_venous", "norketamine"],
    )


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- documents ---------------------------------------------------------------------------------


def test_quantiles_and_mean_are_those_of_the_patients():
    made = course()
    document = simulation_json(made, unit="umol/L", command=COMMAND)
    curve = document["variables"]["ketamine_venous_umol_per_L"]
    values = made.values["ketamine_venous"]
    for name, level in (("p05", 0.05), ("p50", 0.5), ("p95", 0.95)):
        assert curve[name] == np.quantile(values, level, axis=0).tolist()
    np.testing.assert_allclose(curve["mean"], values.mean(axis=0), rtol=1e-15, atol=0)


def test_exposure_is_that_of_the_metrics_in_the_unit_asked_for():
    made = course(None)
    document = simulation_json(made, unit="ng/mL", command=COMMAND)
    shown = document["metrics"]["norketamine_ng_per_mL"]
    one = made.metrics["norketamine"]
    assert shown["cmax"]["p50"] == one.cmax[0] * 223.7
    assert shown["auc_0_to_infinity"]["unit"] == "h*ng/mL"
    assert shown["tmax_h"] == dict.fromkeys(("p05", "p50", "p95", "mean"), one.tmax_h[0]) | {"unit": "h"}


def test_document_says_where_it_comes_from():
    document = simulation_json(course(), unit="ng/mL", command=COMMAND)
    assert document["schema"] == "euthymia.simulation/1"
    assert document["version"] == __version__
    assert document["provenance"]["patients"] == 5
    assert not document["provenance"]["is_typical"]
    assert "not a medical device" in document["provenance"]["status"]


def test_numbers_that_do_not_exist_are_null():
    made = course()
    made.values["norketamine"][2, 1] = np.nan
    made.metrics["norketamine"].half_life_h[:] = np.nan
    made.metrics["norketamine"].tmax_h[0] = np.inf
    document = json.loads(
        dump_json(simulation_json(made, unit="ng/mL", command=COMMAND, with_individuals=True))
    )
    curve = document["variables"]["norketamine_ng_per_mL"]
    assert [value is None for value in curve["p50"]] == [False, True, False]
    assert [value is None for value in curve["mean"]] == [False, True, False]
    assert document["individuals"]["norketamine_ng_per_mL"]["3"][1] is None
    metrics = document["metrics"]["norketamine_ng_per_mL"]
    assert set(metrics["half_life_h"].values()) == {"h", None}
    assert metrics["tmax_h"]["p50"] == np.median(made.metrics["norketamine"].tmax_h[1:])


def test_text_refuses_what_json_cannot_say():
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump_json({"value": float("nan")})


def test_text_is_readable_and_ends_in_a_newline():
    assert dump_json({"unit": "µmol"}) == '{\n "unit": "µmol"\n}\n'


def test_mean_is_the_sum_of_blocks_of_256_in_order():
    values = np.random.default_rng(1).lognormal(size=(700, 3))
    total = values[:256].sum(axis=0) + values[256:512].sum(axis=0) + values[512:].sum(axis=0)
    assert _mean(values).tolist() == (total / 700).tolist()


def test_mean_does_not_change_what_it_is_given():
    values = np.ones((300, 2))
    _mean(values)
    assert np.all(values == 1.0)


def test_quantile_table_is_long_with_units():
    frame = quantile_table(course(), unit="umol/L")
    assert frame.columns == ["time_h", "variable", "unit", "p05", "p50", "p95", "mean"]
    assert frame.height == 6
    assert set(frame["unit"]) == {"umol/L"}


def test_unknown_unit_is_refused():
    with pytest.raises(UnknownNameError, match="Unknown unit of concentration 'mg/L'"):
        simulation_json(course(), unit="mg/L", command=COMMAND)


@pytest.mark.parametrize("path", list_files("schemas", ".json"))
def test_schema_is_closed_and_named_as_its_file(path: str):
    schema = json.loads(read_text(path))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:euthymia:schema:{Path(path).name.removesuffix('.schema.json')}"
    for part in _objects(schema):
        assert "additionalProperties" in part
        assert set(part.get("required", ())) <= set(part.get("properties", ()))


def _objects(part: object) -> list[dict]:
    if isinstance(part, list):
        return [found for one in part for found in _objects(one)]
    if not isinstance(part, dict):
        return []
    own = [part] if part.get("type") == "object" else []
    return own + [found for one in part.values() for found in _objects(one)]


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_result_is_written_by_its_suffix(tmp_path: Path, suffix: str):
    path = tmp_path / f"a{suffix}"
    assert write_result(course(), path, unit="ng/mL", command=COMMAND) == [path]
    assert files_of(tmp_path) == [path.name]


def test_parquet_holds_the_values_unrounded(tmp_path: Path):
    made = course()
    write_result(made, tmp_path / "a.parquet", unit="umol/L", command=COMMAND)
    frame = polars.read_parquet(tmp_path / "a.parquet").filter(polars.col("variable") == "norketamine")
    assert frame["value"].to_list() == made.values["norketamine"].ravel().tolist()
    assert frame["patient"].unique(maintain_order=True).to_list() == list("12345")


def test_folder_gets_its_result_last_so_that_one_with_a_result_is_complete(tmp_path: Path):
    written = write_result(course(), tmp_path / "run", unit="ng/mL", command=COMMAND)
    assert [path.name for path in written] == ["individuals.parquet", "quantiles.csv", "result.json"]
    assert files_of(tmp_path / "run") == sorted(path.name for path in written)


@pytest.mark.parametrize("name", ["a.xlsx", "a.json.gz", "a.PARQUET", ".hidden.txt"])
def test_unknown_suffix_is_refused(tmp_path: Path, name: str):
    with pytest.raises(InvalidInputError, match=r"'--out' must end in \.parquet, \.csv, \.json, or have no"):
        check_out(tmp_path / name)


def test_polars_that_cannot_write_is_a_failed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise polars.exceptions.ComputeError("No space left on device (os error 28)")

    monkeypatch.setattr(polars.DataFrame, "write_parquet", fail)
    with pytest.raises(RunFailedError, match=r"Cannot write '.*a\.parquet': No space left"):
        write_result(course(), tmp_path / "a.parquet", unit="ng/mL", command=COMMAND)
    assert files_of(tmp_path) == []


def _half(target: Path) -> None:
    target.write_text("half")


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt(), ValueError()]
)
def test_interrupted_write_keeps_the_older_file_and_leaves_nothing(tmp_path: Path, error: BaseException):
    path = tmp_path / "a.txt"
    path.write_text("older")

    def write(target: Path) -> None:
        _half(target)
        raise error

    expected = RunFailedError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        write_whole(path, write)
    assert (files_of(tmp_path), path.read_text()) == (["a.txt"], "older")


def test_write_makes_the_folder_and_replaces_the_file(tmp_path: Path):
    path = tmp_path / "deep" / "a.txt"
    for text in ("first", "second"):
        write_whole(path, lambda target, text=text: target.write_text(text))
        assert path.read_text() == text
    assert files_of(path.parent) == ["a.txt"]


def test_path_that_cannot_be_written_is_refused_before_a_run(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a.json", tmp_path / "file" / "deep" / "a.json"):
        with pytest.raises(
            RunFailedError, match=r"Cannot write .* Check the folder, its rights and the space"
        ):
            check_writable(path)
    with pytest.raises(RunFailedError, match=r"it is a folder\. Give a file name\."):
        check_writable(tmp_path)


def test_check_leaves_no_file_behind(tmp_path: Path):
    check_writable(tmp_path / "a.json")
    assert files_of(tmp_path) == []


# --- reports -----------------------------------------------------------------------------------


def page(**changes: object) -> str:
    parts = {
        "kind": "simulation",
        "title": "A title",
        "lead": ["A lead."],
        "sections": [],
        "sources": [],
        "footer": ["A footer."],
        "library": "/* library */",
    }
    return render_report(**{**parts, **changes})  # pyright: ignore[reportArgumentType]


def test_page_escapes_what_a_user_wrote():
    evil = "<script>alert(1)</script>"
    block = TableBlock(heads=[evil], rows=[[evil]], title=evil, note=evil)
    section = Section(title=evil, texts=[evil], regimen=evil, cards=[(evil, evil)], tables=[block])
    html = page(title=evil, lead=[evil], sections=[section], footer=[evil], warnings=[evil])
    assert "alert(1)</script>" not in html
    assert html.count("&lt;script&gt;alert(1)") >= 12


def test_page_shows_figures_and_the_library_as_they_are():
    html = page(sections=[Section(title="Figure", figure="<div id='figure'></div>", caption="a & b")])
    assert "<div id='figure'></div>" in html
    assert "<script>/* library */</script>" in html
    assert "a &amp; b" in html


def test_page_says_what_it_is_not_and_shows_warnings():
    html = page(warnings=["an extrapolation"])
    assert "not offered or reviewed as a medical device" in html
    assert "<b>Careful:</b> an extrapolation" in html


def test_page_links_sources_by_doi_once():
    html = page(sources=["Simons2022"])
    assert '<a href="https://doi.org/10.3389/fpain.2022.946486">doi:10.3389/fpain.2022.946486</a>' in html
    assert html.count("https://doi.org/") == 1


def test_page_refuses_a_source_that_is_not_in_the_bibliography():
    with pytest.raises(UnknownNameError, match="Simons2023"):
        page(sources=["Simons2023"])


def test_table_marks_rows_and_aligns_numbers():
    block = TableBlock(heads=["row", "value"], rows=[["a", "1"], ["b", "2"]], right=[1], marked=[1])
    html = page(sections=[Section(title="Table", tables=[block])])
    assert '<tr class="off"><td>b</td><td class="n">2</td></tr>' in html
    assert '<tr><td>a</td><td class="n">1</td></tr>' in html
