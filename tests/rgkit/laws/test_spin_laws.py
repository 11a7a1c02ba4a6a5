"""Laws of features: the transform, exact against sampled, identities and inequalities."""

import itertools
import pickle
import resource

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import rgkit as rg

LN2 = np.log(2)
seeds = st.integers(0, 2**31)
couplings = st.floats(-1.5, 1.5)


def random_law(seed, n, sharpness=1.0):
    return np.random.default_rng(seed).dirichlet(np.full(2**n, sharpness))


def random_kernel(seed, n_inputs, n_outputs, keeps_uniform=False):
    """A stochastic matrix ``(inputs, outputs)``; balanced to keep the uniform law if asked."""
    matrix = np.random.default_rng(seed).dirichlet(np.ones(2**n_outputs), 2**n_inputs)
    while keeps_uniform and abs(matrix.mean(0) - 2.0**-n_outputs).max() > 1e-14:
        matrix /= matrix.mean(0) * 2**n_outputs
        matrix /= matrix.sum(1, keepdims=True)
    return matrix


@given(hnp.arrays(float, st.sampled_from([2, 8, 64]), elements=st.floats(-5, 5)))
def test_the_transform_is_its_own_inverse(values):
    np.testing.assert_allclose(
        rg.walsh_hadamard(rg.walsh_hadamard(values)) / len(values), values, atol=1e-12
    )


def test_the_transform_against_its_definition():
    values = np.random.default_rng(0).normal(size=(3, 16))
    spins = rg.IsingChain(0.0, n_sites=4).configurations().astype(float)
    characters = np.stack(
        [
            spins[:, list(s)].prod(1)
            for s in (np.flatnonzero([i >> j & 1 for j in range(4)]) for i in range(16))
        ]
    )
    np.testing.assert_allclose(rg.walsh_hadamard(values), values @ characters.T, atol=1e-13)
    with pytest.raises(ValueError, match=r"2\*\*n entries in their last axis, got shape"):
        rg.walsh_hadamard(np.ones(6))


