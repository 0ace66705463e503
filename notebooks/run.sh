#!/usr/bin/env bash
# Executes every notebook of this folder from its first cell to its last; fails when one of them does.
# The virtual environment is kept under target/ until requirements.txt changes. Nothing is written
# into the notebooks.
set -euo pipefail
cd "$(dirname "$0")"

target=${CARGO_TARGET_DIR:-../target}
mkdir -p "$target"
target=$(cd "$target" && pwd)
sum=$(cksum <requirements.txt | cut -d ' ' -f 1)
venv=$target/notebooks-$sum

if [ ! -e "$venv/complete" ]; then
  rm -rf "$target"/notebooks-*
  python3 -m venv "$venv" || { echo "run.sh: needs python3 3.11 or newer with venv" >&2; exit 2; }
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.txt
  touch "$venv/complete"
fi

export IPYTHONDIR=$venv/ipython JUPYTER_CONFIG_DIR=$venv/jupyter PYDEVD_DISABLE_FILE_VALIDATION=1
for notebook in *.ipynb; do
  if grep -q '"output_type"' "$notebook"; then
    echo "run.sh: $notebook holds outputs; clear them before you commit" >&2
    exit 1
  fi
  echo "executing notebooks/$notebook"
  "$venv/bin/jupyter-execute" --timeout=300 "$notebook"
done
