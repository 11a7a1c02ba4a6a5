"""What things are by content: equal where they hold the same, and known again elsewhere."""

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rgkit as rg
from rgkit._content import Constant, Contentful, content, digest


class Holder(Contentful):
    def __init__(self, **held):
        vars(self).update(held)


def label(x):
    return x[0]


def rate(start, steps):
    return optax.join_schedules(
        [optax.constant_schedule(start), optax.linear_schedule(start, 0.0, steps)], [steps]
    )


@dataclasses.dataclass
class Record:
    values: object


# each row: a way to make a thing, called twice for one content, and things of other contents
THINGS = {
    "float": (lambda: Holder(a=0.1), [Holder(a=0.2), Holder(b=0.1), Holder(a=1), Record(0.1)]),
    "zero": (lambda: Holder(a=0.0), [Holder(a=-0.0), Holder(a=0), Holder(a=False)]),
    "nan": (lambda: Holder(a=float("nan")), [Holder(a=0.0)]),
    "array": (
        lambda: Holder(a=np.arange(3)),
        [Holder(a=np.arange(4)), Holder(a=np.arange(3.0)), Holder(a=np.arange(3)[:, None])],
    ),
    "long array": (
        lambda: Record(np.zeros(5000)),
        [Record(np.eye(1, 5000, 2500)[0]), Record(jnp.zeros(5000, jnp.int32))],
    ),
    "key": (
        lambda: Record(jax.random.key(1)),
        [Record(jax.random.key(2)), Record(jax.random.key(1, impl="rbg"))],
    ),
    "containers": (
        lambda: Record({"a": [1, (2, 3)], "b": {4}}),
        [Record({"a": [1, [2, 3]], "b": {4}}), Record({"a": [1, (2, 3)], "b": {5}})],
    ),
    "objective": (
        lambda: rg.Classification(label, 3),
        [rg.Classification(label), rg.Classification(lambda x: x[0], 3), rg.Regression(label)],
    ),
    "system": (lambda: rg.IsingChain(0.5, n_sites=4), [rg.IsingChain(0.5, n_sites=5)]),
    "optimiser": (
        lambda: optax.chain(optax.clip(1.0), optax.adam(rate(0.1, 10))),
        [
            optax.chain(optax.clip(1.0), optax.adam(rate(0.1, 20))),
            optax.chain(optax.clip(1.0), optax.adam(rate(0.2, 10))),
            optax.chain(optax.clip(2.0), optax.adam(rate(0.1, 10))),
            optax.chain(optax.clip(1.0), optax.sgd(rate(0.1, 10))),
        ],
    ),
}


@pytest.mark.parametrize("make, others", THINGS.values(), ids=THINGS)
def test_content_is_equal_where_what_is_held_is(make, others):
    first, second = content(make()), content(make())
    assert first == second and hash(first) == hash(second)
    assert Constant(make()) == Constant(make())
    assert all(content(other) != first for other in others)
    assert digest(make()) == digest(make())
    assert all(digest(other) != digest(make()) for other in others)


def test_objects_compare_by_content():
    assert Holder(a=[1.0]) == Holder(a=[1.0]) != Holder(a=[2.0])
    assert rg.Infomax(8) == rg.Infomax(8) != rg.Infomax()
    assert len({rg.Infomax(), rg.Infomax(), rg.Reconstruction()}) == 2


def test_functions_of_a_user_are_equal_to_themselves_alone():
    """A global that they name may have changed in between."""
    first, second = (lambda x: x, lambda x: x)
    assert content(first) == content(first) != content(second)
    schedules = [lambda step: 0.1 for _ in range(2)]
    assert content(optax.sgd(schedules[0])) != content(optax.sgd(schedules[1]))


def test_what_changes_later_changes_no_constant():
    holder = Holder(a=[1.0])
    constant = Constant(holder)
    holder.a.append(2.0)
    assert constant == Constant(Holder(a=[1.0])) != Constant(holder)


def enclosing(number):
    def function(x):
        return number * x

    return function


def test_digests_know_functions_by_what_they_do():
    assert digest(enclosing(2.0)) == digest(enclosing(2.0)) != digest(enclosing(3.0))
    assert digest(lambda x: x + 1) != digest(lambda x: x + 2)
    assert digest(enclosing(np.zeros(2000))) != digest(enclosing(np.eye(1, 2000, 1000)[0]))


def test_what_holds_itself_has_a_content():
    held = [1.0]
    held.append(held)
    assert content(held) == content(held) and digest(held) == digest(held)


def test_what_no_process_could_know_again_is_refused():
    with (
        pytest.raises(TypeError, match="cannot be known again in another process"),
        open(__file__) as file,
    ):
        digest({"file": file})


SCRIPT = """
import dataclasses, numpy as np, optax
import rgkit as rg
from rgkit._content import digest
NUMBER = {number}
class System:
    values = rg.IsingChain(0.5, n_sites=4).values
    n_sites = 4
    names = {{"a", "b", "c", "d"}}
    def sample(self, key, n_samples):
        return helper(n_samples)
def helper(n_samples):
    return np.full((n_samples, 4), NUMBER)
print(digest([System(), rg.Classification(lambda x: x[0] > {number}), optax.adam(1e-3)]))
"""


def digest_apart(seed, number):
    command = [sys.executable, "-c", SCRIPT.format(number=number)]
    environment = {"PYTHONHASHSEED": str(seed), "PYTHONPATH": ":".join(filter(None, sys.path))}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return run.stdout


def test_another_process_makes_the_same_digest():
    assert digest_apart(1, 0.5) == digest_apart(2, 0.5) != digest_apart(1, 0.25)
