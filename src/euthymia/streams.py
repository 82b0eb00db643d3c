"""Random draws that depend only on what they are for, never on how or in what order they are made.

A draw is looked up, not taken from a sequence: seed, purpose and field name give a key; patient, occasion
and replicate give a counter; Philox turns the two into bits. So a new field moves no other draw, patient 17
is the same among 100 or 1000 patients and in every arm of a comparison, and any chunk can be drawn alone.

Only integer arithmetic, ``+ - * /`` and ``sqrt`` are used, all of which IEEE 754 rounds in one way: the bits
do not depend on the processor or on the versions of NumPy and SciPy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from operator import index

import numpy as np
from numpy.typing import ArrayLike, NDArray

from euthymia.errors import invalid

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]

# Changing this scheme moves every simulated patient: a breaking change.
_SCHEME = b"euthymia.draws/1"
_OCCASION_OF_TIME_0 = 2**31

# Multipliers and key increments of Philox4x32 (Salmon2011, section 3.3).
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_INCREMENTS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10

_LOW_32_BITS = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_11 = np.uint64(11)
_WORD_LIMIT = 2**32

# Just below 2**-53, so that the largest uniform stays below 1.
UNIFORM_STEP = float.fromhex("0x1.fffffffffffffp-54")

# AS 241, routine PPND16 (Wichura1988): numerator and denominator, highest power first.
_CENTRE = (
    (
        2.5090809287301226727e3,
        3.3430575583588128105e4,
        6.7265770927008700853e4,
        4.5921953931549871457e4,
        1.3731693765509461125e4,
        1.9715909503065514427e3,
        1.3314166789178437745e2,
        3.3871328727963666080e0,
    ),
    (
        5.2264952788528545610e3,
        2.8729085735721942674e4,
        3.9307895800092710610e4,
        2.1213794301586595867e4,
        5.3941960214247511077e3,
        6.8718700749205790830e2,
        4.2313330701600911252e1,
        1.0,
    ),
)
_NEAR_TAIL = (
    (
        7.74545014278341407640e-4,
        2.27238449892691845833e-2,
        2.41780725177450611770e-1,
        1.27045825245236838258e0,
        3.64784832476320460504e0,
        5.76949722146069140550e0,
        4.63033784615654529590e0,
        1.42343711074968357734e0,
    ),
    (
        1.05075007164441684324e-9,
        5.47593808499534494600e-4,
        1.51986665636164571966e-2,
        1.48103976427480074590e-1,
        6.89767334985100004550e-1,
        1.67638483018380384940e0,
        2.05319162663775882187e0,
        1.0,
    ),
)
_FAR_TAIL = (
    (
        2.01033439929228813265e-7,
        2.71155556874348757815e-5,
        1.24266094738807843860e-3,
        2.65321895265761230930e-2,
        2.96560571828504891230e-1,
        1.78482653991729133580e0,
        5.46378491116411436990e0,
        6.65790464350110377720e0,
    ),
    (
        2.04426310338993978564e-15,
        1.42151175831644588870e-7,
        1.84631831751005468180e-5,
        7.86869131145613259100e-4,
        1.48753612908506148525e-2,
        1.36929880922735805310e-1,
        5.99832206555887937690e-1,
        1.0,
    ),
)

RATIOS = (_CENTRE, _NEAR_TAIL, _FAR_TAIL)
LOG_2 = 0.6931471805599453094
HALF_SQRT_2 = 0.70710678118654752440
# atanh(s) / s in powers of s**2, which is at most 0.0295 here: the first term left out is below 2e-19.
ATANH = tuple(1.0 / power for power in range(23, 0, -2))

Draw = Callable[[tuple[int, int], Words, int, int], Floats]
_faster: list[Draw] = []


def accelerate(draw: Draw) -> None:
    """Use a function for standard normals from here on; it must give the same bits.

    Parameters
    ----------
    draw : callable (key, patients (P,), occasion, replicate) -> draws (P,)
    """
    _faster[:] = [draw]


def uniforms(
    *,
    seed: int,
    purpose: str,
    field: str,
    patients: ArrayLike,
    replicate: int = 0,
    occasion: int = 0,
) -> Floats:
    """Give each patient's uniform draw between 0 and 1, both ends excluded, with 53 bits.

    Parameters
    ----------
    seed : int
        Zero or greater, of any size.
    purpose : str
        What the draw serves, such as ``"individual"`` or ``"dropout"``; not empty.
    field : str
        The field that it fills, such as ``"pk.clearance_L_per_h"``; not empty.
    patients : array of int (P,)
        Patient numbers from 1, in any order.
    replicate : int
        Replicate of the cohort, 0 to 2**32 - 1.
    occasion : int
        Visit, attempt or other repetition within a patient, 0 to 2**32 - 1.

    Returns
    -------
    draws : array (P,)
        Dimensionless, 2**-53 to 1 - 2**-53.

    Raises
    ------
    InvalidInputError
        If a number is not whole or out of range, or a name is empty.

    Notes
    -----
    Philox4x32-10 with key = BLAKE2b(seed, purpose, field) cut to 64 bits and counter = (patient low, patient
    high, occasion, replicate). The first two words give the draw, as ``u01_open_open_64_53`` of Random123
    (1.14) does.

    References
    ----------
    Salmon2011: Parallel random numbers: as easy as 1, 2, 3. doi:10.1145/2063384.2063405.

    Examples
    --------
    >>> from euthymia.streams import uniforms
    >>> uniforms(seed=1, purpose="individual", field="pk.clearance_L_per_h", patients=[17]).round(6)
    array([0.733859])
    """
    key = _key(seed=seed, purpose=purpose, field=field)
    numbers = _patient_numbers(patients)
    counter = [
        numbers & _LOW_32_BITS,
        numbers >> _32,
        np.full_like(numbers, _whole("occasion", occasion, below=_WORD_LIMIT)),
        np.full_like(numbers, _whole("replicate", replicate, below=_WORD_LIMIT)),
    ]
    low, high, _, _ = _philox(counter, key)
    return _open_unit_interval((high << _32) | low)


def normals(
    *,
    seed: int,
    purpose: str,
    field: str,
    patients: ArrayLike,
    replicate: int = 0,
    occasion: int = 0,
) -> Floats:
    """Give each patient's standard normal draw: the normal quantile of the same call to `uniforms`.

    Parameters
    ----------
    seed, purpose, field, patients, replicate, occasion
        As for `uniforms`.

    Returns
    -------
    draws : array (P,)
        Dimensionless, mean 0 and variance 1, within 8.21 of 0.
    """
    if _faster:
        limits = {"occasion": occasion, "replicate": replicate}
        whole = [_whole(name, value, below=_WORD_LIMIT) for name, value in limits.items()]
        key = _key(seed=seed, purpose=purpose, field=field)
        return _faster[0](key, _patient_numbers(patients), *whole)
    probability = uniforms(
        seed=seed, purpose=purpose, field=field, patients=patients, replicate=replicate, occasion=occasion
    )
    return inverse_normal_cdf(probability)


def normals_by_occasion(
    *, seed: int, purpose: str, field: str, patients: ArrayLike, occasions: Iterable[int]
) -> Floats:
    """Give each patient's standard normal draws on several occasions, (P, occasions), as `normals` does."""
    columns = [
        normals(seed=seed, purpose=purpose, field=field, patients=patients, occasion=one) for one in occasions
    ]
    return np.stack(columns, axis=1) if columns else np.zeros((np.size(patients), 0))


