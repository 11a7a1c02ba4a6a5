"""From a map near an optimum of the information to a hard map at it."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from rgkit import _validation
from rgkit.enumeration import sum_over_rows
from rgkit.kernels.best_map import water_filling_law
from rgkit.kernels.network import Network
from rgkit.training.finish import Finish
from rgkit.training.objectives import Infomax, Objective, entropy

MOST_FEATURES = 10
RATE = 1e-2  # of Adam, falling to 0
FITTED, HARDENED, HARD = (3.0, 300.0), (30.0, 1000.0), 1000.0  # mean sizes of an activation
DAMPING, LONGEST_STEP = 1e-3, 0.1  # of the mean eigenvalue, and of the parameters


@dataclasses.dataclass(frozen=True, eq=False)
class Polish(Finish):
    r"""Bring the signs of a network that was trained for information to the best map.

    *Settle*: Adam on `Infomax`. Then, as often as ``rounds`` says, two stages on features that are
    sharpened: activations are scaled to a mean size that grows in the stage, so that whatever is
    near its threshold still counts. *Fit*: Gauss-Newton steps carry the law :math:`q` of the
    features to the water-filling law w, whose divergence no map passes, the heaviest bin to the
    heaviest,

    .. math:: \delta\theta = J^T (J J^T + \lambda)^{-1} (w - q)

    with :math:`J = \partial q / \partial\theta`.

    *Harden*: Adam on the entropy of the law, with no cost of noise. The fit is *told* the certified
    law; with ``fit=0`` nothing is told but the data. Both return the best signs that they met, so
    that neither can lose, and the last layer comes back scaled up: the features are as good as
    hard.

    Arguments:
        settle, fit, harden: steps of each stage; 0 leaves it out.
        rounds: how often fit and harden follow on each other.

    Raises:
        TypeError, ValueError: for numbers of steps that are no integers of at least 0, or rounds
            below 1.
    """

    settle: int = 60
    fit: int = 15
    harden: int = 100
    rounds: int = 2

    def __post_init__(self):
        for name in ("settle", "fit", "harden"):
            _validation.positive_integer(name, getattr(self, name), 0)
        _validation.positive_integer("rounds", self.rounds)

    @property
    def steps(self) -> int:
        """Of all stages together."""
        return self.settle + self.rounds * (self.fit + self.harden)

    def check(self, network: Network, objective: Objective) -> None:
        """Raise for another objective than infomax, or a fit of more than 10 features."""
        network.spin_channel("Polish")
        if not objective.is_information:
            raise TypeError(
                "finish=Polish maximises information and would undo what "
                f"{type(objective).__name__} has learned: use it with rgkit.Infomax() or "
                "rgkit.LeakyInfomax(), or leave it out."
            )
        if network.widths[-1] > MOST_FEATURES and self.fit:
            raise ValueError(
                "finish=Polish takes a gradient for each of the 2**n outcomes and fits up to "
                f"{MOST_FEATURES} features, got {network.widths[-1]}: pass Polish(fit=0)."
            )

    def __call__(self, network: Network, x: Any, weights: Float[Array, " rows"]) -> Network:
        """The network of the best signs, its last layer scaled up."""
        data = _Data(x, weights)
        if self.settle:
            network = _settled(network, data, self.settle)
        for _ in range(self.rounds):
            network = _fitted(network, data, self.fit) if self.fit else network
            network = _hardened(network, data, self.harden) if self.harden else network
        return data.sized(network, HARD)


@dataclasses.dataclass(frozen=True)
class _Data:
    """All configurations with their probabilities, and what a network makes of them."""

    x: Any
    weights: Float[Array, " rows"]

    def law(self, network: Network) -> Float[Array, " outcomes"]:
        """q(y)."""
        return sum_over_rows(network.push, self.x, self.weights)[0]

    def sized(self, network: Network, size: Any) -> Network:
        """The network with activations of this mean size, which is no function of the weights."""

        def sizes(x, weights):
            return weights @ jnp.mean(jnp.abs(network.columns(x)), axis=0)

        now = jax.lax.stop_gradient(sum_over_rows(sizes, self.x, self.weights))
        nowhere = jnp.zeros(network.widths[-1], network.dtype)
        return network.rescaled(jnp.asarray(size, network.dtype) / now, nowhere)

    def better(self, best: tuple[Any, Any] | None, network: Network) -> tuple[Any, Any]:
        """Arrays and entropy of signs: those of the network, or the best so far if they are."""
        found = entropy(self.law(network.hard()))
        arrays = eqx.filter(network, eqx.is_inexact_array)
        if best is None:
            return arrays, found
        wins = found > best[1]
        kept = jax.tree.map(lambda new, old: jnp.where(wins, new, old), arrays, best[0])
        return kept, jnp.maximum(found, best[1])


def _between(sizes: tuple[float, float], k, steps: int, dtype):
    """A size that grows by equal factors."""
    share = jnp.asarray(k, dtype) / max(steps - 1, 1)
    return sizes[0] * (sizes[1] / sizes[0]) ** share


def _descended(network, steps, loss, watch):
    """Adam, and what ``watch(seen, network)`` saw on the way."""
    arrays, static = eqx.partition(network, eqx.is_inexact_array)
    adam = optax.adam(optax.linear_schedule(RATE, 0.0, steps))

    def step(k, carry):
        arrays, state, seen = carry
        seen = watch(seen, eqx.combine(arrays, static))
        slope = jax.grad(lambda a: loss(eqx.combine(a, static), k))(arrays)
        updates, state = adam.update(slope, state)
        return optax.apply_updates(arrays, updates), state, seen

    start = arrays, adam.init(arrays), watch(None, network)
    arrays, _, seen = jax.lax.fori_loop(0, steps, step, start)
    network = eqx.combine(arrays, static)
    return network, watch(seen, network)


def _settled(network, data, steps):
    def loss(network, k):
        return Infomax().loss(network, None, data.x, data.weights)

    return _descended(network, steps, loss, lambda seen, network: None)[0]


def _hardened(network, data, steps):
    def loss(network, k):
        size = _between(HARDENED, k, steps, network.dtype)
        return -entropy(data.law(data.sized(network, size)))

    _, (arrays, _) = _descended(network, steps, loss, data.better)
    return eqx.combine(arrays, network)


def _fitted(network, data, steps):
    arrays, static = eqx.partition(network, eqx.is_inexact_array)
    theta, unravel = ravel_pytree(arrays)
    wanted = water_filling_law(data.weights, 2 ** network.widths[-1]).astype(theta.dtype)

    def at(theta):
        return eqx.combine(unravel(theta), static)

    def step(k, carry):
        theta, best = carry
        size = _between(FITTED, k, steps, theta.dtype)
        law, pull = jax.vjp(lambda theta: data.law(data.sized(at(theta), size)), theta)
        eye = jnp.eye(len(law), dtype=law.dtype)
        jacobian = jax.lax.map(lambda outcome: pull(outcome)[0], eye)
        gram = jacobian @ jacobian.T
        missing = wanted[jnp.argsort(jnp.argsort(-law))] - law
        damped = gram + DAMPING * jnp.trace(gram) / len(law) * eye
        move = jacobian.T @ jnp.linalg.solve(damped, missing)
        longest = LONGEST_STEP * jnp.linalg.norm(theta)
        theta = theta + move * jnp.minimum(1, longest / jnp.linalg.norm(move))
        return theta, data.better(best, at(theta))

    start = theta, data.better(None, network)
    _, (arrays, _) = jax.lax.fori_loop(0, steps, step, start)
    return eqx.combine(arrays, static)
