"""Make the virtual environment: ``python scripts/environment.py book``, ``test`` or ``bench``.

Needs nothing but Python.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# the peers of the benchmarks stay out of the environment that builds and tests the book
VENV = ROOT / (".venv-bench" if sys.argv[1:] == ["bench"] else ".venv")
PYTHON = VENV / "bin" / "python"
OLDEST, NEWEST = (3, 11), (3, 13)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def require_python():
    """Stop with one sentence when this Python is not supported."""
    version = sys.version_info[:2]
    if not OLDEST <= version <= NEWEST:
        found = ".".join(map(str, version))
        sys.exit(
            f"Python 3.11, 3.12 or 3.13 is needed and this is {found}: "
            "set PYTHON, as in make PYTHON=python3.12."
        )


def run(*command, **environment):
    """Run a command, and stop with its name when it fails."""
    status = subprocess.run(command, cwd=ROOT, env=os.environ | environment).returncode
    if status:
        sys.exit(f"This step failed: {' '.join(map(str, command))}")


def create():
    """Create the virtual environment with uv in it."""
    if subprocess.run(
        [sys.executable, "-c", "import ensurepip, venv"], capture_output=True
    ).returncode:
        sys.exit("Python's venv module is missing: install your system's python3-venv package.")
    run(sys.executable, "-m", "venv", "--clear", VENV)
    # a personal pip configuration may redirect or forbid what the hashes already guard
    settings = {"PIP_CONFIG_FILE": os.environ.get("PIP_CONFIG_FILE", os.devnull), "PIP_USER": "0"}
    run(
        PYTHON,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "-r",
        "locks/uv.txt",
        **settings,
    )


def install(lock):
    """Install what the lock names, then the package from the checkout."""
    pip = (PYTHON, "-m", "uv", "pip", "install", "--quiet", "--python", PYTHON)
    run(*pip, "--require-hashes", "-r", f"locks/{lock}.txt")
    run(*pip, "--no-deps", "--no-build-isolation", "--editable", ".")
    if lock == "bench":
        run(PYTHON, "-m", "pip", "install", "--quiet", peer())


def peer():
    """Return the requirement of PyTorch as pyproject.toml states it."""
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    return next(name for name in extras["bench"] if name.startswith("torch"))


def usable():
    """Say whether the environment is there and runs."""
    return (
        PYTHON.exists()
        and not subprocess.run([PYTHON, "-c", "import uv"], capture_output=True).returncode
    )


def fingerprint(lock):
    """Return the hash of what decides the environment's contents."""
    files = (ROOT / "locks" / f"{lock}.txt", ROOT / "pyproject.toml")
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def environment(lock):
    """Create and install, unless that has been done for this very lock."""
    stamp = VENV / f"installed-{lock}"
    if usable() and stamp.exists() and stamp.read_text() == fingerprint(lock):
        return
    if not usable():
        create()
    install(lock)
    stamp.write_text(fingerprint(lock))


def browser():
    """Find Chromium, or install it where that is possible."""
    if any(map(shutil.which, BROWSERS)):
        return
    if os.geteuid() or not shutil.which("apt-get"):
        sys.exit(
            "The tests need a browser: "
            "install Chromium or Google Chrome so that its command is on the PATH."
        )
    run("apt-get", "update", "-qq")
    run(
        "apt-get",
        "install",
        "-y",
        "-qq",
        "--no-install-recommends",
        "chromium",
        DEBIAN_FRONTEND="noninteractive",
    )


if __name__ == "__main__":
    require_python()
    if not shutil.which("git"):
        sys.exit("git is needed and was not found: install it.")
    environment(sys.argv[1])
    if sys.argv[1] == "test":
        browser()
