#!/bin/sh
# Makes a virtual environment and installs one lock file into it, with hashes checked.
# Usage: install.sh local|dev    into .venv, with the project itself
#        install.sh mutants      into .venv-mutants: a tool that the project does not import
set -eu
cd "$(dirname "$0")/.."
what=$1
case $what in local | dev) venv=.venv ;; *) venv=.venv-$what ;; esac

fail() { echo "darkroom: $1" >&2; exit 1; }

python=${PYTHON:-python3}
command -v "$python" >/dev/null 2>&1 || fail "no $python on the PATH; install Python 3.11 or newer, or set PYTHON"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$python is older than 3.11; set PYTHON to a newer one"

if ! [ -x "$venv/bin/python" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$venv"
    "$python" -m venv "$venv" >/dev/null 2>&1 || {
        rm -rf "$venv"
        fail "$python cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"
    }
fi

echo "darkroom: installing requirements/$what.lock into $venv (once) ..."
log=$venv/install.log
{
    # The lock names everything, so nothing is left to resolve: older pips, met with `package[extra]` in a
    # dependency, would ask the index for its newest release and find no hash for that.
    "$venv/bin/python" -m pip install --disable-pip-version-check --require-hashes --no-deps \
        -r "requirements/$what.lock" &&
    { [ "$venv" != .venv ] ||
        .venv/bin/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation \
            --no-index --editable .; }
} >"$log" 2>&1 || { tail -n 15 "$log" >&2; fail "the installation failed; the whole log is $log"; }
[ "$what" = dev ] && touch .venv/local.stamp
touch "$venv/$what.stamp"
