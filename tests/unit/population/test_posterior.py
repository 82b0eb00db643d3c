"""Posteriors: transforms of their numbers, files that cannot be changed unseen, and who takes which draw."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import expit, logit
from tests.unit.population.posteriors import middle, posterior_of, spread, write

from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.model.mechanisms import with_mechanisms
from euthymia.model.parameters import load_parameters
from euthymia.population import posterior as module
from euthymia.population.individual import chain_values
from euthymia.population.patient import Patient
from euthymia.population.posterior import (
    MEAN,
    POSTERIOR_VARIABLE,
    PRIOR,
    Calibrated,
    calibrated_parameters,
    default_posterior,
    digest_of,
    find_posterior,
    load_posterior,
    posterior_json,
    read_posterior,
    with_posterior,
)

PARAMETERS = load_parameters()
KNOWN = calibrated_parameters()
ONES = pytest.mark.parametrize("one", KNOWN, ids=[one.name for one in KNOWN])
AMPA = "severity.ampa_weight_logit"


@pytest.fixture
def nothing_ships(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv(POSTERIOR_VARIABLE, raising=False)
    monkeypatch.setattr(module, "default_names", tuple)
    return monkeypatch


# --- numbers -----------------------------------------------------------------------------------


@ONES
def test_a_transform_is_undone_by_its_inverse(one: Calibrated):
    z = np.linspace(-4.0, 4.0, 33)
    assert_allclose(one.to_normal(one.from_normal(z)), z, rtol=0, atol=1e-12)
    low, high = one.to_normal(one.low), one.to_normal(one.high)
    assert low < 0.0 < high
    assert_allclose(one.from_normal([low, high]), [one.low, one.high], rtol=1e-12)


@ONES
def test_a_transform_is_the_one_of_its_scale(one: Calibrated):
    for z in (-1.5, 0.0, 2.0):
        right = (
            one.middle * np.exp(one.prior_sd * z)
            if one.scale == "log"
            else expit(logit(one.middle) + one.prior_sd * z)
        )
        assert_allclose(one.from_normal(z), right, rtol=1e-13)


@ONES
def test_the_middle_is_the_number_of_the_tables_and_bounds_lie_within_its_range(one: Calibrated):
    rows = [PARAMETERS.chain[name] for name in one.fields]
    assert {row.sd if one.of == "sd" else row.value for row in rows} == {one.middle}
    assert one.low < one.middle < one.high
    if one.of == "value":
        assert all(row.low <= one.low and one.high <= row.high for row in rows)
    else:
        assert all(row.distribution != "fixed" for row in rows)


def test_the_mean_is_taken_on_the_scale_of_each_prior():
    found = posterior_of([{"ampa_weight": -1.0, "fast_gain": 0.5}, {"ampa_weight": 0.2, "fast_gain": 1.5}])
    center = dict(zip((one.name for one in KNOWN), found.center, strict=True))
    ampa, fast = (next(one for one in KNOWN if one.name == name) for name in ("ampa_weight", "fast_gain"))
    assert_allclose(center["ampa_weight"], ampa.middle * np.exp(-0.4 * ampa.prior_sd), rtol=1e-12)
    assert_allclose(center["fast_gain"], expit(logit(fast.middle) + fast.prior_sd), rtol=1e-12)
    (only,) = found.mean().flat
    assert_allclose(only, found.center, rtol=0, atol=0)


# --- sets --------------------------------------------------------------------------------------


def test_a_draw_replaces_every_field_of_its_numbers_and_nothing_else():
    found = spread()
    drawn = found.at_draw(PARAMETERS, 3)  # of two: they start again
    for one, value in zip(KNOWN, found.flat[1], strict=True):
        for name in one.fields:
            row = drawn.chain[name]
            assert (row.sd if one.of == "sd" else row.value) == value
            assert row.tag == "calibrated"
    others = set(PARAMETERS.chain) - set(found.fields)
    assert all(drawn.chain[name] is PARAMETERS.chain[name] for name in others)
    assert drawn.rows is PARAMETERS.rows
    assert drawn.posterior == f"hand-made {found.digest[:12]} draw 1"
    assert drawn.pilots is not None
    assert drawn.pilots.chain == found.at_center(PARAMETERS).chain


def test_what_the_user_has_set_stands_over_every_draw():
    own = PARAMETERS.with_overrides({AMPA: 0.9})
    found = spread()
    assert found.at_draw(own, 0).chain[AMPA].value == 0.9
    by_patient = found.by_patient(own)
    assert by_patient.draws is not None
    assert AMPA not in by_patient.draws.values
    who: dict[str, Any] = {"numbers": np.arange(1, 9), "seed": 2}
    drawn, own_values = (chain_values(one, [Patient()] * 8, **who)[AMPA] for one in (by_patient, own))
    assert drawn.tobytes() == own_values.tobytes()


def test_each_patient_has_the_values_of_the_set_at_its_draw():
    found, numbers = spread(), np.array([3, 17, 5, 2**40 + 1])
    taken = found.draws_of(numbers, 4)
    assert set(taken) == {0, 1}
    who: dict[str, Any] = {"numbers": numbers, "seed": 4}
    mixed = chain_values(found.by_patient(PARAMETERS), [Patient()] * 4, **who)
    for draw in (0, 1):
        alone = chain_values(found.at_draw(PARAMETERS, draw), [Patient()] * 4, **who)
        for name in PARAMETERS.chain:
            left, right = (np.broadcast_to(one[name], (4,))[taken == draw] for one in (mixed, alone))
            assert left.tobytes() == right.tobytes(), name


def test_the_typical_patient_has_the_mean():
    found = spread(0.3)
    typical = with_posterior(PARAMETERS, found, is_typical=True)
    assert typical.draws is None
    assert typical.chain == found.at_center(PARAMETERS).chain
    values = chain_values(found.by_patient(PARAMETERS), [Patient()], numbers=None, seed=1)
    assert all(values[name] == typical.chain[name].value for name in found.fields)


def test_the_prior_leaves_a_set_as_it_is():
    assert with_posterior(PARAMETERS, PRIOR, is_typical=False) is PARAMETERS
    drawn = spread().at_draw(PARAMETERS, 0)
    assert with_posterior(drawn, PRIOR, is_typical=False) is drawn
    assert with_posterior(drawn, None, is_typical=False) is drawn
    with pytest.raises(InvalidInputError, match="left out, or 'prior', with a set that holds calibrated"):
        with_posterior(drawn, spread(), is_typical=False)


# --- which draw --------------------------------------------------------------------------------


def test_a_patient_takes_the_same_draw_in_any_company():
    found = posterior_of([{"ampa_weight": 0.01 * place} for place in range(7)])
    everyone = found.draws_of(np.arange(1, 101), 5)
    assert found.draws_of(np.array([17]), 5)[0] == everyone[16]
    assert found.draws_of(np.array([40, 3]), 5).tolist() == [everyone[39], everyone[2]]
    assert found.draws_of(np.arange(1, 101), 6).tolist() != everyone.tolist()


def test_every_draw_is_taken_as_often_by_patients_and_by_replicates():
    count, each = 5, 4000
    found = posterior_of([{"ampa_weight": 0.1 * place} for place in range(count)])
    by_replicate = [found.draw_of_replicate(one, seed=9) for one in range(each)]
    for taken in (found.draws_of(np.arange(1, each + 1), 9), np.array(by_replicate)):
        counts = np.bincount(taken, minlength=count)
        assert len(counts) == count
        assert stats.chisquare(counts).pvalue > 1e-3


def test_a_replicate_takes_a_draw_of_its_own_number_and_seed():
    found = posterior_of([{"ampa_weight": 0.001 * place} for place in range(1000)])
    first = [found.draw_of_replicate(one, seed=1) for one in range(20)]
    assert [found.draw_of_replicate(one, seed=1) for one in reversed(range(20))] == first[::-1]
    assert len(set(first)) > 15
    assert [found.draw_of_replicate(one, seed=2) for one in range(20)] != first


# --- files -------------------------------------------------------------------------------------


def text_of(**changes: Any) -> str:
    """Return a posterior file with some of its content changed and the digest made to fit."""
    content = posterior_json(spread()) | changes
    return json.dumps(content | {"digest": digest_of(content)})


def test_a_posterior_comes_back_from_its_file():
    made = spread(mechanisms=("direct",))
    found = read_posterior(json.dumps(posterior_json(made)), "here")
    assert found.digest == made.digest == posterior_json(found)["digest"]
    assert (found.name, found.version, found.set, found.mechanisms) == (
        "hand-made",
        "0.0",
        "composed",
        ("direct",),
    )
    assert [one.name for one in found.parameters] == [one.name for one in KNOWN]
    assert_allclose(found.draws, made.draws, rtol=1e-5)


def test_digests_tell_posteriors_apart_that_were_never_written():
    assert spread(0.5).digest == spread(0.5).digest != spread(0.51).digest
    assert len({spread().digest, spread(name="other").digest, spread(evidence={"rows": "1"}).digest}) == 3


@pytest.mark.parametrize("place", [0.2, 0.5, 0.9])
def test_a_file_that_was_changed_by_hand_is_refused(place: float):
    text = json.dumps(posterior_json(spread()))
    digits = [at for at, letter in enumerate(text) if letter in "12345678" and at > place * len(text)]
    changed = text[: digits[0]] + str(int(text[digits[0]]) + 1) + text[digits[0] + 1 :]
    with pytest.raises(InvalidInputError, match="changed by hand"):
        read_posterior(changed, "here")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "must be a posterior file"),
        ("[]", "must be a posterior file"),
        ('{"schema": "euthymia.trial/1"}', "must be a posterior file"),
        ('{"schema": "euthymia.posterior/1"}', "do not agree"),
        (text_of(parameters=["synapse_weight", "mirth"]), "version 0.0, which calibrates mirth"),
        (text_of(draws=[[[0.5, 0.5]]]), "chains of draws of"),
        (text_of(draws="many"), "chains of draws of"),
        (text_of(draws=[[[None] * len(KNOWN)]]), "chains of draws of|must be"),
        (text_of(draws=[[[one.high * 1.5 for one in KNOWN]]]), f"'{KNOWN[0].name}' must be"),
    ],
)
def test_a_file_that_is_no_posterior_of_this_version_is_refused(text: str, said: str):
    with pytest.raises(InvalidInputError, match=said):
        read_posterior(text, "here")


def test_a_file_that_lacks_a_part_names_it():
    content = {name: one for name, one in posterior_json(spread()).items() if name != "draws"}
    with pytest.raises(InvalidInputError, match="must hold draws"):
        read_posterior(json.dumps(content | {"digest": digest_of(content)}), "here")


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path):
    path = write(spread(), tmp_path / "one.json")
    first = load_posterior(str(path))
    assert load_posterior(str(path)) is first
    write(spread(0.7), path)
    path.touch()
    assert load_posterior(str(path)).digest == spread(0.7).digest


def test_a_name_or_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(UnknownNameError, match=r"Unknown posterior 'priors'.*Did you mean 'prior'"):
        load_posterior("priors")
    with pytest.raises(InvalidInputError, match="cannot be read"):
        load_posterior(str(tmp_path / "none.json"))
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InvalidInputError, match="cannot be read"):
        load_posterior(str(tmp_path / "bytes.json"))


# --- what is believed where nothing is asked for -------------------------------------------------


def test_the_prior_is_the_default_while_no_posterior_is_frozen(nothing_ships: pytest.MonkeyPatch):
    assert default_posterior(PARAMETERS) is None
    with pytest.raises(InvalidInputError, match=r"no posterior of the set 'composed' is frozen\. Got 'mean'"):
        find_posterior(MEAN, PARAMETERS)


def test_a_frozen_posterior_is_the_default_of_its_set_and_mechanisms(nothing_ships: pytest.MonkeyPatch):
    usual, rival = spread(name="a"), spread(name="b", mechanisms=("direct",))
    shipped = {"a": usual, "b": rival}
    nothing_ships.setattr(module, "posterior_names", lambda: tuple(shipped))
    nothing_ships.setattr(module, "default_names", lambda: tuple(shipped))
    nothing_ships.setattr(module, "_shipped", shipped.__getitem__)
    assert default_posterior(PARAMETERS) is usual
    assert find_posterior(None, PARAMETERS) is usual
    assert find_posterior("b", with_mechanisms(PARAMETERS, ["direct"])) is rival
    assert default_posterior(with_mechanisms(PARAMETERS, ["disinhibition"])) is usual
    assert default_posterior(with_mechanisms(PARAMETERS, ["direct"])) is rival
    assert default_posterior(with_mechanisms(PARAMETERS, ["opioid"])) is None
    assert default_posterior(load_parameters("kamp-2020")) is None
    mean = find_posterior(MEAN, PARAMETERS)
    assert mean is not None
    assert (mean.name, mean.digest) == ("a mean", usual.digest)
    nothing_ships.setenv(POSTERIOR_VARIABLE, PRIOR)
    assert default_posterior(PARAMETERS) is None
    assert find_posterior(MEAN, PARAMETERS) is not None


def test_the_environment_names_the_default(nothing_ships: pytest.MonkeyPatch, tmp_path: Path):
    path = write(spread(), tmp_path / "one.json")
    nothing_ships.setenv(POSTERIOR_VARIABLE, str(path))
    found = default_posterior(PARAMETERS)
    assert found is not None
    assert found.digest == spread().digest
    mean = find_posterior(MEAN, PARAMETERS)
    assert mean is not None
    assert_allclose(mean.flat[0], found.center, rtol=0, atol=0)
    nothing_ships.setenv(POSTERIOR_VARIABLE, "nobody")
    with pytest.raises(UnknownNameError, match="nobody"):
        default_posterior(PARAMETERS)


def test_a_posterior_of_another_set_or_mechanism_is_refused():
    with pytest.raises(InvalidInputError, match="fitted to the set 'composed' under direct") as told:
        find_posterior(spread(), with_mechanisms(PARAMETERS, ["direct"]))
    assert "'hand-made', fitted to the set 'composed'. Give 'prior'" in str(told.value)
    with pytest.raises(InvalidInputError, match="fitted to the set 'kamp-2020'"):
        find_posterior(middle(), load_parameters("kamp-2020"))
    assert replace(middle(), set="kamp-2020").fits(load_parameters("kamp-2020")) is False
