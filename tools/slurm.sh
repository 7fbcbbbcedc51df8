#!/usr/bin/env bash
# The pipeline on several machines of a SLURM cluster: `dvc repro` runs on the first of them, and each training step
# runs on all of them (train.nodes in params.yaml must be the number of nodes). Submit it from the root of the clone:
#
#     sbatch --nodes=2 --gpus-per-node=8 tools/slurm.sh
#
# A pre-empted job (SIGTERM) saves its state and ends; when it is submitted again or requeued, it continues from there.
#SBATCH --job-name=vidprism
#SBATCH --ntasks-per-node=1
#SBATCH --requeue
#SBATCH --signal=TERM@120
#SBATCH --open-mode=append
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-.}"
export PATH="$PWD/.venv/bin:$PATH"
exec dvc repro "$@"
