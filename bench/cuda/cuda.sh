#!/usr/bin/env bash
# Everything that wants a card, in one command: an environment with all it takes (.venv-cuda, or where VENV says; some
# 10 GB), then the doctor, the tests marked gpu, the proofs, and the timings beside PyTorch and JAX. Its report is
# bench/results/cuda.md.
#
#     bench/cuda/cuda.sh [--reviews FILE]
#
# Exit codes: 0; 1 if something failed, the report says what; 5 without a card, before anything is installed.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
venv=$(realpath -m "${VENV:-.venv-cuda}")

# Needs nothing but Python.
"$python" -m bench.cuda.run_all --check || exit

"$python" -m venv "$venv"
export VIRTUAL_ENV="$venv" PATH="$venv/bin:$PATH" PIP_DISABLE_PIP_VERSION_CHECK=1
# Together, so that they agree on NVIDIA's libraries; all but the comparison does without the peers.
pip install --quiet -e '.[cuda,train,dev]' torch 'jax[cuda13]' || pip install --quiet -e '.[cuda,train,dev]'
python -m bench.cuda.run_all "$@"
