"""Draws: known answers, the normal quantile, and independence of everything that must not matter."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from euthymia.errors import InvalidInputError
from euthymia.streams import (
    inverse_normal_cdf,
    normals,
    normals_by_occasion,
    occasion_of,
    philox4x32,
    uniforms,
)

PATIENTS = np.arange(1, 100_001)

# Of patients 1, 2, 17, 2**32 + 1 and 2**63 - 1, by this library's first version.
FROZEN_UNIFORMS = [
    "0x1.964b15d465f0ep-1",
    "0x1.b41b598a481eep-1",
    "0x1.77bc59d3ed12fp-1",
    "0x1.e77bca4c25a6ap-1",
    "0x1.8c5733d7e2eddp-1",
]
FROZEN_NORMALS = [
    "0x1.a33604e2e6dcap-1",
    "0x1.0b47828265ab8p+0",
    "0x1.3fc1dd03ea453p-1",
    "0x1.aa6d3ac603e57p+0",
    "0x1.813e181b5d77ap-1",
]

# kat_vectors of Random123, the lines "philox4x32 10": counter, key, words.
KNOWN_ANSWERS = [
    (
        "00000000 00000000 00000000 00000000",
        "00000000 00000000",
        "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    ),
    (
        "ffffffff ffffffff ffffffff ffffffff",
        "ffffffff ffffffff",
        "408f276d 41c83b0e a20bc7c6 6d5451fd",
    ),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


def words(text):
    return [int(word, 16) for word in text.split()]


def draw(kind=normals, **changes):
    arguments = {"seed": 1, "purpose": "individual", "field": "pk.clearance_L_per_h", "patients": PATIENTS}
    return kind(**(arguments | changes))


def philox_by_hand(counter, key):
    """Philox4x32-10 on Python's own integers, written from the paper, key raised before rounds 2 to 10."""
    c, k = list(counter), list(key)
    for turn in range(10):
        if turn:
            k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
        high_0, low_0 = divmod(c[0] * 0xD2511F53, 2**32)
        high_1, low_1 = divmod(c[2] * 0xCD9E8D57, 2**32)
        c = [high_1 ^ c[1] ^ k[0], low_1, high_0 ^ c[3] ^ k[1], low_0]
    return c


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_known_answers(counter, key, expected):
    assert philox4x32(words(counter), words(key)).tolist() == words(expected)


def test_philox_of_many_counters_equals_one_at_a_time():
    counters = np.array([words(counter) for counter, _, _ in KNOWN_ANSWERS])
    together = philox4x32(counters, (3, 4))
    assert together.shape == (3, 4)
    assert together.dtype == np.uint32
    for counter, row in zip(counters, together, strict=True):
        np.testing.assert_array_equal(philox4x32(counter, (3, 4)), row)


word = st.integers(0, 2**32 - 1)


@given(st.lists(word, min_size=4, max_size=4), st.lists(word, min_size=2, max_size=2))
def test_philox_equals_a_scalar_implementation(counter, key):
    assert philox4x32(counter, key).tolist() == philox_by_hand(counter, key)


def test_draws_never_move():
    """These values belong to the public promise of same seed, same bytes: a change is breaking."""
    few = np.array([1, 2, 17, 2**32 + 1, 2**63 - 1])
    assert [value.hex() for value in draw(uniforms, patients=few).tolist()] == FROZEN_UNIFORMS
    assert [value.hex() for value in draw(patients=few).tolist()] == FROZEN_NORMALS


def test_quantile_agrees_with_scipy_and_python_into_the_far_tails():
    p = np.concatenate(
        [
            10.0 ** np.linspace(-300, -1, 3001),
            np.linspace(0.001, 0.999, 1998),
            1 - 10.0 ** np.linspace(-15.9, -1, 301),
        ]
    )
    quantile = inverse_normal_cdf(p)
    np.testing.assert_allclose(quantile, special.ndtri(p), rtol=1e-14, atol=0)
    np.testing.assert_allclose(quantile, [NormalDist().inv_cdf(value) for value in p], rtol=1e-14, atol=0)


def test_quantile_is_odd_and_zero_at_one_half():
    p = np.arange(1, 1024) / 1024
    np.testing.assert_array_equal(inverse_normal_cdf(p), -inverse_normal_cdf(1 - p))
    assert inverse_normal_cdf(0.5) == 0


@pytest.mark.parametrize("boundary", [0.075, 0.925, np.exp(-25.0), 1 - np.exp(-25.0)])
def test_quantile_is_continuous_where_the_approximations_meet(boundary):
    below, above = inverse_normal_cdf([np.nextafter(boundary, 0), np.nextafter(boundary, 1)])
    # From the derivative 1 / density, which for 1 - exp(-25) makes one step of p worth 1e-6 of z.
    step = np.spacing(boundary) / stats.norm.pdf(below)
    assert abs(above - below) <= 2.1 * step + 1e-14


@pytest.mark.parametrize("probability", [0.0, 1.0, -0.1, 1.5, np.nan, [0.2, np.inf]])
def test_quantile_refuses_what_is_no_probability(probability):
    with pytest.raises(InvalidInputError, match=r"'probability' must be above 0 and below 1\. Got"):
        inverse_normal_cdf(probability)


