"""Run folders: replicates to the last bit, going on after a kill, and what is refused."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.commands import check_schema
from tests.unit.trials.cohorts import CROSSOVER, make_protocol, make_replicate, make_result

from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.files.run_folder import Manifest, RunFolder, differences
from euthymia.files.trial_json import protocol_digest, replicate_from_json, replicate_json
from euthymia.files.trial_results import write_trial
from euthymia.model.parameters import load_parameters
from euthymia.trials.records import Replicate
from euthymia.trials.replicate import PATIENTS_PER_BATCH


def manifest(**changes: object) -> Manifest:
    made = Manifest.create(
        make_protocol(),
        seed=3,
        parameters="composed",
        parameters_digest="sha256:0",
        engine="numpy (RODAS4)",
        replicates_per_batch=4,
    )
    return replace(made, **changes)


def same(one: object, other: object) -> bool:
    """Tell whether two records are the same to the last bit, NaN and the sign of 0 included."""
    if hasattr(one, "__dataclass_fields__"):
        names = [field.name for field in fields(one)]  # pyright: ignore[reportArgumentType]
        return type(one) is type(other) and all(same(getattr(one, n), getattr(other, n)) for n in names)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, float):
        return isinstance(other, float) and np.float64(one).tobytes() == np.float64(other).tobytes()
    return type(one) is type(other) and one == other


def filled(path: Path, *, total: int = 10) -> RunFolder:
    """Return a folder in which every batch is done."""
    folder = RunFolder(path, manifest())
    for place, numbers in enumerate(folder.batches(total)):
        folder.save_batch(place, [make_replicate(replicate=number) for number in numbers])
    return folder


@pytest.mark.parametrize("design", [None, CROSSOVER])
def test_replicate_survives_json_to_the_last_bit(design: dict | None):
    one = make_replicate(make_protocol(design), replicate=7)
    content = json.loads(json.dumps(replicate_json(one), allow_nan=False))
    assert same(replicate_from_json(content), one)


@given(st.floats(), st.floats())
def test_any_float_survives(value: float, low: float):
    one = make_replicate()
    changed = replace(one, estimates=(replace(one.estimates[0], value=value, low=low),))
    back = replicate_from_json(json.loads(json.dumps(replicate_json(changed)))).estimates[0]
    assert np.array_equal([back.value, back.low], [value, low], equal_nan=True)
    assert np.signbit(back.value) == np.signbit(value) or np.isnan(value)


def test_numbers_of_numpy_survive_as_plain_ones():
    one = make_replicate()
    estimate = replace(one.estimates[0], value=np.float64(0.1), n=np.int64(5))  # pyright: ignore[reportArgumentType]
    back = replicate_from_json(replicate_json(replace(one, estimates=(estimate,)))).estimates[0]
    assert (back.value, back.n, type(back.value), type(back.n)) == (0.1, 5, float, int)


def test_batches_cover_the_replicates_once(tmp_path: Path):
    folder = RunFolder(tmp_path / "run", manifest())
    assert folder.batches(10) == (range(0, 4), range(4, 8), range(8, 10))
    assert folder.missing(10) == (0, 1, 2)
    with pytest.raises(InvalidInputError, match="'replicates' must be 1 or more"):
        folder.missing(0)


def test_what_was_saved_is_loaded(tmp_path: Path):
    folder = filled(tmp_path / "run")
    assert folder.missing(10) == ()
    found = folder.load(10)
    assert same(found, tuple(make_replicate(replicate=number) for number in range(10)))
    assert same(folder.load(6), found[:6])


def test_killed_run_goes_on_where_it_stopped(tmp_path: Path):
    whole = filled(tmp_path / "run").load(10)
    (tmp_path / "run" / "replicates" / "batch-00001.json").unlink()
    again = RunFolder(tmp_path / "run", manifest())
    assert again.is_resumed
    assert again.missing(10) == (1,)
    assert again.notes == []
    again.save_batch(1, [make_replicate(replicate=number) for number in range(4, 8)])
    assert same(RunFolder(tmp_path / "run", manifest()).load(10), whole)


def test_kill_while_writing_leaves_no_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = RunFolder(tmp_path / "run", manifest())

    def stop(self: Path, text: str, **_: object) -> int:
        self.write_bytes(text[:20].encode())
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", stop)
        with pytest.raises(KeyboardInterrupt):
            folder.save_batch(0, [make_replicate()])
    assert not list((tmp_path / "run" / "replicates").iterdir())
    assert RunFolder(tmp_path / "run", manifest()).missing(4) == (0,)


def test_longer_run_goes_on_with_a_short_last_batch_again(tmp_path: Path):
    folder = filled(tmp_path / "run", total=10)
    assert folder.missing(11) == (2,)
    assert folder.missing(20) == (2, 3, 4)
    assert folder.missing(9) == ()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:100],
        lambda text: "",
        lambda text: text.replace('"screened": ', '"screened": 1'),
        lambda text: text.replace("saline", "placebo"),
        lambda text: "[]",
        lambda text: text.replace('"n": 12', '"n": "12"'),
        lambda text: text.replace('"batch": 0', '"batch": 1'),
    ],
)
def test_damaged_batch_is_noticed_and_run_again(tmp_path: Path, damage):
    folder = filled(tmp_path / "run")
    path = tmp_path / "run" / "replicates" / "batch-00000.json"
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert folder.missing(10) == (0,)
    assert len(folder.notes) == 1
    assert "batch-00000.json" in folder.notes[0]
    assert "it is damaged. Its replicates are run again." in folder.notes[0]
    with pytest.raises(RunFailedError, match="it is damaged"):
        folder.load_batch(0)
    folder.save_batch(0, [make_replicate(replicate=number) for number in range(4)])
    assert folder.missing(10) == ()


def test_batch_of_another_run_is_noticed(tmp_path: Path):
    filled(tmp_path / "one")
    other = RunFolder(tmp_path / "two", manifest(seed=4))
    (tmp_path / "two" / "replicates").mkdir()
    name = "replicates/batch-00000.json"
    (tmp_path / "two" / name).write_bytes((tmp_path / "one" / name).read_bytes())
    assert other.missing(4) == (0,)
    assert "it is of another run" in other.notes[0]


def test_batch_that_is_not_there_cannot_be_loaded(tmp_path: Path):
    with pytest.raises(RunFailedError, match="it is not there"):
        RunFolder(tmp_path / "run", manifest()).load_batch(0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 4}, "seed is 3 there and 4 here"),
        ({"engine": "c"}, r'engine is "numpy \(RODAS4\)" there and "c" here'),
        ({"parameters_digest": "sha256:1"}, "parameters_digest is"),
        ({"versions": {"euthymia": "9.9"}}, 'versions.euthymia is .* there and "9.9" here'),
    ],
)
def test_another_run_is_refused_and_told_apart(tmp_path: Path, changes: dict, words: str):
    filled(tmp_path / "run")
    before = sorted(path.read_bytes() for path in (tmp_path / "run").rglob("*.json"))
    with pytest.raises(InvalidInputError, match=f"holds another run: .*{words}.*Give a new folder"):
        RunFolder(tmp_path / "run", manifest(**changes))
    assert sorted(path.read_bytes() for path in (tmp_path / "run").rglob("*.json")) == before


def test_another_protocol_is_refused_by_the_field_that_differs(tmp_path: Path):
    RunFolder(tmp_path / "run", manifest())
    protocol = make_protocol(conduct={"dropout": {"share": 0.2}})
    other = Manifest.create(
        protocol, seed=3, parameters="composed", parameters_digest="sha256:0", engine="numpy (RODAS4)"
    )
    with pytest.raises(
        InvalidInputError, match=r"protocol\.conduct\.dropout\.share is 0\.0 there and 0\.2 here"
    ):
        RunFolder(tmp_path / "run", other)


def test_order_of_arms_is_part_of_a_protocol():
    protocol = make_protocol()
    turned = make_protocol(arms=dict(reversed(list(protocol.model_dump()["arms"].items()))))
    assert protocol_digest(protocol) != protocol_digest(turned)
    assert protocol_digest(protocol) == protocol_digest(make_protocol())
    assert list(differences({"a": 1, "b": 2}, {"b": 2, "a": 1})) == ["fields stand in another order"]


def test_size_of_batches_is_that_of_the_folder(tmp_path: Path):
    filled(tmp_path / "run")
    again = RunFolder(tmp_path / "run", manifest(replicates_per_batch=7))
    assert again.manifest.replicates_per_batch == 4
    assert again.missing(10) == ()


def test_manifest_obeys_its_schema_and_comes_again_to_the_byte(tmp_path: Path):
    for name in ("a", "b"):
        RunFolder(tmp_path / name, manifest())
    text = (tmp_path / "a" / "manifest.json").read_text(encoding="utf-8")
    check_schema(json.loads(text), "trial-run-1")
    assert text == (tmp_path / "b" / "manifest.json").read_text(encoding="utf-8")


def test_wrong_replicates_are_refused(tmp_path: Path):
    folder = RunFolder(tmp_path / "run", manifest())
    for numbers in ([1], [0, 2], [], [0, 1, 2, 3, 4]):
        with pytest.raises(InvalidInputError, match="in batch 0"):
            folder.save_batch(0, [make_replicate(replicate=number) for number in numbers])


def test_folder_with_other_files_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InvalidInputError, match="holds other files"):
        RunFolder(tmp_path, manifest())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"seed": 3}', '{"replicates_per_batch": NaN}'])
def test_damaged_manifest_is_refused(tmp_path: Path, text: str):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InvalidInputError, match=r"manifest\.json.* is damaged|holds another run"):
        RunFolder(tmp_path, manifest())


def test_folder_below_a_file_is_a_failed_run(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(RunFailedError, match="Cannot write"):
            RunFolder(path, manifest())


def test_full_disk_is_a_failed_run_that_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = RunFolder(tmp_path / "run", manifest())

    def full(self: Path, text: str, **_: object) -> int:
        with Path("/dev/full").open("w") as device:
            device.write(text)
        return 0

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(RunFailedError, match="No space left on device") as caught:
            folder.save_batch(0, [make_replicate()])
    assert "space on the disk" in str(caught.value)
    assert folder.missing(1) == (0,)
    assert not list((tmp_path / "run" / "replicates").iterdir())


def test_store_gives_out_what_is_there_for_a_run_of_any_length(tmp_path: Path):
    folder = filled(tmp_path / "run", total=10)
    assert len(folder.store(10).load(2) or ()) == 2
    assert len(folder.store(9).load(2) or ()) == 1
    assert folder.store(11).load(2) is None, "the batch is short, and must be run as a whole"
    assert folder.store(20).load(4) is None
    folder.store(20).save(4, [make_replicate(replicate=number) for number in range(16, 20)])
    assert len(folder.store(20).load(4) or ()) == 4


def test_manifest_of_a_run_has_its_batches_engine_and_parameters(monkeypatch: pytest.MonkeyPatch):
    protocol, parameters = make_protocol(), load_parameters("composed")
    made = Manifest.of_run(protocol, parameters, seed=3, engine="c")
    assert made.replicates_per_batch == PATIENTS_PER_BATCH // protocol.size
    assert (made.engine, made.parameters) == ("c", "composed")
    changed = parameters.with_overrides({"surge.adaptation_relative": 0.0})
    assert Manifest.of_run(protocol, changed, seed=3).parameters_digest != made.parameters_digest
    monkeypatch.setenv("EUTHYMIA_ENGINE", "numpy")
    assert Manifest.of_run(protocol, parameters, seed=3).engine == "numpy"


def test_result_stands_beside_the_batches(tmp_path: Path):
    folder = filled(tmp_path / "run")
    write_trial(make_result(), tmp_path / "run", tables=("csv",))
    assert (folder.first / "dm.csv").exists()
    assert (tmp_path / "run" / "result.json").exists()
    assert RunFolder(tmp_path / "run", manifest()).missing(10) == ()


def test_type_of_what_is_loaded_is_a_replicate(tmp_path: Path):
    assert all(isinstance(one, Replicate) for one in filled(tmp_path / "run").load_batch(2))
