#!/usr/bin/env bash
# Run every analyzer on the CPU and on the GPU, and compare: benchmarks/gpu.sh [FOLDER] [OPTIONS]
# FOLDER may hold footage, weights, and wheels to install for this run; see benchmarks/README.md.
set -euo pipefail
folder=
[ $# -gt 0 ] && [ -d "$1" ] && folder=$(realpath "$1")
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
if [ -n "$folder" ] && compgen -G "$folder/wheels/*.whl" >/dev/null; then
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  "$python" -m venv --system-site-packages "$scratch"
  python=$scratch/bin/python
  "$python" -m pip install --quiet --no-index --no-deps "$folder"/wheels/*.whl
fi
[ -z "$folder" ] || shift
timeout 480 "$python" -m benchmarks.gpu ${folder:+"$folder"} "$@"
