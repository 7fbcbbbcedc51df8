"""Write the page that `dvc plots show` fills, with the scripts that draw it, so that it needs no network.

    python -m tools.plots_page        (`make env` runs it)

The scripts are Vega, Vega-Lite and Vega-Embed as the package vl-convert-python holds them. Git ignores the page and
`.dvc/config.local`, which names it: where neither was made, DVC's own page loads the scripts from the network.
"""

from __future__ import annotations

from pathlib import Path

import vl_convert
from dvc.config import Config

PAGE = "plots_page.html"  # in .dvc
GLOBALS = "window.vegaEmbed = vegaEmbed; window.vega = vega; window.vegaLite = vegaLite;"
TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Plots of the VidPrism benchmark</title>
<style>body {{ font: 15px/1.5 system-ui, sans-serif; margin: 1rem 2rem; }}</style>
<script>{scripts}</script>
</head>
<body>
{{plot_divs}}
</body>
</html>
"""


def write_plots_page(root: Path) -> Path:
    """Write the page to `.dvc` below `root`, name it in DVC's local configuration, and return its path."""
    scripts = vl_convert.javascript_bundle(GLOBALS).replace("</script", "<\\/script")
    target = root / ".dvc" / PAGE
    target.write_text(TEMPLATE.format(scripts=scripts), encoding="utf-8")
    with Config(str(target.parent)).edit("local") as local:
        local.setdefault("plots", {})["html_template"] = PAGE
    return target


if __name__ == "__main__":
    write_plots_page(Path())
