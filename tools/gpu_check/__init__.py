"""Check the suite on a machine with a GPU in one call: ``python -m tools.gpu_check --out DIR``.

It runs from the source tree, without installation. Each part of the check (`parts.py`) has its own process and time
limit, and immediately writes one line of JSON per measurement: a run that is cut off keeps its results. A part that
cannot run on the machine is skipped and says why. `python -m tools.gpu_check.page` writes docs/gpu.md from the reports.
"""
