"""Grids: every column is read, converted without loss, or refused by name."""

import dataclasses
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import rgkit as rg

KEY = jax.random.key(0)
SHAPE = {"n_sites": 4, "n_features": 2, "width": 4}
ONE = {"K": 0.5, **SHAPE}


def ensemble(grid, objective=None, **options):
    objective = objective or rg.Infomax()
    return rg.train_ensemble(grid, objective, **({"steps": 1, "key": KEY} | options))


@pytest.fixture(scope="module")
def two():
    return ensemble({"K": [0.5, 1.0], **SHAPE}).table


@pytest.mark.parametrize(
    "couplings",
    [
        (0.5, 1.0),
        np.array([0.5, 1.0]),
        jnp.array([0.5, 1.0]),
        pd.Series([0.5, 1.0], index=[7, 3]),
        pd.Index([0.5, 1.0]),
        {0.5: None, 1.0: None}.keys(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_sequence_is_multiplied_out(two, couplings):
    shape = {name: np.array(value) for name, value in SHAPE.items()}
    table = ensemble({"K": couplings, **shape}).table
    pd.testing.assert_frame_equal(table, two, check_dtype=False, check_exact=True)


@pytest.mark.parametrize("convert", [float, np.float64, np.int8, np.array, jnp.array])
def test_whole_numbers_of_any_kind_are_taken_as_they_are(two, convert):
    rows = [{"K": k, **{n: convert(v) for n, v in SHAPE.items()}} for k in (0.5, 1.0)]
    table = ensemble(rows).table
    pd.testing.assert_frame_equal(table, two, check_dtype=False, check_exact=True)


FIELDS = {"r": -2.0, "u": 0.5, **ONE}


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "grid, error, message",
    [
        (ONE | {"width": 8.7}, TypeError, "width must be an integer, got 8.7"),
        (ONE | {"depth": 1.5}, TypeError, "depth must be an integer, got 1.5"),
        (ONE | {"n_features": "2"}, TypeError, "n_features must be an integer"),
        (ONE | {"periodic": "False"}, TypeError, "periodic must be True or False, got 'False'"),
        (ONE | {"power": 2.0}, ValueError, r"grid has columns \['power'\] that nothing reads"),
        (FIELDS | {"h": 0.1}, ValueError, r"grid has columns \['h'\] that nothing reads"),
        (ONE | {"widht": 8}, ValueError, r"grid has columns \['widht'\] that nothing reads"),
        (ONE | {"depth": 0}, ValueError, r"grid has columns \['width'\] that nothing reads"),
        (ONE | {"seed": 2**31}, ValueError, r"seed must be at most 2\*\*31 - 1"),
        (ONE | {"seed": -1}, ValueError, "seed must be at least 0"),
        (ONE | {"K": np.eye(2)}, ValueError, r"grid has 2 axes in 'K', got shape \(2, 2\)"),
        (
            "K",
            TypeError,
            "grid must be a table, a list of dicts or a mapping to sequences, got str",
        ),
        ([1, 2], TypeError, "grid must be a table, a list of dicts or a mapping"),
        (pd.DataFrame([[1, 2]], columns=["K", "K"]), ValueError, r"once, \['K'\] come twice"),
    ],
)
def test_what_would_be_lost_is_refused(grid, error, message):
    options = {"batch_size": 8} if "r" in grid else {}
    with pytest.raises(error, match=message):
        ensemble(grid, **options)


def test_a_column_may_be_read_by_any_of_the_functions():
    def labelled(row):
        return rg.Infomax(draws=row["draws"])

    table = ensemble(ONE | {"draws": [4, 8]}, labelled).table
    assert table.draws.tolist() == [4, 8]
    copied = ensemble(ONE | {"note": "a"}, lambda row: rg.Infomax(len({**row}) or None))
    assert copied.table.note.tolist() == ["a"]
    with pytest.raises(ValueError, match=r"columns \['note'\] that nothing reads: drop them"):
        ensemble(
            ONE | {"note": "a"},
            labelled_by_nothing,
            system=lambda row: rg.IsingChain(row["K"], n_sites=4),
        )


def labelled_by_nothing(row):
    return rg.Infomax()


RECORDED = np.array([[1, 1, 1, 1], [1, -1, 1, 1], [1, 1, 1, 1], [-1, -1, 1, -1]])


@dataclasses.dataclass(frozen=True)
class Few:
    """Three configurations of four spins, in an order of its own."""

    n_sites: int = 4
    values: object = rg.IsingChain(0.0, n_sites=2).values

    def configurations(self):
        return RECORDED[[3, 0, 1]]

    def probabilities(self):
        return np.array([0.25, 0.5, 0.25])

    def sample(self, key, n_samples):
        return jax.random.choice(key, jnp.asarray(self.configurations()), (n_samples,))


@pytest.mark.parametrize("system", [rg.EmpiricalSystem(RECORDED), Few()], ids=["recorded", "own"])
def test_training_is_exact_on_any_listed_rows(system):
    """The loss is the information between the row and the features, row by row."""
    network = rg.FCNetwork((4, 4, 2), rg.SpinChannel(), key=KEY)
    options = {"steps": 1, "optimizer": optax.sgd(0.1)}
    result = rg.train(network, system, rg.Infomax(), key=KEY, **options)
    for trained, row in ((network, 0), (result.network, 1)):
        joint = np.array([0.25, 0.5, 0.25])[:, None] * np.exp(
            [np.asarray(trained.log_probability(x), float) for x in RECORDED[[3, 0, 1]]]
        )
        law = joint.sum(0)
        information = np.sum(joint * np.log(joint / joint.sum(1, keepdims=True) / law))
        assert result.history.information[row] == pytest.approx(information, abs=1e-6)
        assert result.history.loss[row] == pytest.approx(-information, abs=1e-6)
    together = rg.train_ensemble(
        ONE | {"K": 0.0, "seed": [0, 1]},
        rg.Infomax(),
        key=KEY,
        system=lambda row: (row["K"], system)[1],
        **options,
    )
    alone = rg.train(**together.arguments(1), **options)
    last = alone.history.iloc[-1].drop("step").astype(float)
    np.testing.assert_allclose(together.table.loc[1, last.index].astype(float), last, atol=1e-6)


def test_rows_of_different_numbers_are_trained_apart():
    systems = [rg.EmpiricalSystem(RECORDED), rg.EmpiricalSystem(RECORDED[:2])]
    result = ensemble(
        SHAPE | {"which": [0, 1, 0]}, system=lambda row: systems[row["which"]], restarts=2
    )
    assert len(result.networks) == 2 and result.table.which.tolist() == [0, 1, 0]
    assert result.table.loss[0] == result.table.loss[2] != result.table.loss[1]


def test_results_and_errors_are_kept_by_pickle():
    result = ensemble({"K": [0.5, 1.0], **SHAPE})
    again = pickle.loads(pickle.dumps(result))
    pd.testing.assert_frame_equal(again.table, result.table)
    one, other = (r.arguments(1) for r in (result, again))
    first, second = (rg.train(**a, steps=2).history for a in (one, other))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    with pytest.raises(rg.TrainingDiverged) as caught:
        rg.train(**one, steps=20, optimizer=optax.sgd(float("nan")))
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.step, str(error)) == (caught.value.step, str(caught.value))
    pd.testing.assert_frame_equal(error.result.history, caught.value.result.history)
