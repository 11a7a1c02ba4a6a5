"""Renormalization and training on the same axes: the gap per feature, at the same number of features."""

import numpy as np
import pandas as pd

from rgkit import _validation
from rgkit.ising import IsingChain
from rgkit.laws import SpinLaw
from rgkit.renormalization import RGMap
from rgkit.training import TrainingResult


def correspondence(result: TrainingResult, renormalization: RGMap, *, n_steps: int = 8) -> pd.DataFrame:
    r"""Both flows in one table, at the same number n of features.

    The renormalization flow takes rings of ``n b**k`` sites with the couplings of the data to n spins: its gap is
    the divergence of the n-site ring at the k-th couplings. The training flow takes the ring of N sites to n features.

    Arguments:
        result: a trained network on an `IsingChain`, with n features (at least 2).
        renormalization: a discrete map of K (and h), such as ``rgkit.ising_decimation(2)``.
        n_steps: renormalization steps after the first row.

    Returns:
        A table with columns ``flow`` ("renormalization" or "training"), ``step``, ``ratio`` (sites per feature),
        ``gap`` and ``divergence`` (nats per feature; for a network the gap of its soft, the divergence of its hard
        features), ``pair_coupling`` and ``field`` (strongest of the features, see `TrainingResult`).
    """
    n = result.network.widths[-1]
    # a zero field is left out, so that maps of K alone serve too; another field is refused by them
    start = {name: value for name, value in result.system.parameters.items() if value or name in renormalization.names}
    flow = renormalization.flow(start, _validation.positive_integer("n_steps", n_steps))
    renormalized = [_renormalized_row(row, n) for row in flow.to_dict("records")]
    training = result.history.assign(flow="training", ratio=result.system.n_sites / n)
    training[["gap", "divergence"]] /= n
    columns = ["flow", "step", "ratio", "gap", "divergence", "pair_coupling", "field"]
    return pd.concat([pd.DataFrame(renormalized), training], ignore_index=True)[columns]


def _renormalized_row(row: dict, n: int) -> dict:
    chain = IsingChain(row["K"], row.get("h", 0.0), n_sites=n)
    law = SpinLaw(chain.probabilities())
    return {
        "flow": "renormalization", "step": row["step"], "ratio": row["scale"],
        "gap": law.gap() / n, "divergence": law.divergence() / n,
        "pair_coupling": float(np.abs(law.pair_marginal_couplings()).max()),
        "field": float(np.abs(law.marginal_fields()).max()),
    }  # fmt: skip