def occasion_of(time_h: float) -> int:
    """Return the occasion of a time: minutes, so that another visit moves no draw; before time 0 too."""
    return _OCCASION_OF_TIME_0 + round(float(time_h) * 60.0)


def philox4x32(counter: ArrayLike, key: Sequence[int]) -> NDArray[np.uint32]:
    """Give four random 32-bit words for each counter: Philox4x32 with ten rounds.

    Parameters
    ----------
    counter : array of uint32 (..., 4)
        Any counter; neighbouring ones give unrelated words.
    key : sequence of int (2,)
        Two 32-bit words.

    Returns
    -------
    words : array of uint32 (..., 4)

    References
    ----------
    Salmon2011, section 3.3; known answers in ``kat_vectors`` of Random123.
    """
    columns = np.moveaxis(np.asarray(counter, dtype=np.uint32).astype(np.uint64), -1, 0)
    words = _philox(list(columns), (key[0], key[1]))
    return np.stack(words, axis=-1).astype(np.uint32)


def inverse_normal_cdf(probability: ArrayLike) -> Floats:
    """Give the standard normal quantile of a probability.

    Parameters
    ----------
    probability : array (...,)
        Above 0 and below 1.

    Returns
    -------
    quantile : array (...,)
        Relative error about 1e-16 from the approximation and a few 1e-16 from rounding.

    Raises
    ------
    InvalidInputError
        If a probability is not between 0 and 1, or is not a number.

    References
    ----------
    Wichura1988: Algorithm AS 241, routine PPND16. doi:10.2307/2347330. Valid to 1e-316.

    Examples
    --------
    >>> from euthymia.streams import inverse_normal_cdf
    >>> inverse_normal_cdf([0.025, 0.5, 0.975]).round(6)
    array([-1.959964,  0.      ,  1.959964])
    """
    p = np.asarray(probability, dtype=np.float64)
    outside = ~((p > 0.0) & (p < 1.0))
    if np.any(outside):
        raise invalid(field="probability", must="above 0 and below 1", got=p[outside].flat[0])
    q = p - 0.5
    in_centre = np.abs(q) <= 0.425
    quantile = np.empty_like(p)
    quantile[in_centre] = _central_quantile(q[in_centre])
    quantile[~in_centre] = _tail_quantile(np.minimum(p, 1.0 - p)[~in_centre], sign=np.sign(q)[~in_centre])
    return quantile


