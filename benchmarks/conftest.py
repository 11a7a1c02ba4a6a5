"""What is measured, and where it goes: medians after a warm-up, in the table of "Speed"."""

import hashlib
import importlib.metadata
import json
import os
import platform
import time
import timeit
from pathlib import Path

import jax
import jax.numpy as jnp
import pandas as pd
import pytest

import rgkit as rg

ROWS = []
STARTED = time.perf_counter()
HERE = Path(__file__).parent
STORE = Path(rg.__file__).parent / "data"
LIBRARIES = ("jax", "jaxlib", "numpy", "optax", "equinox", "torch")


def pytest_addoption(parser):
    parser.addoption(
        "--store", action="store_true", help="write the table that the page on speed shows"
    )


@pytest.fixture
def measure(benchmark):
    """Time a function in rounds after a warm-up and keep the median; returns it in seconds."""

    def run(work, implementation, function, *, rounds=5, **about):
        benchmark.pedantic(
            lambda: jax.block_until_ready(function()), warmup_rounds=1, rounds=rounds
        )
        stats = benchmark.stats.stats
        ROWS.append(
            {
                "work": work,
                "implementation": implementation,
                "seconds": stats.median,
                "spread": stats.iqr,
                **about,
            }
        )
        return stats.median

    return run


def _rate(function, argument, amount, repeats=16):
    """Median rate in amount per second.

    The repeats stay inside one program, so that no fresh memory is touched.
    """
    compiled = jax.jit(lambda a: jax.lax.fori_loop(0, repeats, lambda _, x: function(x), a))
    jax.block_until_ready(compiled(argument))
    rounds = timeit.repeat(lambda: jax.block_until_ready(compiled(argument)), number=1, repeat=7)
    return repeats * amount / sorted(rounds)[len(rounds) // 2]


@pytest.fixture(scope="session")
def ceilings():
    """What this machine can do, measured in the same run: float32 matmul, copy and tanh."""
    size, length = 1536, 2**24
    square, line = jnp.full((size, size), 1 / size), jnp.ones(length)
    rates = {
        "matmul": _rate(lambda a: a @ a, square, 2 * size**3),
        "copy": _rate(lambda a: a + 1, line, 8 * length),
        "tanh": _rate(jnp.tanh, line, length),
    }
    ROWS.extend(
        {"work": "ceiling", "implementation": name, "seconds": 1 / rate, "rate": rate}
        for name, rate in rates.items()
    )
    return rates


@pytest.fixture(scope="session")
def bound(ceilings):
    """Seconds below which no program of this machine can be, and the ceiling that binds."""

    def least(flops=0.0, traffic=0.0, tanh=0.0):
        seconds = {
            "matmul": flops / ceilings["matmul"],
            "copy": traffic / ceilings["copy"],
            "tanh": tanh / ceilings["tanh"],
        }
        name = max(seconds, key=seconds.get)
        return {"ceiling": name, "ceiling_seconds": seconds[name]}

    return least


def _processor():
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [
        line.partition(":")[2].strip()
        for line in text.splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else platform.processor()


def pytest_sessionfinish(session, exitstatus):
    if exitstatus or not session.config.getoption("--store"):
        return
    pd.DataFrame(ROWS).to_csv(STORE / "speed.csv", index=False, float_format="%.5g")
    about = {
        "seconds": round(time.perf_counter() - STARTED, 1),
        "made_by": {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(HERE.glob("*.py"))
        },
        "processor": _processor(), "cores": os.cpu_count(), "device": jax.devices()[0].device_kind,
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }  # fmt: skip
    (STORE / "speed.json").write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")
