#!/usr/bin/env bash
# Write constraints.txt anew: the newest versions that pyproject.toml allows, from a fresh environment.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=build/constraints

rm -rf "$folder"
mkdir -p "$folder"
.venv/bin/python -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -qq --disable-pip-version-check -e ".[test,lint,docs,bench]"
# Names and versions only: no address, no path.
"$folder/venv/bin/python" -m pip freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==[^ ]+$' >"$folder/new.txt"
mv "$folder/new.txt" constraints.txt
rm -rf "$folder"
