"""Train a row in the number of processes set by `train.devices` and `train.nodes` of params.yaml.

A single process runs in the notebook's kernel. Several processes on this machine are started by torch elastic, which
streams their output into the cell and stops all of them when one fails. On several machines, ``srun`` starts torchrun
on each node of a SLURM allocation:

    python -m vidprism.runs.launch PROFILE GROUP ROW [REPORT]     (run by torchrun, which sets RANK and WORLD_SIZE)

A row never trains in fewer processes than requested: a machine that lacks them is an error.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from vidprism.config import Config, ConfigError, load_config, paths, rows
from vidprism.config.rows import Row
from vidprism.runs import train as training
from vidprism.runtime import interruption, progress
from vidprism.runtime.errors import TrainingError
from vidprism.runtime.interruption import Interrupted
from vidprism.runtime.progress_line import read_share


def train_row(config: Config, row: Row) -> dict[str, Any]:
    """Train and score one row (`vidprism.runs.train.train_here`) in the processes that params.yaml requests.

    Raises:
        ConfigError: more devices than this machine has, or several nodes outside a SLURM allocation.
        TrainingError: a process failed; the message holds its traceback.
        Interrupted: the process was told to stop (SIGTERM), and the states are saved.
    """
    interruption.watch()
    train = config.profile.train
    n_devices = devices(config, row)
    if "WORLD_SIZE" in os.environ or n_devices * train.nodes == 1:
        return training.train_here(config, row)
    return _across(config, row, n_devices) if train.nodes > 1 else _here(config, row, n_devices)


def devices(config: Config, row: Row) -> int:
    """Processes on each machine (`train.devices`). `auto` means every GPU, or one process without a GPU or for a row of
    the frozen track, whose heads train faster than a process starts.

    Raises:
        ConfigError: more than there are GPUs.
    """
    asked, there = config.profile.train.devices, torch.cuda.device_count()
    if asked == "auto":
        return max(1, there) if row.track == "tuned" else 1
    if there and asked > there:
        raise ConfigError(
            f"params.yaml: {config.profile.name}.train.devices asks for {asked}, and this machine has {there}; lower "
            "it or use `auto`"
        )
    return asked


def _here(config: Config, row: Row, n_processes: int) -> dict[str, Any]:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with tempfile.TemporaryDirectory(prefix="vidprism-") as logs:
        launch = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=n_processes,
            run_id=f"{row.group}-{row.key}",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,  # a restart would hide the reason; the work is kept, and `dvc repro` continues from there
            start_method="spawn",
            logs_specs=DefaultLogsSpecs(log_dir=logs, tee=Std.ALL),
            log_line_prefix_template="[process ${rank}] ",
        )
        try:
            report = Path(logs) / "progress"
            with progress.followed(lambda: read_share(report), "cell", len(row.cells)):
                found = elastic_launch(launch, _work)(config, row, n_processes, report)
        except ChildFailedError as error:
            raise TrainingError(_why(error, n_processes)) from None
        except SignalException as signal:
            raise Interrupted(f"{row.key}: told to stop ({signal}); {n_processes} processes saved their work") from None
        finally:
            interruption.watch()  # the launcher has installed its own handler
    if "interrupted" in found[0]:
        raise Interrupted(found[0]["interrupted"])
    return found[0]["record"]


def _why(error: Any, n_processes: int) -> str:
    """The message and traceback of the first failure, or the signal or status that ended it."""
    rank, failure = error.get_first_failure()
    found = failure.error_file_data.get("message", {})
    if not isinstance(found, dict):
        return f"process {rank} of {n_processes} (from 0) ended: {failure.message}"
    stack = found.get("extraInfo", {}).get("py_callstack", "")
    return f"process {rank} of {n_processes} (from 0) failed: {found.get('message', '')}\n{stack}".rstrip()


def _work(config: Config, row: Row, n_local: int, report: Path | None = None) -> dict[str, Any]:
    """The work of each process; the processes of a machine share its cores. The first one says how far it is, in the
    file `report` for the stage that started it, or on its standard error.
    """
    first = os.environ["RANK"] == "0"
    with progress.stage(f"train {row.group} {row.key}", report) if first else nullcontext():
        return _train(config, row, n_local)


def _train(config: Config, row: Row, n_local: int) -> dict[str, Any]:
    interruption.watch()
    threads = max(1, config.profile.train.threads // n_local)
    train = dataclasses.replace(config.profile.train, threads=threads)
    config = dataclasses.replace(config, profile=dataclasses.replace(config.profile, train=train))
    try:
        return {"record": training.train_here(config, row)}
    except Interrupted as stop:
        return {"interrupted": str(stop)}


def _across(config: Config, row: Row, n_devices: int) -> dict[str, Any]:
    nodes, job = config.profile.train.nodes, os.environ.get("SLURM_JOB_ID")
    if not job:
        raise ConfigError(
            f"params.yaml: {config.profile.name}.train.nodes is {nodes}, but this is not a SLURM job; submit "
            "tools/slurm.sh, or start torchrun on each node yourself (docs/scaling.md)"
        )
    report = paths.work(config, row.group, row.key).with_name(f"{row.key}.progress")
    report.unlink(missing_ok=True)  # of a run that was killed
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    command = [
        *("srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", "--kill-on-bad-exit=1"),
        *(sys.executable, "-m", "torch.distributed.run", f"--nnodes={nodes}", f"--nproc-per-node={n_devices}"),
        *("--rdzv-backend=c10d", f"--rdzv-endpoint={os.environ.get('SLURMD_NODENAME', 'localhost')}:{port}"),
        *(f"--rdzv-id={job}-{row.group}-{row.key}", "--max-restarts=0"),
        *("-m", "vidprism.runs.launch", config.profile.name, row.group, row.key, str(report)),
    ]
    with (
        progress.followed(lambda: read_share(report), "cell", len(row.cells)),
        subprocess.Popen(
            command, cwd=config.root_dir, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as steps,
        interruption.forwarded(steps.terminate),
    ):
        lines: list[str] = []
        failing = False
        for line in steps.stdout or ():
            print(line, end="", flush=True)
            failing = failing or "Traceback" in line  # the first failure holds the reason; the others follow from it
            lines = lines if failing else lines[-20:]
            lines += [line] if len(lines) < 100 else []
    report.unlink(missing_ok=True)
    if interruption.stop_requested():
        raise Interrupted(f"{row.key}: told to stop; {nodes} nodes saved their work")
    if steps.returncode:
        raise TrainingError(f"{row.key}: the steps on {nodes} nodes ended with {steps.returncode}:\n{''.join(lines)}")
    return json.loads((paths.run(config, row.group, row.key) / "record.json").read_text(encoding="utf-8"))


def main(arguments: list[str]) -> int:
    """Exit status of one process that torchrun started."""
    profile, group, key, *report = arguments
    config = load_config(profile)
    try:
        found = _work(config, rows.row(config, group, key), int(os.environ["LOCAL_WORLD_SIZE"]), *map(Path, report))
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    return interruption.STATUS if "interrupted" in found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
