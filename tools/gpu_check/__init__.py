"""A check of the suite on a machine with a GPU, in one call: ``python -m tools.gpu_check --out DIR``.

It runs from the source tree, without installation. Each part of the check (`parts.py`) has a process and a time limit
of its own and writes a line of JSON a measurement, at once: a run that is cut off keeps what it has. A part that cannot
run on the machine says why and is skipped. `python -m tools.gpu_check.page` makes docs/gpu.md of the reports.
"""
