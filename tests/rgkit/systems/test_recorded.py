"""Recorded data as a system: draws, dequantisation, and its place in training."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rgkit as rg
from rgkit.systems.base import is_enumerable

ROWS = np.array([[0, 3, 1], [2, 2, 7], [5, 0, 4]])


def test_without_noise_every_draw_is_a_row_and_every_row_is_drawn_as_often():
    draws = np.asarray(rg.EmpiricalSystem(ROWS).sample(jax.random.key(0), 30_000))
    which = (draws[:, None] == ROWS[None]).all(2)
    assert which.sum(1).tolist() == [1] * len(draws)
    # counts are binomial
    assert np.abs(which.mean(0) - 1 / 3).max() < 4.5 * np.sqrt(2 / 9 / len(draws))


def test_the_noise_is_uniform_over_one_step_and_independent_between_fields():
    draws = np.asarray(rg.EmpiricalSystem(ROWS, width=0.5).sample(jax.random.key(1), 30_000), float)
    noise = (draws - np.floor(draws)) / 0.5
    assert noise.min() >= 0 and noise.max() < 1
    errors = 1 / np.sqrt(12 * len(noise))
    assert np.abs(noise.mean(0) - 0.5).max() < 4.5 * errors
    assert np.abs(np.cov(noise.T) - np.eye(3) / 12).max() < 4.5 * 0.08 / np.sqrt(len(noise))


def test_the_rows_are_read_off_by_rounding_down():
    draws = np.asarray(rg.EmpiricalSystem(ROWS, width=1.0).sample(jax.random.key(2), 100))
    assert (np.floor(draws)[:, None] == ROWS[None]).all(2).any(1).all()


def test_a_network_trains_on_it_and_compiled_sampling_agrees():
    rows = np.random.default_rng(0).exponential(size=(500, 4))
    system = rg.EmpiricalSystem(rows, width=0.01)
    key = jax.random.key(3)
    assert jnp.array_equal(eqx.filter_jit(system.sample)(key, 8), system.sample(key, 8))
    network = rg.FCNetwork((4, 8, 1), rg.GaussianChannel(), key=key)
    gap = rg.train(
        network, system, rg.Infomax(), steps=100, batch_size=256, records=2, key=key
    ).history.gap
    assert gap.iloc[-1] < 0.7 * gap.iloc[0]


@pytest.mark.parametrize(
    ("samples", "width", "message"),
    [
        (np.zeros(5), 0.0, "samples must have shape"),
        (np.zeros((0, 3)), 0.0, "samples must have shape"),
        ([[1.0, 2.0], [1.0, np.nan]], 0.0, r"samples must be finite .* row 1 \(of 1 such rows\)"),
        ([["a", "b"]], 0.0, "samples must be finite real numbers, got dtype"),
        (
            [[1e4 - 0.01], [1e4], [1e4 + 0.01]],
            0.0,
            "samples would lose digits in float32: column 0",
        ),
        ([[1e4], [2e4]], 0.002, "samples would lose digits in float32: .* Subtract the mean"),
        (ROWS, -1.0, "width must not be negative"),
    ],
)
def test_bad_arguments_are_named(samples, width, message):
    with pytest.raises(ValueError, match=message):
        rg.EmpiricalSystem(samples, width=width)


def test_recorded_spins_are_their_distinct_rows():
    rows = np.array([[1, -1, 1], [1, 1, 1], [1, -1, 1], [-1, -1, -1]])
    system = rg.EmpiricalSystem(rows)
    assert system.values is rg.Values.SPINS and is_enumerable(system)
    law = dict(
        zip(map(tuple, system.configurations().tolist()), system.probabilities(), strict=True)
    )
    assert law == {(1, -1, 1): 0.5, (1, 1, 1): 0.25, (-1, -1, -1): 0.25}
    draws = np.asarray(system.sample(jax.random.key(0), 20_000))
    assert draws.dtype == np.int8
    for row, probability in law.items():
        assert (draws == row).all(1).mean() == pytest.approx(probability, abs=0.02)


def test_what_a_site_can_be_may_be_said():
    signs = np.array([[1.0, -1.0], [1.0, 1.0]])
    assert rg.EmpiricalSystem(signs, values=rg.Values.REALS).values is rg.Values.REALS
    assert rg.EmpiricalSystem(signs, width=0.5).values is rg.Values.REALS
    fields = rg.EmpiricalSystem(ROWS)
    assert fields.values is rg.Values.REALS and not is_enumerable(fields)
    with pytest.raises(TypeError, match="no configurations to list: use `.sample`"):
        fields.configurations()
    with pytest.raises(ValueError, match=r"must be \+1 or -1 .* pass 2\*s - 1"):
        rg.EmpiricalSystem([[0, 1], [1, 1]], values=rg.Values.SPINS)
    with pytest.raises(ValueError, match="width must be 0 for spins, got 0.5"):
        rg.EmpiricalSystem(signs, width=0.5, values=rg.Values.SPINS)


def test_float64_keeps_what_float32_would_lose():
    rows = np.array([[1e4 - 0.01], [1e4], [1e4 + 0.01]])
    with jax.enable_x64(True):
        assert np.asarray(rg.EmpiricalSystem(rows).samples).tolist() == rows.tolist()
    centred = np.asarray(rg.EmpiricalSystem(rows - 1e4).samples, float)
    np.testing.assert_allclose(centred, rows - 1e4, rtol=1e-7)


def test_draws_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="n_samples = 1000000000 is too large for one draw"):
        rg.EmpiricalSystem(ROWS).sample(jax.random.key(0), 10**9)
