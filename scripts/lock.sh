#!/bin/sh
# Write the locks anew from the ranges in pyproject.toml: every supported Python and system, hashes, no addresses.
# Versions already locked stay; `scripts/lock.sh --upgrade` takes the newest.
set -eu
cd "$(dirname "$0")/.."
compile() {
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" "$@" >/dev/null
}
compile "${@:---no-upgrade}" pyproject.toml --extra book --group build -o locks/book.txt
compile "${@:---no-upgrade}" pyproject.toml --extra book --extra test --group build --constraint locks/book.txt -o locks/test.txt
echo uv | compile "${@:---no-upgrade}" - -o locks/uv.txt
# PyTorch itself is not locked: its CPU build is not on every index; what it needs beside us is
printf 'pytest\npytest-benchmark>=5.1,<6\nfilelock\nfsspec\njinja2\nnetworkx\nsetuptools\n' |
  compile "${@:---no-upgrade}" pyproject.toml - --group build --constraint locks/test.txt -o locks/bench.txt
