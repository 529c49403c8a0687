#!/bin/bash
# One network with several seeds as a SLURM job array: a seed for each task, all into one folder.
#
#   mkdir -p logs
#   sbatch examples/slurm_array.sh --set train.epochs=20      # arguments go to 'twinrank seeds'
#
# The folder must be on a disk that all machines share, with locks. Tasks may run at any time and on any machine. A task
# that is stopped or preempted keeps its finished epochs, and goes on when it runs again. Afterwards the same command
# with all seeds prints the table, and trains nothing again:
#
#   twinrank seeds order_net --seeds 42,2023,2024,2025 --train data/train.npz --val data/val.npz --out runs/seeds

#SBATCH --job-name=twinrank-seeds
#SBATCH --array=0-3
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=logs/%x.%a.log
# For a GPU each, instead:  --gpus-per-task=1 --cpus-per-task=4

set -eu

SEEDS=(42 2023 2024 2025)
MODEL=${MODEL:-order_net}
DATA=${DATA:-data}
OUT=${OUT:-runs/seeds}

if [[ ! ${SLURM_ARRAY_TASK_ID:-} =~ ^[0-9]+$ ]] || ((SLURM_ARRAY_TASK_ID >= ${#SEEDS[@]})); then
    echo "SLURM_ARRAY_TASK_ID must be 0 to $((${#SEEDS[@]} - 1)); submit this script with sbatch" >&2
    exit 2
fi

# SLURM stops a task with SIGTERM, which must reach twinrank itself.
exec twinrank seeds "$MODEL" \
    --seeds "${SEEDS[SLURM_ARRAY_TASK_ID]}" \
    --train "$DATA/train.npz" --val "$DATA/val.npz" \
    --out "$OUT" --threads "${SLURM_CPUS_PER_TASK:-1}" "$@"
