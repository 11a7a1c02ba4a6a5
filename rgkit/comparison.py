"""Renormalization and training on the same axes: the gap per feature, at the same number of features."""

import dataclasses

import jax
import numpy as np
import pandas as pd

from rgkit import _validation
from rgkit.kernels.base import BlockAverage, Decimation
from rgkit.kernels.network import GaussianChannel
from rgkit.laws.fields import FieldLaw
from rgkit.laws.spins import SpinLaw, pushforward
from rgkit.parameters.characteristic import characteristic_parameters
from rgkit.renormalizations.base import RGMap
from rgkit.systems.ising import IsingChain
from rgkit.systems.scalar import ScalarChain
from rgkit.training.single import TrainingResult

SPIN_STEPS = 8
FIELD_STEPS = 4
NETWORK_REFERENCE = "white noise of variance P + sigma^2"


def correspondence(
    result: TrainingResult,
    renormalization: RGMap | Decimation | BlockAverage,
    *,
    n_steps: int | None = None,
    n_samples: int | None = None,
    key=None,
) -> pd.DataFrame:
    r"""Both flows in one table, at the same number n of features.

    The renormalization flow takes rings of ``n b**k`` sites with the couplings of the data to n spins or fields. For
    spins its gap is the divergence of the n-site ring at the k-th couplings. For fields it is estimated from samples of
    the kernel applied k times. The training flow takes the chain of N sites to n features.

    Each flow of fields has a fixed point of its own, named in the column ``reference``. Block averages end at white
    noise whose variance is the susceptibility of the data; decimation at the product of the data's single-site laws,
    which is not Gaussian; a network is held against white noise of variance P + sigma^2.

    Arguments:
        result: a trained network with n features (at least 2), on an `IsingChain`, or on a `ScalarChain` with a
            `GaussianChannel`.
        renormalization: for spins a discrete map of K (and h), such as ``rgkit.ising_decimation(2)``; for fields the
            kernel ``rgkit.block_average(b)`` or ``rgkit.decimation(b)``.
        n_steps: renormalization steps after the first row; by default 8 for spins, 4 for fields.
        n_samples, key: for fields, the number of samples for each step and a typed JAX key.

    Returns:
        A table with columns ``flow`` ("renormalization" or "training"), ``step``, ``ratio`` (sites per feature),
        ``gap`` and ``divergence`` (nats per feature; a network of spins has the gap of its soft, the divergence of its
        hard features). For spins also ``pair_coupling`` and ``field`` (strongest of the features, see
        `TrainingResult`). For fields ``reference`` and the parameters ``r``, ``u``, ..., ``K`` of the nearest chain by
        score matching, features taken in the order and with the signs they have; and for every number its standard
        error, in the column with ``_error`` behind the name.

    Raises:
        TypeError: where the second argument does not fit the kind of data.
    """
    if isinstance(result.system, ScalarChain):
        return _fields(result, renormalization, n_steps, n_samples, key)
    if not isinstance(renormalization, RGMap):
        raise TypeError(
            f"renormalization must be a map of couplings for spins, got {renormalization!r}: pass rgkit.ising_decimation(2)."
        )
    n = result.network.widths[-1]
    # a zero field is left out, so that maps of K alone serve too; another field is refused by them
    start = {
        name: value
        for name, value in result.system.parameters.items()
        if value or name in renormalization.names
    }
    flow = renormalization.flow(start, _steps(n_steps, SPIN_STEPS))
    renormalized = [_renormalized_row(row, n) for row in flow.to_dict("records")]
    training = result.history.assign(flow="training", ratio=result.system.n_sites / n)
    training[["gap", "divergence"]] /= n
    columns = ["flow", "step", "ratio", "gap", "divergence", "pair_coupling", "field"]
    return pd.concat([pd.DataFrame(renormalized), training], ignore_index=True)[columns]


def _steps(n_steps, default):
    return default if n_steps is None else _validation.positive_integer("n_steps", n_steps)


def _renormalized_row(row: dict, n: int) -> dict:
    chain = IsingChain(row["K"], row.get("h", 0.0), n_sites=n)
    law = SpinLaw(chain.probabilities())
    return {
        "flow": "renormalization", "step": row["step"], "ratio": row["scale"],
        "gap": law.gap() / n, "divergence": law.divergence() / n,
        "pair_coupling": float(np.abs(law.pair_marginal_couplings()).max()),
        "field": float(np.abs(law.marginal_fields()).max()),
    }  # fmt: skip


def _fields(result, kernel, n_steps, n_samples, key) -> pd.DataFrame:
    if not isinstance(kernel, Decimation | BlockAverage):
        raise TypeError(
            f"renormalization must be a kernel for fields, got {kernel!r}: pass rgkit.block_average(2)."
        )
    if not isinstance(result.network.channel, GaussianChannel):
        raise TypeError(
            "result must have a rgkit.GaussianChannel: features that are spins do not compare with fields."
        )
    if n_samples is None or key is None:
        raise ValueError(
            "fields have no enumeration: pass n_samples and key, such as n_samples=10**5, key=jax.random.key(0)."
        )
    system, family = (
        result.system,
        dataclasses.replace(result.system, n_sites=result.network.widths[-1], periodic=True),
    )
    rows = [
        _renormalized_field_row(family, kernel, k, n_samples, key)
        for k in range(_steps(n_steps, FIELD_STEPS) + 1)
    ]
    for record, law in zip(result.history.to_dict("records"), result.laws, strict=True):
        row = _field_row(law, family, None, NETWORK_REFERENCE) | {
            "flow": "training",
            "step": record["step"],
        }
        gap = {name: record[name] / family.n_sites for name in ("gap", "gap_error")}
        rows.append(row | gap | {"ratio": system.n_sites / family.n_sites})
    first = [
        "flow",
        "step",
        "ratio",
        "reference",
        "gap",
        "gap_error",
        "divergence",
        "divergence_error",
    ]
    return pd.DataFrame(rows)[
        first + [column for name in family.parameters for column in (name, f"{name}_error")]
    ]


def _renormalized_field_row(family, kernel, k, n_samples, key) -> dict:
    """Rings of ``n b**k`` sites under the kernel with the block size ``b**k``, which is the kernel applied k times."""
    ratio, key = kernel.block**k, jax.random.fold_in(key, k)
    ring = dataclasses.replace(family, n_sites=family.n_sites * ratio)
    whole = dataclasses.replace(kernel, block=ratio)
    law = pushforward(ring, whole, n_samples=n_samples, key=key)
    row = _field_row(*_with_reference(law, family, kernel))
    return row | {
        "flow": "renormalization",
        "step": k,
        "ratio": ratio,
        "gap": row["divergence"],
        "gap_error": row["divergence_error"],
    }


def _with_reference(law, family, kernel):
    if isinstance(kernel, BlockAverage):
        law = FieldLaw(law.samples, family.susceptibility())
        return law, family, None, "white noise of variance susceptibility"
    return (
        law,
        family,
        lambda rows: np.log(family.density(rows)).sum(-1),
        "product of single-site laws",
    )


def _field_row(law, family, reference, name) -> dict:
    divergence, estimate = (
        law.divergence(reference),
        characteristic_parameters(law, family, method="score"),
    )
    errors = {f"{parameter}_error": error for parameter, error in estimate.standard_errors.items()}
    per_feature = {
        "divergence": divergence.value / law.n_features,
        "divergence_error": divergence.standard_error / law.n_features,
    }
    return {"reference": name} | per_feature | estimate.values | errors
