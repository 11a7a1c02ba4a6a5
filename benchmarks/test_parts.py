"""What binds: the matrix products and tangents of two kernels, in the shapes they have there."""

import jax
import jax.numpy as jnp
import pytest

from rgkit.enumeration import ROWS_AT_ONCE

REPEATS = 16
TRAINING = {"rows": 2**16, "sizes": {"i": 16, "h": 256, "o": 4}, "chunks": 1}
ENUMERATION = {
    "rows": ROWS_AT_ONCE,
    "sizes": {"i": 24, "h": 64, "g": 64, "o": 8},
    "chunks": 2**24 // ROWS_AT_ONCE,
}
# as in rgkit/kernels/network.py: forward, and for training backward
PARTS = {
    "one network 16-256-4, all 65,536 configurations": (
        TRAINING, ["ri,hi->rh", "oh,rh->or", "or,rh->oh", "oh,or->rh", "ri,rh->ih"], ["rh"],
    ),
    "pushforward, 24 sites": (ENUMERATION, ["ri,hi->rh", "rh,gh->rg", "og,rg->or"], ["rh", "rg"]),
}  # fmt: skip


def _array(letters, rows, sizes):
    return jnp.full([sizes.get(letter, rows) for letter in letters], 0.5)


def _repeated(function, first, *others):
    """``function`` again and again in one program, each time on what the last result changes."""

    def again(_, first):
        # the barrier keeps the compiler from working out one entry alone
        result = jax.lax.optimization_barrier(function(first, *others))
        return first.at[(0,) * first.ndim].set(result[(0,) * result.ndim])

    compiled = jax.jit(lambda first: jax.lax.fori_loop(0, REPEATS, again, first))
    return lambda: compiled(first)


def _product(form, rows, sizes):
    left, right = form.split("->")[0].split(",")
    return _repeated(
        lambda a, b: jnp.einsum(form, a, b), _array(left, rows, sizes), _array(right, rows, sizes)
    )


@pytest.mark.parametrize("part", ["products", "tanh"])
@pytest.mark.parametrize("work", PARTS)
def test_parts(measure, work, part):
    shapes, products, hidden = PARTS[work]
    rows, sizes = shapes["rows"], shapes["sizes"]
    runs = {
        "products": [_product(form, rows, sizes) for form in products],
        "tanh": [_repeated(jnp.tanh, _array(letters, rows, sizes)) for letters in hidden],
    }[part]
    units = REPEATS / shapes["chunks"]
    measure(
        f"{work}: {part} alone",
        "rgkit",
        lambda: [run() for run in runs],
        rounds=7,
        units=units,
        unit="step",
    )