@pytest.mark.parametrize("shape", [(1,), (2,), (3, 2, 32), (5, 2**11), (2**13,)])
def test_the_transform_of_many_spins_is_a_product_with_hadamards_matrix(shape):
    values = np.random.default_rng(1).normal(size=shape)
    found, rows = rg.walsh_hadamard(values), np.arange(shape[-1])
    for columns in np.array_split(rows, -(-len(rows) // 1024)):  # the whole matrix is large
        matrix = 1.0 - 2 * (np.bitwise_count(rows[:, None] & columns) & 1)
        np.testing.assert_allclose(found[..., columns], values @ matrix, atol=1e-10)


@given(seeds, st.integers(1, 5))
def test_couplings_rebuild_the_law(seed, n):
    law = rg.SpinLaw(random_law(seed, n))
    spins = rg.IsingChain(0.0, n_sites=max(n, 2)).configurations()[: 2**n, :n].astype(float)
    table = law.couplings()
    log_q = sum(row.value * spins[:, list(row.subset)].prod(1) for row in table.itertuples())
    np.testing.assert_allclose(np.exp(log_q), law.probabilities, rtol=1e-9)
    assert (table.order == table.subset.map(len)).all()


@given(couplings, st.floats(-1, 1), st.sampled_from([2, 3]))
def test_decimated_rings_are_rings_with_the_renormalized_couplings(coupling, field, b):
    law = rg.pushforward(rg.IsingChain(coupling, field, n_sites=4 * b), rg.decimation(b))
    step = rg.ising_decimation(b).step({"K": coupling, "h": field})
    exact = rg.IsingChain(step["K"], step["h"], n_sites=4).probabilities()
    np.testing.assert_allclose(law.probabilities, exact, rtol=1e-10)
    table = law.couplings().set_index("subset").value
    neighbours = [table[s] for s in ((0, 1), (1, 2), (2, 3), (0, 3))]
    np.testing.assert_allclose(neighbours, step["K"], atol=1e-11)
    np.testing.assert_allclose([table[(j,)] for j in range(4)], step["h"], atol=1e-11)
    np.testing.assert_allclose(law.pair_couplings()[0, 2], 0, atol=1e-11)
    assert law.pair_couplings()[1, 2] == table[(1, 2)]


def test_majority_creates_couplings_that_decimation_does_not():
    law = rg.pushforward(rg.IsingChain(1.0, n_sites=12), rg.majority(3))
    table = law.couplings().set_index("subset").value
    assert abs(table[(0, 2)]) > 1e-3
    assert abs(table[(0, 1, 2, 3)]) > 1e-3


@given(couplings, st.floats(-1, 1), seeds)
def test_the_gap_is_divergence_plus_noise(coupling, field, seed):
    chain = rg.IsingChain(coupling, field, n_sites=6)
    network = rg.FCNetwork((6, 5, 3), rg.SpinChannel(), key=jax.random.key(seed), bias_std=0.5)
    soft, hard = rg.pushforward(chain, network), rg.pushforward(chain, network.hard())
    assert soft.gap() == pytest.approx(soft.divergence() + soft.conditional_entropy, abs=1e-12)
    assert hard.gap() == pytest.approx(hard.divergence(), abs=1e-12)
    x, p = chain.configurations(), chain.probabilities()
    conditional = np.exp(np.asarray(jax.vmap(network.log_probability)(x), float))
    joint = p[:, None] * conditional
    information = np.sum(joint * np.log(conditional / joint.sum(0)))
    assert soft.information() == pytest.approx(information, abs=1e-5)  # the network is float32


@given(seeds, seeds, st.integers(2, 4), st.integers(1, 3))
def test_data_processing(law_seed, kernel_seed, n_inputs, n_outputs):
    p, matrix = (
        random_law(law_seed, n_inputs, 0.3),
        random_kernel(kernel_seed, n_inputs, n_outputs, True),
    )
    before, after = rg.SpinLaw(p).divergence(), rg.SpinLaw(p @ matrix).divergence()
    assert after <= before + 1e-12


def test_a_kernel_that_does_not_keep_the_uniform_law_can_move_away_from_it():
    p = rg.IsingChain(0.1, n_sites=6)
    assert (
        rg.pushforward(p, rg.majority(2, +1)).divergence()
        > rg.SpinLaw(p.probabilities()).divergence()
    )


@given(st.floats(0.05, 2), st.integers(2, 6))
def test_per_spin_the_two_distances_part_ways(coupling, b):
    renormalized = rg.ising_decimation(b).step({"K": coupling})["K"]
    before, after = (rg.IsingChain(k, n_sites=2) for k in (coupling, renormalized))
    assert LN2 - after.entropy_rate() < LN2 - before.entropy_rate()
    assert np.log1p(np.exp(-2 * renormalized)) > np.log1p(np.exp(-2 * coupling))


def test_relabelling_features_changes_nothing_reported():
    law = rg.pushforward(rg.IsingChain(1.0, 0.2, n_sites=12), rg.majority(3))
    spins = rg.IsingChain(0.0, n_sites=4).configurations()
    order, signs = [2, 0, 3, 1], np.array([1, -1, -1, 1])
    image = (spins[:, order] * signs < 0) @ (1 << np.arange(4))
    relabelled = np.zeros(16)
    relabelled[image] = law.probabilities
    other = rg.SpinLaw(relabelled)
    assert other.divergence() == pytest.approx(law.divergence(), abs=1e-14)
    for quantity in (
        rg.SpinLaw.pair_marginal_couplings,
        rg.SpinLaw.pair_couplings,
        rg.SpinLaw.marginal_fields,
    ):
        np.testing.assert_allclose(abs(quantity(other)).max(), abs(quantity(law)).max(), atol=1e-14)


def test_divergence_to_a_reference():
    p, q = random_law(0, 3), random_law(1, 3)
    assert rg.SpinLaw(p).divergence(q) == pytest.approx(np.sum(p * np.log(p / q)))
    assert rg.SpinLaw(p).divergence(rg.SpinLaw(q)) == rg.SpinLaw(p).divergence(q)
    corner = np.eye(8)[0]
    assert rg.SpinLaw(corner).divergence() == pytest.approx(3 * LN2)
    assert rg.SpinLaw(p).divergence(corner) == np.inf
    with pytest.raises(ValueError, match=r"reference must have shape \(8,\), got \(4,\)"):
        rg.SpinLaw(p).divergence(np.full(4, 0.25))


@pytest.mark.parametrize("soft", [True, False])
def test_sampled_laws_agree_with_exact_ones_within_their_errors(soft):
    chain = rg.IsingChain(0.7, 0.1, n_sites=12)
    network = rg.FCNetwork((12, 8, 4), rg.SpinChannel(), key=jax.random.key(1))
    kernel = network if soft else network.hard()
    exact = rg.pushforward(chain, kernel)
    assert exact.standard_errors is None and exact.divergence_standard_error() == 0
    scores, pulls = [], []
    for key in jax.random.split(jax.random.key(0), 40):
        law = rg.pushforward(chain, kernel, n_samples=4000, key=key)
        used = law.standard_errors > 0
        scores.append((law.probabilities - exact.probabilities)[used] / law.standard_errors[used])
        pulls.append((law.divergence() - exact.divergence()) / law.divergence_standard_error())
    spread = np.concatenate(scores)
    assert 0.9 < spread.std() < 1.1 and abs(spread.mean()) < 0.2
    assert 0.7 < np.std(pulls) < 1.35 and abs(np.mean(pulls)) < 3 / np.sqrt(40)


def test_errors_of_sampled_couplings():
    chain, kernel = rg.IsingChain(0.5, n_sites=8), rg.decimation(2)
    exact = rg.pushforward(chain, kernel).couplings().value
    tables = [
        rg.pushforward(chain, kernel, n_samples=5000, key=k).couplings()
        for k in jax.random.split(jax.random.key(0), 40)
    ]
    pulls = np.array([(t.value - exact)[1:] / t.standard_error[1:] for t in tables])
    assert 0.85 < pulls.std() < 1.15


def test_long_chains_are_pushed_by_samples():
    chain = rg.IsingChain(1.0, n_sites=300)
    law = rg.pushforward(chain, rg.decimation(75), n_samples=20_000, key=jax.random.key(0))
    assert law.divergence() == pytest.approx(0, abs=5 * law.divergence_standard_error())


def test_twenty_four_sites_in_bounded_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    network = rg.FCNetwork((24, 16, 8), rg.SpinChannel(), key=jax.random.key(0))
    law = rg.pushforward(rg.IsingChain(0.7, n_sites=24), network)
    assert law.probabilities.sum() == pytest.approx(1, abs=1e-12)
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    assert growth < 0.7  # GiB; with the interpreter and JAX the process stays below one


def test_errors_say_what_to_do():
    collapsed = rg.SpinLaw(np.array([0.5, 0, 0, 0.5]))
    with pytest.raises(
        ValueError, match=r"2 of 4 feature states have probability zero \(state \[-1, 1\] is one\)"
    ):
        collapsed.couplings()
    with pytest.raises(ValueError, match="probability zero"):
        collapsed.pair_couplings()
    with pytest.raises(ValueError, match="n <= 10, this law has n = 11"):
        rg.SpinLaw(np.full(2**11, 2.0**-11)).couplings()
    long = rg.IsingChain(1.0, n_sites=30)
    with pytest.raises(
        ValueError,
        match=r"n_sites = 30 is too large to enumerate.*38 GiB.*n_samples and key in `pushforward`",
    ):
        rg.pushforward(long, rg.decimation(3))
    with pytest.raises(ValueError, match="n_samples and key go together"):
        rg.pushforward(long, rg.decimation(3), n_samples=10)
    with pytest.raises(ValueError, match="at most 10 features, this kernel has 15"):
        rg.pushforward(long, rg.decimation(2), n_samples=10, key=jax.random.key(0))
    with pytest.raises(
        ValueError,
        match=r"widths start with 12 but the system has 10 sites: pass widths=\(10, ...\)",
    ):
        rg.pushforward(
            rg.IsingChain(1.0, n_sites=10),
            rg.FCNetwork((12, 4), rg.SpinChannel(), key=jax.random.key(0)),
        )


@given(seeds, st.integers(2, 4), st.floats(0.05, 3))
def test_pair_marginals_are_bounded_by_the_divergence(seed, n, sharpness):
    q = random_law(seed, n, sharpness)
    q = (q + q[::-1]) / 2  # even under a global flip, so that all means are zero
    law = rg.SpinLaw(q)
    if law.divergence() < 0.5:
        assert (
            abs(law.pair_marginal_couplings()).max()
            <= np.arctanh(np.sqrt(2 * law.divergence())) + 1e-12
        )


@given(seeds, st.integers(1, 4), st.floats(0.05, 3))
def test_all_couplings_are_bounded_by_both_divergences(seed, n, sharpness):
    law = rg.SpinLaw(np.maximum(random_law(seed, n, sharpness), 1e-12))
    forward, uniform = law.divergence(), rg.SpinLaw(np.full(2**n, 2.0**-n))
    backward = uniform.divergence(law)
    bound = backward + np.sqrt(2 * min(forward, backward))
    assert law.couplings().query("order > 0").value.abs().max() <= bound + 1e-9


def test_one_state_of_tiny_weight_breaks_any_bound_by_the_divergence_alone():
    q = np.full(16, (1 - 1e-30) / 15)
    q[0] = 1e-30
    law = rg.SpinLaw(q)
    assert law.divergence() < 0.07
    assert law.couplings().query("order > 0").value.abs().min() > 4


def test_random_maps_land_near_the_uniform_law_as_the_bound_says():
    for coupling, stated in ((0.5, 0.038), (1.0, 0.856)):
        chain = rg.IsingChain(coupling, n_sites=12)
        collision = np.sum(chain.probabilities() ** 2)
        double = rg.IsingChain(2 * coupling, n_sites=12)
        assert collision == pytest.approx(
            np.exp(double.log_partition() - 2 * chain.log_partition()), rel=1e-10
        )
        bound = np.log1p(15 * collision)
        assert bound == pytest.approx(stated, abs=1e-3)
        divergences = [
            rg.pushforward(chain, rg.random_map(4, k)).divergence()
            for k in jax.random.split(jax.random.key(0), 64)
        ]
        assert np.mean(divergences) + 3 * np.std(divergences) / 8 < bound
        law = np.array(
            [
                rg.pushforward(chain, rg.random_map(4, k)).probabilities
                for k in jax.random.split(jax.random.key(1), 64)
            ]
        )
        second = (law**2).sum(1)
        assert second.mean() == pytest.approx(
            (1 - collision) / 16 + collision, abs=4 * second.std() / 8
        )


def test_subsets_are_listed_in_order():
    names = rg.SpinLaw(random_law(0, 3)).couplings().subset.tolist()
    assert sorted(names) == sorted(s for r in range(4) for s in itertools.combinations(range(3), r))
    assert names[3] == (0, 1) and names[4] == (2,)


def test_the_transform_does_not_depend_on_how_the_values_lie_in_memory():
    values = np.random.default_rng(0).normal(size=(64, 4))
    np.testing.assert_array_equal(
        rg.walsh_hadamard(values.T), rg.walsh_hadamard(np.ascontiguousarray(values.T))
    )
    np.testing.assert_array_equal(
        rg.walsh_hadamard(values[::2].T), rg.walsh_hadamard(np.ascontiguousarray(values[::2].T))
    )


def test_divergences_are_measurements():
    chain, kernel = rg.IsingChain(0.7, n_sites=8), rg.decimation(2)
    exact = rg.pushforward(chain, kernel).divergence()
    sampled = rg.pushforward(chain, kernel, n_samples=4000, key=jax.random.key(0))
    measured = sampled.divergence()
    assert exact.standard_error == 0 and exact.method == "exact" and exact >= 0
    assert measured.standard_error == sampled.divergence_standard_error() > 0
    assert abs(measured - exact) < 5 * measured.standard_error
    assert "±" in repr(measured) and repr(exact) == repr(float(exact))
    again = pickle.loads(pickle.dumps(measured))
    assert again == measured and again.standard_error == measured.standard_error


def test_a_reference_may_be_a_system_that_lists_its_configurations():
    law, other = rg.SpinLaw(random_law(0, 4)), rg.IsingChain(0.3, 0.1, n_sites=4)
    assert law.divergence(other) == law.divergence(other.probabilities())
    recorded = rg.EmpiricalSystem(np.array([[1, 1, -1, 1], [1, -1, 1, 1], [1, 1, -1, 1]]))
    expected = np.zeros(16)
    expected[[0b0100, 0b0010]] = 2 / 3, 1 / 3
    assert rg.SpinLaw(expected).divergence(recorded) == pytest.approx(0, abs=1e-15)
    assert law.divergence(recorded) == np.inf
    everything = rg.EmpiricalSystem(rg.IsingChain(0.0, n_sites=4).configurations()[::-1])
    assert law.divergence(everything) == pytest.approx(law.divergence(), abs=1e-14)


def test_a_sampled_law_infinitely_far_has_no_error():
    law = rg.pushforward(
        rg.IsingChain(0.2, n_sites=4), rg.decimation(2), n_samples=500, key=jax.random.key(0)
    )
    distance = law.divergence(np.eye(4)[0])
    assert distance == np.inf and distance.standard_error == 0


@pytest.mark.as_a_user
@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: rg.SpinLaw([0.5, 0.6]), ValueError, "probabilities must sum to 1.*sum is 1.1"),
        (lambda: rg.SpinLaw([1.2, -0.2]), ValueError, "not negative, entry 1 is -0.2"),
        (lambda: rg.SpinLaw(np.full(3, 1 / 3)), ValueError, r"must have shape \(2\*\*n,\).*\(3,\)"),
        (lambda: rg.SpinLaw([0.5, np.nan]), ValueError, "must be finite"),
        (lambda: rg.SpinLaw(["a", "b"]), TypeError, "must be real numbers"),
        (lambda: rg.SpinLaw([0.5, 0.5], -0.1), ValueError, r"between 0 and H\(y\) = 0.693"),
        (lambda: rg.SpinLaw([0.5, 0.5], 0.7), ValueError, "conditional_entropy must lie between"),
        (lambda: rg.SpinLaw([0.5, 0.5], np.nan), ValueError, "conditional_entropy must be finite"),
        (
            lambda: rg.SpinLaw([0.5, 0.5], covariance=np.eye(3)),
            ValueError,
            r"covariance must be finite numbers of shape \(2, 2\), got shape \(3, 3\)",
        ),
        (
            lambda: rg.SpinLaw([0.5, 0.5]).divergence([0.3, 0.3]),
            ValueError,
            "reference must sum to 1",
        ),
        (
            lambda: rg.SpinLaw([0.5, 0.5]).divergence(rg.IsingChain(1.0, n_sites=3)),
            ValueError,
            "reference must have n_sites = 1, one for each feature, got 3",
        ),
        (
            lambda: rg.SpinLaw(random_law(0, 2)).divergence(rg.ScalarChain((3.0,), 1.0, n_sites=2)),
            TypeError,
            "reference must list its configurations, ScalarChain does not",
        ),
    ],
)
def test_what_is_no_law_of_spins_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@given(seeds, st.integers(1, 5), st.sampled_from([1e-3, 0.05, 1.0]))
def test_bounds_hold_to_the_last_digit(seed, n, sharpness):
    law = rg.SpinLaw(random_law(seed, n, sharpness))
    assert law.entropy() >= 0 and law.divergence() >= 0
    assert law.divergence(law) == 0 and law.divergence(law.probabilities[::-1]) >= 0
    assert abs(law.means()).max() <= 1 and abs(law.correlations()).max() <= 1
    np.testing.assert_array_equal(np.diag(law.correlations()), 1)
