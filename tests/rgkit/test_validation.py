"""One voice for what is wrong with an argument: its name, the fault and the mend."""

import fractions

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from rgkit import _validation


@pytest.mark.parametrize(
    "value",
    [2, 2.0, np.float32(2), np.int8(2), np.array(2), jnp.float32(2), fractions.Fraction(2)]
    + [pd.Series([2.0, 3.0])[0]],
    ids=lambda value: type(value).__name__,
)
def test_numbers_of_any_library_are_real(value):
    assert _validation.real("x", value) == 2.0
    assert type(_validation.real("x", value)) is float


@pytest.mark.parametrize("value", [3, np.uint8(3), np.array(3), jnp.asarray(3)])
def test_integers_of_any_library_are_integers(value):
    assert _validation.positive_integer("n", value) == 3
    assert type(_validation.seed("seed", value)) is int


@pytest.mark.parametrize("value", [False, np.bool_(False), np.array(False), jnp.asarray(False)])
def test_truth_of_any_library_is_a_bool(value):
    assert _validation.boolean("periodic", value) is False


REFUSED = [
    (lambda: _validation.real("x", "1.5"), TypeError, "x must be a real number, got '1.5': pass"),
    (lambda: _validation.real("x", True), TypeError, "x must be a real number, got True"),
    (lambda: _validation.real("x", [1.0]), TypeError, "x must be a real number"),
    (lambda: _validation.real("x", np.ones(1)), TypeError, r"got an array of shape \(1,\)"),
    (lambda: _validation.real("x", pd.Series([1.0])), TypeError, r"an array of shape \(1,\)"),
    (lambda: _validation.real("x", 10**400), TypeError, "x must be a real number"),
    (lambda: _validation.real("x", 1j), TypeError, "x must be real, got the complex number"),
    (lambda: _validation.real("x", np.nan), ValueError, "finite, got nan: pass a finite number"),
    (lambda: _validation.real("x", np.inf, "lower it"), ValueError, "finite, got inf: lower it"),
    (lambda: jax.jit(lambda x: _validation.real("x", x))(1.0), TypeError, "x must be a real"),
    (lambda: _validation.positive_integer("n", 2.0), TypeError, "n must be an integer, got 2.0"),
    (lambda: _validation.positive_integer("n", np.bool_(1)), TypeError, "n must be an integer"),
    (lambda: _validation.positive_integer("n", np.ones(1, int)), TypeError, "array of shape"),
    (lambda: _validation.seed("seed", 2**31), ValueError, r"seed must be at most 2\*\*31 - 1"),
    (lambda: _validation.seed("seed", -1), ValueError, "seed must be at least 0"),
    (lambda: _validation.boolean("periodic", "False"), TypeError, "must be True or False"),
    (lambda: _validation.boolean("periodic", 0), TypeError, "periodic must be True or False"),
    (lambda: _validation.named_reals("p", [1], ("K",)), TypeError, "p must be a mapping"),
    (lambda: _validation.named_reals("p", {"J": 1}, ("K",)), ValueError, "p has no 'J': the names"),
    (lambda: _validation.named_reals("p", {"K": "a"}, ("K",)), TypeError, r"p\['K'\] must be"),
    (lambda: _validation.probabilities("q", [0.5, 0.5, 0.0]), ValueError, r"shape \(2\*\*n,\)"),
    (lambda: _validation.probabilities("q", [[0.5, 0.5]]), ValueError, r"shape \(2\*\*n,\)"),
    (lambda: _validation.probabilities("q", [1.5, -0.5]), ValueError, "entry 1 is -0.5"),
    (lambda: _validation.probabilities("q", [np.nan, 1.0]), ValueError, "entry 0 is nan"),
    (lambda: _validation.probabilities("q", [0.5, 0.4]), ValueError, "the sum is 0.9: divide"),
    (lambda: _validation.probabilities("q", ["a", "b"]), TypeError, "q must be real numbers"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_what_is_wrong_is_named_with_its_mend(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_probabilities_lose_no_more_than_rounding():
    law = _validation.probabilities("q", jnp.array([0.25, 0.75, 0.0, -1e-12], jnp.float32))
    assert law.dtype == np.float64 and law.min() == 0.0
    assert _validation.named_reals("p", {"h": 1}, ("K", "h")) == {"K": 0.0, "h": 1.0}
