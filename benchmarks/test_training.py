"""Training on spins: an ensemble, one network on all configurations, and the cost of a member.

All implementations take the same network, loss, optimiser and data, and their losses are compared
before they are timed. `rgkit` draws its minibatches as it goes; the peers are handed theirs.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import peers_torch
import pytest
import torch

import rgkit as rg
from rgkit.training.single import default_optimizer

MEMBERS, STEPS, ROWS = 64, 1000, 256  # steps as in the book's sweeps
COMPARED_STEPS = 200
RING = rg.IsingChain(1.0, n_sites=12)
KEY = jax.random.key(0)


def _ensemble(members=MEMBERS, steps=STEPS):
    grid = {
        "K": RING.coupling,
        "n_sites": RING.n_sites,
        "n_features": 4,
        "width": 64,
        "seed": list(range(members)),
    }
    return rg.train_ensemble(grid, rg.Infomax(), steps=steps, batch_size=ROWS, key=KEY)


def _start(seed, widths=(12, 64, 4)):
    return rg.FCNetwork(
        widths, rg.SpinChannel(), key=jax.random.split(jax.random.fold_in(KEY, seed))[0]
    )


def _cost(rows, n_sites, width, n_features=4):
    """Operations of the products of a gradient (none for its input), and tanh evaluations."""
    products = 2 * n_sites * width + 3 * width * n_features + 3 * 2**n_features
    return {"flops": 2 * rows * products, "tanh": rows * width}


def _stack(networks):
    return jax.tree.map(
        lambda *leaves: jnp.stack(leaves),
        *(eqx.filter(network, eqx.is_array) for network in networks),
    )


@pytest.fixture(scope="module")
def batches():
    """Minibatches drawn beforehand, ``(STEPS, ROWS, N)`` float32."""
    x = RING.sample(jax.random.key(1), STEPS * ROWS)
    return np.asarray(x, np.float32).reshape(STEPS, ROWS, RING.n_sites)


@eqx.filter_jit
def _step(network, state, x, optimizer):
    weights = jnp.full(len(x), 1 / len(x))
    loss, slope = eqx.filter_value_and_grad(lambda n: rg.Infomax().loss(n, None, x, weights))(
        network
    )
    updates, state = optimizer.update(slope, state)
    return eqx.apply_updates(network, updates), state, loss


def _loop(network, batches, optimizer):
    """A plain loop in JAX: one compiled step, called from Python."""
    state = optimizer.init(eqx.filter(network, eqx.is_inexact_array))
    losses = []
    for x in batches:
        network, state, loss = _step(network, state, x, optimizer)
        losses.append(loss)
    return [float(losses[0]), float(losses[-1])]


def test_the_peers_train_the_same(batches):
    steps, batches = COMPARED_STEPS, batches[:COMPARED_STEPS]
    ours = _loop(_start(0), batches, default_optimizer(steps))
    x, weights = torch.tensor(batches), torch.full((ROWS,), 1 / ROWS)
    eager = peers_torch.train_eager(
        peers_torch.parameters(_start(0)), lambda step: x[step], weights, steps
    )
    stack = _stack([_start(0), _start(1)])
    stacked = peers_torch.train_stacked(
        peers_torch.parameters(stack), lambda step: x[step].expand(2, ROWS, -1), weights, steps
    )
    assert abs(eager[0] - ours[0]) < 1e-5
    # rounding grows along a run; the losses at its end agree to a few parts in a thousand
    assert abs(eager[-1] - ours[-1]) < 0.02 and abs(stacked[0].item() - ours[-1]) < 0.02
    gaps = _ensemble(steps=steps).table.gap
    assert abs(4 * np.log(2) + ours[-1] - gaps.iloc[0]) < 3 * gaps.std()


@pytest.mark.parametrize("implementation", ["rgkit", "JAX loop", "PyTorch", "torch.func"])
def test_sixty_four_networks(measure, bound, batches, implementation):
    x, weights = torch.tensor(batches), torch.full((ROWS,), 1 / ROWS)
    networks = [_start(seed) for seed in range(MEMBERS)]
    stack = peers_torch.parameters(_stack(networks))
    share = 8  # loops over single networks cost the same for each of them

    def eager():
        for network in networks[:share]:
            peers_torch.train_eager(
                peers_torch.parameters(network), lambda step: x[step], weights, STEPS
            )

    def loop():
        for network in networks[:share]:
            _loop(network, batches, default_optimizer(STEPS))

    run, count = {
        "rgkit": (lambda: _ensemble().table, MEMBERS),
        "JAX loop": (loop, share),
        "PyTorch": (eager, share),
        "torch.func": (
            lambda: peers_torch.train_stacked(
                stack, lambda step: x[step].expand(MEMBERS, ROWS, -1), weights, STEPS
            ),
            MEMBERS,
        ),
    }[implementation]
    cost = bound(**_cost(ROWS * count * STEPS, 12, 64))
    measure(
        "64 networks 12-64-4, minibatch 256",
        implementation,
        run,
        rounds=3,
        units=count * STEPS,
        unit="network-step",
        **cost,
    )


@pytest.mark.parametrize("width", [64, 256])
@pytest.mark.parametrize("implementation", ["rgkit", "PyTorch"])
def test_all_configurations(measure, bound, implementation, width):
    steps, ring, network = 20, rg.IsingChain(1.0, n_sites=16), _start(0, (16, width, 4))
    x = torch.tensor(ring.configurations().astype(np.float32))
    weights = torch.tensor(ring.probabilities().astype(np.float32))
    ours = rg.train(network, ring, rg.Infomax(), steps=steps, records=1, key=KEY).history.loss.iloc[
        -1
    ]
    theirs = peers_torch.train_eager(
        peers_torch.parameters(network), lambda step: x, weights, steps + 1
    )[-1]
    assert abs(ours - theirs) < 0.05

    run = {
        "rgkit": lambda: (
            rg.train(network, ring, rg.Infomax(), steps=steps, records=1, key=KEY).history
        ),
        "PyTorch": lambda: peers_torch.train_eager(
            peers_torch.parameters(network), lambda step: x, weights, steps
        ),
    }[implementation]
    cost = bound(**_cost(2**16 * steps, 16, width))
    work = f"one network 16-{width}-4, all 65,536 configurations"
    measure(work, implementation, run, rounds=3, units=steps, unit="step", **cost)


@pytest.mark.parametrize("members", [1, 4, 16, 64, 256])
def test_cost_of_a_member(measure, members):
    measure(
        "ensemble, minibatch 256",
        f"{members}",
        lambda: _ensemble(members).table,
        rounds=3,
        units=members * STEPS,
        unit="network-step",
    )
