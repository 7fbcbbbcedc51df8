"""A Papermill engine that runs a notebook's cells in this process, and keeps what a person would look at: tables as
HTML, figures as pictures.

A kernel would cost another second per stage, and a stage has one notebook.
"""

from __future__ import annotations

import base64
import os
import sys
import traceback
from typing import Any, cast

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.formatters import DisplayFormatter
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbformat.v4 import new_output
from papermill.engines import Engine, papermill_engines

NAME = "inprocess"
INLINE = "module://matplotlib_inline.backend_inline"  # figures of a cell are shown below it, and closed
DOTS_PER_INCH = 80


class _Results(DisplayHook):
    """Keeps the value of a cell's last expression in all its forms, instead of printing it."""

    def start_displayhook(self) -> None: ...

    def write_output_prompt(self) -> None: ...

    def finish_displayhook(self) -> None: ...

    def write_format_data(self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None) -> None:
        found = {"data": _plain(format_dict), "metadata": md_dict or {}, "execution_count": self.prompt_count}
        cast(Shell, self.shell).outputs.append(new_output("execute_result", **found))


class _Displays(DisplayPublisher):
    """Keeps what `display` shows."""

    def publish(self, data: Any, metadata: Any = None, *_: Any, **__: Any) -> None:
        cast(Shell, self.shell).outputs.append(new_output("display_data", data=_plain(data), metadata=metadata or {}))

    def clear_output(self, wait: bool = False) -> None:
        cast(Shell, self.shell).outputs.clear()


class Shell(InteractiveShell):
    """An IPython shell that keeps the outputs of a cell in `outputs`."""

    displayhook_class = _Results
    display_pub_class = _Displays

    def __init__(self, **settings: Any) -> None:
        self.outputs: list[Any] = []
        super().__init__(**settings)
        png = cast(DisplayFormatter, self.display_formatter).formatters["image/png"]
        png.for_type_by_name("matplotlib.figure", "Figure", _as_png)  # matplotlib is not imported for it


class InProcess(Engine):
    """Papermill's name for this engine is `NAME`."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **_: Any) -> None:
        """Run every code cell in order, until one raises."""
        os.environ.setdefault("MPLBACKEND", INLINE)
        InteractiveShell.clear_instance()
        Shell.clear_instance()
        shell = Shell.instance(colors="nocolor")
        for index, cell in enumerate(nb_man.nb.cells):
            if cell.cell_type != "code":
                continue
            nb_man.cell_start(cell, index)
            try:
                failed = _run_cell(shell, cell)
            finally:
                nb_man.cell_complete(cell, cell_index=index)
            if failed:
                return  # Papermill sees the error output, marks the cell, saves the notebook and raises


def _run_cell(shell: Shell, cell: Any) -> bool:
    """Run one cell and fill in its outputs; True if it raised."""
    shell.outputs = []
    with capture_output(display=False) as captured:
        result = shell.run_cell(cell.source, store_history=True)
        _show_figures()
    error = result.error_before_exec or result.error_in_exec
    cell.execution_count = shell.execution_count - 1
    streams = [("stdout", "" if error else captured.stdout), ("stderr", captured.stderr)]
    cell.outputs = [new_output("stream", name=name, text=text) for name, text in streams if text]
    cell.outputs += shell.outputs
    if error is not None:
        lines = traceback.format_exception(error)
        cell.outputs.append(new_output("error", ename=type(error).__name__, evalue=str(error), traceback=lines))
    return error is not None


def _show_figures() -> None:
    """Show and close the figures that the cell left open."""
    if "matplotlib.pyplot" in sys.modules:
        from matplotlib import pyplot
        from matplotlib_inline.backend_inline import show

        if pyplot.get_fignums():
            show(close=True)


def _as_png(figure: Any) -> bytes:
    from IPython.core.pylabtools import print_figure

    return print_figure(figure, fmt="png", bbox_inches="tight", dpi=DOTS_PER_INCH)


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    """Output data as a notebook file holds it: pictures in base 64."""
    return {
        kind: base64.b64encode(value).decode() if isinstance(value, bytes) else value for kind, value in data.items()
    }


papermill_engines.register(NAME, InProcess)
