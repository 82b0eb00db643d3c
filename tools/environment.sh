#!/usr/bin/env bash
# Make .venv if need be, and install Euthymia into it in editable form with one extra: test, lint, docs or bench.
set -euo pipefail
cd "$(dirname "$0")/.."
extra="${1:-test}"

say() { printf '%s\n' "$*" >&2; }

find_python() {
    local name
    for name in python3.11 python3; do
        if command -v "$name" >/dev/null \
            && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

# Debian keeps ensurepip in python3-venv; without it a virtual environment has no pip.
has_python() {
    local python
    python="$(find_python)" && "$python" -c 'import ensurepip, venv' 2>/dev/null
}

install_python() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        say "Euthymia needs Python 3.11 or newer with venv. On Debian 12: apt-get install python3-venv"
        exit 1
    fi
    say "Installing python3-venv from the system's packages ..."
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update >/dev/null
    apt-get -qq install -y --no-install-recommends python3 python3-venv >/dev/null
}

# Tests drive the system's Chromium (tests/web/conftest.py). Where it cannot be installed they fail and say so.
has_chromium() {
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null
}

install_chromium() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        say "Browser tests need Chromium. On Debian 12: apt-get install chromium"
        return
    fi
    say "Installing chromium from the system's packages, for the browser tests ..."
    export DEBIAN_FRONTEND=noninteractive
    { apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium; } >/dev/null \
        || say "Chromium could not be installed; browser tests will fail until it is."
}

# An environment that was moved or whose Python is gone cannot be mended, only made again.
is_usable() {
    .venv/bin/python -c 'import pip' 2>/dev/null && grep -qF "$PWD/.venv" .venv/bin/activate
}

if ! is_usable; then
    has_python || install_python
    has_python || { say "No Python 3.11 or newer with venv after installing python3-venv."; exit 1; }
    say "Making the environment .venv ..."
    "$(find_python)" -m venv --clear .venv
fi
say "Installing Euthymia with what '$extra' needs (the first time takes a minute or two) ..."
.venv/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[$extra]"
if [ "$extra" = test ] && ! has_chromium; then
    install_chromium
fi
