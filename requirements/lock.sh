#!/bin/sh
# Pins every dependency with hashes for every platform. The lock files name no registry:
# whoever installs uses the index that machine is set up for.
set -eu
cd "$(dirname "$0")/.."
lock() {
    out="requirements/$1.lock"
    shift
    uv pip compile pyproject.toml "$@" --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
        --quiet --output-file "$out"
}
lock run --extra gateway --group build
lock local --extra gateway --extra local --group build -c requirements/run.lock
lock dev --all-extras --group build --group test --group bench --group check -c requirements/local.lock