def test_quantile_keeps_shapes():
    assert inverse_normal_cdf(np.full((2, 3), 0.3)).shape == (2, 3)
    assert inverse_normal_cdf([]).shape == (0,)


def test_uniforms_fill_the_open_interval():
    u = draw(uniforms)
    assert 0 < u.min() < 5e-5
    assert 1 - 5e-5 < u.max() < 1
    # Five standard errors of mean and variance at n = 100 000.
    assert abs(u.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / u.size)
    assert abs(u.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / u.size)
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    assert np.unique(u).size == u.size


def test_normals_are_standard_normal():
    z = draw()
    assert abs(z.mean()) < 5 / np.sqrt(z.size)
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / z.size)
    assert stats.kstest(z, "norm").pvalue > 1e-3
    np.testing.assert_array_equal(z, inverse_normal_cdf(draw(uniforms)))


def test_every_bit_of_the_resolution_is_used():
    bits = np.round(draw(uniforms) * 2.0**53).astype(np.uint64)
    set_fraction = [((bits >> np.uint64(bit)) & np.uint64(1)).mean() for bit in range(2, 53)]
    np.testing.assert_allclose(set_fraction, 0.5, atol=0.01)


@pytest.mark.parametrize("kind", [uniforms, normals])
@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 2},
        {"seed": 2**64 + 1},
        {"purpose": "dropout"},
        {"field": "pk.clearance_L_per_g"},
        {"occasion": 1},
        {"replicate": 1},
        {"patients": PATIENTS + 1},
        {"patients": PATIENTS + 2**32},
    ],
    ids=str,
)
def test_draws_for_different_things_are_uncorrelated(kind, changes):
    r = np.corrcoef(draw(kind), draw(kind, **changes))[0, 1]
    assert abs(r) < 5 / np.sqrt(PATIENTS.size)


def test_occasion_and_replicate_are_not_exchangeable():
    assert draw(occasion=1, patients=[1]) != draw(replicate=1, patients=[1])


def test_purpose_and_field_do_not_run_together():
    assert draw(purpose="a", field="bc", patients=[1]) != draw(purpose="ab", field="c", patients=[1])


def test_patient_17_is_the_same_in_every_cohort():
    alone = draw(patients=[17])[0]
    assert draw(patients=PATIENTS[:100])[16] == alone
    assert draw(patients=PATIENTS[:1000])[16] == alone
    assert draw(patients=np.array([17], dtype=np.int32))[0] == alone


@given(st.permutations(range(1, 60)), st.integers(1, 60))
def test_order_and_chunking_do_not_matter(order, size):
    whole = draw(patients=np.arange(1, 60))
    parts = [draw(patients=order[start : start + size]) for start in range(0, len(order), size)]
    np.testing.assert_array_equal(np.concatenate(parts), whole[np.array(order) - 1])


def test_drawing_one_field_moves_no_other():
    before = draw(patients=PATIENTS[:100])
    draw(field="pk.new_field")
    np.testing.assert_array_equal(draw(patients=PATIENTS[:100]), before)


def test_no_patients_give_no_draws():
    assert draw(patients=[]).shape == (0,)


@pytest.mark.parametrize("seed", [-1, 1.0, "1", None, True])
def test_seed_that_is_not_a_whole_number_from_0_is_refused(seed):
    with pytest.raises(InvalidInputError, match=r"'seed' must be a whole number from 0\. Got"):
        draw(seed=seed)


def test_numpy_integers_are_seeds():
    assert draw(seed=np.int64(1), patients=[1]) == draw(seed=1, patients=[1])


@pytest.mark.parametrize("field", ["occasion", "replicate"])
@pytest.mark.parametrize("value", [-1, 2**32, 0.5])
def test_counter_parts_out_of_range_are_refused(field, value):
    with pytest.raises(InvalidInputError, match=f"'{field}' must be a whole number from 0 to 4294967295"):
        draw(**{field: value})


@pytest.mark.parametrize("patients", [[0], [3, -1], [1.0], [True], ["1"]])
def test_patient_numbers_must_be_whole_and_from_1(patients):
    with pytest.raises(InvalidInputError, match="'patients' must be whole numbers from 1"):
        draw(patients=patients)


@pytest.mark.parametrize("name", ["purpose", "field"])
@pytest.mark.parametrize("value", ["", None, 3])
def test_names_must_not_be_empty(name, value):
    with pytest.raises(InvalidInputError, match=f"'{name}' must be a name"):
        draw(**{name: value})


def test_draws_by_occasion_are_those_of_each_occasion():
    common = {"seed": 3, "purpose": "rating", "field": "rating.x", "patients": np.arange(1, 6)}
    occasions = [occasion_of(time_h) for time_h in (-24.0, 0.0, 24.0)]
    found = normals_by_occasion(occasions=occasions, **common)
    assert found.shape == (5, 3)
    for place, occasion in enumerate(occasions):
        assert found[:, place].tolist() == normals(occasion=occasion, **common).tolist()
    assert len(set(occasions)) == 3
    assert normals_by_occasion(occasions=[], **common).shape == (5, 0)
