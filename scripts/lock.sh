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
