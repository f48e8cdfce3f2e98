#!/bin/sh
# Pins every dependency with hashes for every platform. The lock files name no registry:
# whoever installs uses the index that machine is set up for.
set -eu
cd "$(dirname "$0")/.."
lock() {
    out="requirements/$1.lock"
    shift
    uv pip compile "$@" --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
        --quiet --output-file "$out"
}
lock run pyproject.toml --extra gateway --group build
lock local pyproject.toml --extra gateway --extra local --group build -c requirements/run.lock
lock dev pyproject.toml --all-extras --group build --group test --group bench --group check \
    -c requirements/local.lock
# Tools that the project does not import have environments of their own, and need not agree with its.
lock mutants --group mutants
