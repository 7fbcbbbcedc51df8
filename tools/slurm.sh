#!/usr/bin/env bash
# The pipeline on several machines of a SLURM cluster: `dvc repro` runs on the first of them, and each training step
# is spread over all (train.nodes in params.yaml must be the number of nodes). Submit it from the root of the clone:
#
#     sbatch --nodes=2 --gpus-per-node=8 tools/slurm.sh
#
# A job that is pre-empted (SIGTERM) saves and ends; submitted again, or requeued, it goes on from there.
#SBATCH --job-name=vidprism
#SBATCH --ntasks-per-node=1
#SBATCH --requeue
#SBATCH --signal=TERM@120
#SBATCH --open-mode=append
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-.}"
export PATH="$PWD/.venv/bin:$PATH"
exec dvc repro "$@"
