"""Renormalization and training on the same axes: the gap per feature, at equal numbers of them."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
import pandas as pd
from jaxtyping import PRNGKeyArray

from rgkit import _validation
from rgkit.kernels.blocks import FieldRule, TrivialLaw
from rgkit.laws.base import Law
from rgkit.laws.pushforward import pushforward
from rgkit.laws.spins import SpinLaw
from rgkit.parameters.characteristic import characteristic_parameters
from rgkit.renormalizations.maps import RGMap
from rgkit.systems.base import Family, Values
from rgkit.training.single import TrainingResult

STEPS = {Values.SPINS: 8, Values.REALS: 4}
SUGGESTED = {Values.SPINS: "rgkit.ising_decimation(2)", Values.REALS: "rgkit.block_average(2)"}


@runtime_checkable
class Trajectory(Protocol):
    """A renormalization as laws of equally many features, one for each of its steps."""

    def laws(
        self, system: Any, n_steps: int, key: PRNGKeyArray | None
    ) -> Iterator[tuple[float, Law]]:
        """Sites per feature, and the law of the features, after 0 to ``n_steps`` steps.

        Arguments:
            system: a ring with the couplings of the data, as many sites as there are features.
            n_steps: the last step.
            key: a typed JAX key where laws are sampled.
        """
        ...


@dataclasses.dataclass(frozen=True)
class CouplingTrajectory:
    """A map of couplings as a trajectory: the rings of n sites at the couplings of each step."""

    renormalization: RGMap

    def laws(
        self, system: Any, n_steps: int, key: PRNGKeyArray | None
    ) -> Iterator[tuple[float, SpinLaw]]:
        """Exact laws of the rings that the couplings flow through."""
        for ratio, ring in self.renormalization.systems(system, n_steps):
            yield ratio, SpinLaw(ring.probabilities())


@dataclasses.dataclass(frozen=True)
class KernelTrajectory:
    """A block rule as a trajectory: rings of ``n b**k`` sites under the rule applied k times."""

    kernel: FieldRule
    n_samples: int

    def laws(
        self, system: Any, n_steps: int, key: PRNGKeyArray | None
    ) -> Iterator[tuple[float, Law]]:
        """Sampled laws, with a key of its own for each step."""
        if key is None:
            raise ValueError("key must be a typed JAX key, got None: pass jax.random.key(0).")
        for k in range(n_steps + 1):
            whole = self.kernel.iterated(k)
            ring = system.at(system.parameters, n_sites=system.n_sites * whole.block)
            step_key = jax.random.fold_in(key, k)
            law = pushforward(ring, whole, n_samples=self.n_samples, key=step_key)
            yield float(self.kernel.block**k), law


def correspondence(
    result: TrainingResult,
    renormalization: RGMap | FieldRule | Trajectory,
    *,
    n_steps: int | None = None,
    n_samples: int | None = None,
    key: PRNGKeyArray | None = None,
) -> pd.DataFrame:
    r"""Both flows in one table, at the same number n of features.

    The renormalization flow takes rings of ``n b**k`` sites with the couplings of the data to n
    spins or fields. For spins its gap is the divergence of the n-site ring at the k-th couplings.
    For fields it is estimated from samples of the kernel applied k times. The training flow takes
    the N sites of the data to n features.

    Each flow of fields has a fixed point of its own, named in the column ``reference``. Block
    averages end at white noise whose variance is the susceptibility of the data; decimation at the
    product of the data's single-site laws, which is not Gaussian; a network is held against white
    noise of its own power, P + sigma^2 for a Gaussian channel.

    Arguments:
        result: a trained network with n features (at least 2) of the kind of its data, which must
            be a `rgkit.Family`: spins of spins, real features of fields.
        renormalization: for spins a discrete map of the couplings, such as
            ``rgkit.ising_decimation(2)``; for fields the kernel ``rgkit.block_average(b)`` or
            ``rgkit.decimation(b)``; or a `rgkit.comparison.Trajectory` of your own.
        n_steps: renormalization steps after the first row; by default 8 for spins, 4 for fields.
        n_samples, key: for fields, the number of samples for each step and a typed JAX key.

    Returns:
        A table with columns ``flow`` ("renormalization" or "training"), ``step``, ``ratio`` (sites
        per feature), ``gap`` and ``divergence`` (nats per feature; a network of spins has the gap
        of its soft, the divergence of its hard features). For spins also ``pair_coupling`` and
        ``field`` (strongest of the features, see `TrainingResult`). For fields ``reference`` and
        the parameters ``r``, ``u``, ..., ``K`` of the nearest member of the family by score
        matching, features taken in the order and with the signs they have; and for every number
        its standard error, in the column with ``_error`` behind the name.

    Raises:
        TypeError: where the data are no family, the features are of another kind than the data, or
            the second argument does not fit the kind of data.
        ValueError: where n_samples and key are missing for fields.
    """
    if not isinstance(result, TrainingResult):
        raise TypeError(f"result must be what rgkit.train returns, got {result!r}: pass it whole.")
    system, network = result.system, result.network
    if not isinstance(system, Family):
        raise TypeError(
            f"result must be trained on a family with couplings, {type(system).__name__} has none "
            "that flow: give it `parameters`, `statistics`, `mean_parameters`, "
            "`fisher_information` and `at` (see rgkit.Family), or train on a rgkit.IsingChain."
        )
    values, n = system.values, network.widths[-1]
    if network.output(values) is not values:
        raise TypeError(
            f"result must have features of the kind of its data ({values.value}), the network has "
            f"{network.channel!r}: features that are spins do not compare with fields."
        )
    steps = _validation.positive_integer("n_steps", STEPS[values] if n_steps is None else n_steps)
    trajectory = _trajectory(renormalization, values, n_samples, key)
    ring = _ring(system, n)
    table = _spins if values is Values.SPINS else _fields
    return table(result, ring, trajectory.laws(ring, steps, key), renormalization)


def _trajectory(renormalization, values, n_samples, key) -> Trajectory:
    if isinstance(renormalization, Trajectory):
        return renormalization
    if values is Values.SPINS and isinstance(renormalization, RGMap):
        return CouplingTrajectory(renormalization)
    if values is Values.SPINS or not isinstance(renormalization, FieldRule):
        wanted = "a map of couplings" if values is Values.SPINS else "a kernel that renormalizes"
        raise TypeError(
            f"renormalization must be {wanted} for data that are {values.value}, got "
            f"{renormalization!r}: pass {SUGGESTED[values]}."
        )
    if n_samples is None or key is None:
        raise ValueError(
            "fields have no enumeration: pass n_samples and key, such as n_samples=10**5, "
            "key=jax.random.key(0)."
        )
    return KernelTrajectory(renormalization, _validation.positive_integer("n_samples", n_samples))


def _ring(system, n):
    """The family of the data on a ring of n sites."""
    ring = system.at(system.parameters, n_sites=n)
    return ring if getattr(ring, "periodic", True) else dataclasses.replace(ring, periodic=True)


def _spins(result, ring, laws, renormalization) -> pd.DataFrame:
    n = ring.n_sites
    rows = [_spin_row(step, *pair) for step, pair in enumerate(laws)]
    training = result.history.assign(flow="training", ratio=result.system.n_sites / n)
    training[["gap", "divergence"]] /= n
    columns = ["flow", "step", "ratio", "gap", "divergence", "pair_coupling", "field"]
    return pd.concat([pd.DataFrame(rows), training], ignore_index=True).loc[:, columns]


def _spin_row(step, ratio, law) -> dict:
    return {
        "flow": "renormalization",
        "step": step,
        "ratio": ratio,
        "gap": law.gap() / law.n_features,
        "divergence": float(law.divergence()) / law.n_features,
        "pair_coupling": float(np.abs(law.pair_marginal_couplings()).max()),
        "field": float(np.abs(law.marginal_fields()).max()),
    }


def _fields(result, ring, laws, renormalization) -> pd.DataFrame:
    n, ends = ring.n_sites, getattr(renormalization, "trivial_law", lambda _: None)(ring)
    rows = []
    for step, (ratio, law) in enumerate(laws):
        row = _field_row(law, ring, ends)
        gap = {"gap": row["divergence"], "gap_error": row["divergence_error"]}
        rows.append(row | gap | {"flow": "renormalization", "step": step, "ratio": ratio})
    for record, law in zip(result.history.to_dict("records"), result.laws, strict=True):
        row = _field_row(law, ring, None)
        gap = {name: record[name] / n for name in ("gap", "gap_error")}
        of_training = {"flow": "training", "step": record["step"]}
        rows.append(row | gap | of_training | {"ratio": result.system.n_sites / n})
    first = ["flow", "step", "ratio", "reference", "gap", "gap_error"]
    first += ["divergence", "divergence_error"]
    columns = [column for name in ring.parameters for column in (name, f"{name}_error")]
    return pd.DataFrame(rows).loc[:, first + columns]


def _field_row(law, family, ends: TrivialLaw | None) -> dict:
    divergence = law.divergence(ends)
    estimate = characteristic_parameters(law, family, method="score")
    errors = {f"{name}_error": error for name, error in estimate.standard_errors.items()}
    per_feature = {
        "divergence": float(divergence) / law.n_features,
        "divergence_error": divergence.standard_error / law.n_features,
    }
    name = ends.name if ends else "white noise of variance P + sigma^2"
    return {"reference": name} | per_feature | estimate.values | errors
