"""Systems that a user gives by their energy: solved exactly, sampled, and trained on."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rgkit as rg


@dataclasses.dataclass(frozen=True)
class NextNearestNeighbours(rg.EnumeratedFamily):
    K: float
    L: float
    h: float
    n_sites: int

    @property
    def parameters(self):
        return {"K": self.K, "L": self.L, "h": self.h}

    def statistics(self, x):
        bonds = [(x * np.roll(x, r, axis=-1)).sum(-1) for r in (1, 2)]
        return np.stack([*bonds, x.sum(-1)], axis=-1)


@dataclasses.dataclass(frozen=True)
class Clock(rg.EnumeratedSystem):
    """The four-state clock on a ring: the two spins of a site are independent Ising spins."""

    coupling: float
    n_sites: int

    def energy(self, x):
        pairs = jnp.reshape(x, (*x.shape[:-1], self.n_sites // 2, 2))
        return -self.coupling * (pairs * jnp.roll(pairs, 1, axis=-2)).sum((-1, -2))


@dataclasses.dataclass(frozen=True)
class Replicas(rg.EnumeratedSystem):
    coupling: float
    between: float
    length: int

    @property
    def n_sites(self):
        return 2 * self.length

    def energy(self, x):
        copies = x.reshape(*x.shape[:-1], 2, self.length)
        bonds = (copies[..., 1:] * copies[..., :-1]).sum((-1, -2))
        return -self.coupling * bonds - self.between * copies.prod(-2).sum(-1)


def test_a_family_without_its_new_bond_is_the_ring():
    mine = NextNearestNeighbours(0.7, 0.0, -0.2, 8)
    ring = rg.IsingChain(0.7, -0.2, n_sites=8)
    assert mine.log_partition() == pytest.approx(ring.log_partition(), rel=1e-14)
    assert mine.entropy() == pytest.approx(ring.entropy(), rel=1e-13)
    np.testing.assert_allclose(mine.probabilities(), ring.probabilities(), rtol=1e-12)
    np.testing.assert_array_equal(mine.configurations(), ring.configurations())
    means = mine.mean_parameters()
    for name, value in ring.mean_parameters().items():
        assert means[name] == pytest.approx(value, rel=1e-13)
    fisher = mine.fisher_information()[np.ix_([0, 2], [0, 2])]
    np.testing.assert_allclose(fisher, ring.fisher_information(), rtol=1e-12)


def test_means_and_fisher_information_are_derivatives_of_log_z():
    system, step = NextNearestNeighbours(0.4, -0.3, 0.1, 7), 1e-5
    for name, mean in system.mean_parameters().items():
        ahead, back = (
            system.at(system.parameters | {name: system.parameters[name] + s})
            for s in (step, -step)
        )
        slope = (ahead.log_partition() - back.log_partition()) / (2 * step)
        assert slope == pytest.approx(mean, abs=1e-8)
        row = list(system.parameters).index(name)
        slopes = np.subtract(
            [*ahead.mean_parameters().values()], [*back.mean_parameters().values()]
        )
        np.testing.assert_allclose(system.fisher_information()[row], slopes / (2 * step), atol=1e-7)


def test_a_clock_of_four_states_is_two_chains():
    clock, ring = Clock(0.6, 10), rg.IsingChain(0.6, n_sites=5)
    assert clock.log_partition() == pytest.approx(2 * ring.log_partition(), rel=1e-14)
    assert clock.entropy() == pytest.approx(2 * ring.entropy(), rel=1e-13)


def test_replicas_that_are_not_coupled_are_independent():
    chain = rg.IsingChain(0.5, n_sites=4, periodic=False)
    apart, together = Replicas(0.5, 0.0, 4), Replicas(0.5, 0.8, 4)
    assert apart.entropy() == pytest.approx(2 * chain.entropy(), rel=1e-13)
    assert together.entropy() < apart.entropy() - 0.1


@pytest.mark.parametrize("system", [NextNearestNeighbours(0.4, 0.2, 0.3, 8), Clock(0.4, 14)])
def test_draws_follow_the_law(system):
    n_samples = 100_000
    rows = np.asarray(system.sample(jax.random.key(0), n_samples)) < 0
    counts = np.bincount(rows @ (1 << np.arange(system.n_sites)), minlength=2**system.n_sites)
    expected = system.probabilities() * n_samples
    common = expected > 5
    chi_squared = np.sum((counts - expected)[common] ** 2 / expected[common])
    assert abs(chi_squared - common.sum()) < 5 * np.sqrt(2 * common.sum())
    rare = expected[~common].sum()
    assert abs(counts[~common].sum() - rare) < 5 * np.sqrt(rare + 1)


def test_it_trains_by_enumeration_of_its_sampler_in_a_compiled_step():
    system = Clock(0.35, 6)
    inside = jax.jit(lambda key: Clock(0.35, 6).sampler().sample(key, 8))(jax.random.key(1))
    np.testing.assert_array_equal(inside, system.sampler().sample(jax.random.key(1), 8))


def test_energies_of_the_least_digits_are_kept_without_x64():
    @dataclasses.dataclass(frozen=True)
    class Small(rg.EnumeratedSystem):
        n_sites: int = 2

        def energy(self, x):
            return jnp.asarray(1e-12) * x[..., 0] + 1e3

    assert Small().probabilities()[1] - 0.25 == pytest.approx(0.25e-12, rel=1e-3)


def test_what_cannot_be_solved_says_so():
    @dataclasses.dataclass
    class Mutable(rg.EnumeratedSystem):
        n_sites: int = 3

        def energy(self, x):
            return x.sum(-1)

    @dataclasses.dataclass(frozen=True)
    class Wrong(rg.EnumeratedSystem):
        result: object
        n_sites: int = 3

        def energy(self, x):
            return np.broadcast_to(self.result, x.shape if self.result is None else x.shape[:-1])

    @dataclasses.dataclass(frozen=True)
    class NotSummed(rg.EnumeratedSystem):
        n_sites: int = 3

        def energy(self, x):
            return x

    @dataclasses.dataclass(frozen=True)
    class OtherNames(NextNearestNeighbours):
        @property
        def parameters(self):
            return {"J": self.K, "L": self.L, "h": self.h}

    with pytest.raises(TypeError, match="Mutable must be a frozen dataclass"):
        Mutable().log_partition()
    with pytest.raises(ValueError, match=r"energy must be a number or infinity, got nan .*\[1, 1,"):
        Wrong(np.nan).probabilities()
    with pytest.raises(ValueError, match="energy is infinite for all"):
        Wrong(np.inf).probabilities()
    with pytest.raises(ValueError, match=r"energy must map spins \(..., 3\) .* sum over the last"):
        NotSummed().entropy()
    with pytest.raises(ValueError, match="n_sites = 40 is too large to enumerate"):
        Clock(0.1, 40).configurations()
    with pytest.raises(ValueError, match="parameters has no 'M': the names are K, L, h"):
        NextNearestNeighbours(0.0, 0.0, 0.0, 4).at({"M": 1.0})
    with pytest.raises(TypeError, match="OtherNames has no fields J: name its fields"):
        OtherNames(0.0, 0.0, 0.0, 4).at({"J": 1.0})
    with pytest.raises(
        ValueError, match=r"n_samples = 1000000000 is too large .* 18.6 GiB .*3 par"
    ):
        Clock(0.1, 4).sample(jax.random.key(0), 10**9)
