"""The same training as a PyTorch user would write it: an eager loop, and `torch.func` over a stack.

Same network, loss, optimiser and data as `rgkit.train` with `rgkit.Infomax` on spins. The law of
the features is one matrix product here too, and Adam is the fused one: each peer at the best
setting we found for it.
"""

import math

import torch


def parameters(network):
    """Weights and biases of an `rgkit.FCNetwork` (or a stack of them) as a flat list of tensors."""
    return [
        torch.tensor(array.__array__()).clone()
        for pair in zip(network.weights, network.biases, strict=True)
        for array in pair
    ]


def activations(parameters, x):
    """Feature activations ``(rows, n)`` for ``x`` of shape ``(rows, N)``."""
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        x = torch.tanh(torch.nn.functional.linear(x, weight, bias))
    return torch.nn.functional.linear(x, parameters[-2], parameters[-1])


def _outcomes(up):
    """Probabilities of the outcomes of k independent features, ``(rows, k)`` to a table."""
    table = torch.ones_like(up[:, :1])
    for j in range(up.shape[1]):
        table = torch.cat([table * up[:, j : j + 1], table * (1 - up[:, j : j + 1])], dim=1)
    return table


def infomax_loss(parameters, x, weights):
    """``-I(x;y)`` in nats of the batch."""
    a = activations(parameters, x)
    up = torch.sigmoid(2 * a)
    half = (a.shape[1] + 1) // 2
    law = _outcomes(up[:, half:]).T @ (weights[:, None] * _outcomes(up[:, :half]))
    noise = weights @ (torch.logaddexp(a, -a) - a * torch.tanh(a)).sum(1)
    return noise + (law * torch.log(law.clamp_min(1e-38))).sum()


def optimizer(parameters, steps):
    """Adam as in `rgkit.training.single.default_optimizer`, with its schedule."""
    adam = torch.optim.Adam(parameters, lr=1e-2, betas=(0.98, 0.999), eps=1e-8, fused=True)
    decay = steps // 5
    schedule = torch.optim.lr_scheduler.LambdaLR(
        adam, lambda step: 1.0 if step < steps - decay else max((steps - step) / decay, 0)
    )
    return adam, schedule


def train_eager(start, batches, weights, steps):
    """One network by autograd, and its losses. ``batches(step)`` gives ``(rows, N)``."""
    start = [tensor.clone().requires_grad_() for tensor in start]
    adam, schedule = optimizer(start, steps)
    losses = []
    for step in range(steps):
        adam.zero_grad(set_to_none=True)
        loss = infomax_loss(start, batches(step), weights)
        loss.backward()
        adam.step()
        schedule.step()
        losses.append(loss.item() if step in (0, steps - 1) else math.nan)
    return losses


def train_stacked(start, batches, weights, steps):
    """A stack of networks by `torch.func.vmap`, and the last losses.

    ``batches(step)`` gives ``(members, rows, N)``.
    """
    start = [tensor.clone() for tensor in start]
    adam, schedule = optimizer(start, steps)
    gradient = torch.func.vmap(torch.func.grad_and_value(infomax_loss), in_dims=(0, 0, None))
    for step in range(steps):
        slopes, loss = gradient(start, batches(step), weights)
        for tensor, slope in zip(start, slopes, strict=True):
            tensor.grad = slope
        adam.step()
        schedule.step()
    return loss
