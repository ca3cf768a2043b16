#!/usr/bin/env bash
# Runs everything that needs a CUDA card. It makes an environment with all requirements (.venv-cuda, or the folder that
# VENV names; about 10 GB), then runs the doctor, the tests marked gpu, the proofs, and the timings of rnnx, PyTorch and
# JAX. It writes the report to bench/results/cuda.md.
#
#     bench/cuda/cuda.sh [--reviews FILE]
#
# Exit codes: 0 if all steps passed; 1 if a step failed, which the report names; 5 without a card, before anything is
# installed.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
venv=$(realpath -m "${VENV:-.venv-cuda}")

# The check needs nothing but Python.
"$python" -m bench.cuda.run_all --check || exit

"$python" -m venv "$venv"
export VIRTUAL_ENV="$venv" PATH="$venv/bin:$PATH" PIP_DISABLE_PIP_VERSION_CHECK=1
# Installed together, so that they agree on NVIDIA's libraries. Only the comparison needs PyTorch and JAX, so a second
# attempt leaves them out.
pip install --quiet -e '.[cuda,train,dev]' torch 'jax[cuda13]' || pip install --quiet -e '.[cuda,train,dev]'
python -m bench.cuda.run_all "$@"