def _key(*, seed: int, purpose: str, field: str) -> tuple[int, int]:
    """Hash what a draw is for into the two key words; JSON keeps the three parts apart."""
    parts = [_whole("seed", seed), _name("purpose", purpose), _name("field", field)]
    digest = blake2b(json.dumps(parts).encode("ascii"), digest_size=8, person=_SCHEME).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


def _philox(counter: list[Words], key: tuple[int, int]) -> list[Words]:
    """Run the ten rounds on four arrays of 32-bit words, each held in 64 bits."""
    word_0, word_1, word_2, word_3 = counter
    for turn in range(_ROUNDS):
        key_0, key_1 = (
            np.uint64((word + turn * step) % _WORD_LIMIT)
            for word, step in zip(key, _KEY_INCREMENTS, strict=True)
        )
        product_0 = word_0 * _MULTIPLIERS[0]
        product_1 = word_2 * _MULTIPLIERS[1]
        word_0 = (product_1 >> _32) ^ word_1 ^ key_0
        word_1 = product_1 & _LOW_32_BITS
        word_2 = (product_0 >> _32) ^ word_3 ^ key_1
        word_3 = product_0 & _LOW_32_BITS
    return [word_0, word_1, word_2, word_3]


def _open_unit_interval(bits: Words) -> Floats:
    """Map 64 random bits to a number above 0 and below 1, using the upper 53."""
    return ((bits >> _11).astype(np.float64) + 1.0) * UNIFORM_STEP


def _central_quantile(q: Floats) -> Floats:
    """Quantile at probability 0.5 + q, for q within 0.425 of 0."""
    return q * _ratio(_CENTRE, 0.180625 - q * q)


def _tail_quantile(tail_probability: Floats, *, sign: Floats) -> Floats:
    """Quantile where a tail (the lower for sign -1, the upper for 1) holds less than 0.075."""
    r = np.sqrt(-_log(tail_probability))
    distance = np.where(r <= 5.0, _ratio(_NEAR_TAIL, r - 1.6), _ratio(_FAR_TAIL, r - 5.0))
    return sign * distance


def _log(x: Floats) -> Floats:
    """Natural logarithm of positive numbers, from exactly rounded operations only.

    log x = exponent log 2 + 2 atanh(s),  s = (m - 1) / (m + 1),  x = m 2^exponent,  m within sqrt 2 of 1
    """
    mantissa, exponent = np.frexp(x)
    is_low = mantissa < HALF_SQRT_2
    mantissa = np.where(is_low, 2.0 * mantissa, mantissa)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    return (exponent - is_low) * LOG_2 + 2.0 * s * _polynomial(ATANH, s * s)


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], r: Floats) -> Floats:
    """Quotient of two polynomials at r."""
    return _polynomial(coefficients[0], r) / _polynomial(coefficients[1], r)


def _polynomial(coefficients: Sequence[float], x: Floats) -> Floats:
    """Polynomial at x by Horner's rule, highest power first."""
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def _patient_numbers(patients: ArrayLike) -> Words:
    """Check that patients are numbered by whole numbers from 1, and return them as counter words."""
    numbers = np.asarray(patients)
    if numbers.size and numbers.dtype.kind not in "iu":
        raise invalid(field="patients", must="whole numbers from 1", got=f"{numbers.dtype} values")
    if numbers.size and numbers.min() < 1:
        raise invalid(
            field="patients", must="whole numbers from 1", got=numbers.min(), cure="Patients count from 1."
        )
    return numbers.astype(np.uint64)


def _whole(field: str, value: int, *, below: int | None = None) -> int:
    """Check that a number is whole, not negative and below a limit, and return it as an int."""
    must = "a whole number from 0" if below is None else f"a whole number from 0 to {below - 1}"
    try:
        number = index(value)
    except TypeError:
        raise invalid(field, must=must, got=repr(value)) from None
    if isinstance(value, bool) or number < 0 or (below is not None and number >= below):
        raise invalid(field, must=must, got=repr(value))
    return number


def _name(field: str, value: str) -> str:
    """Check that a name is text and not empty."""
    if not isinstance(value, str) or not value:
        raise invalid(field, must="a name", got=repr(value))
    return value
