"""Write the page that `dvc plots show` fills, with the scripts that draw it, so that it needs no network.

    python -m tools.plots_page        (`make env` runs it)

The scripts are Vega, Vega-Lite and Vega-Embed as the package vl-convert-python holds them. The page is generated and
not in git; `.dvc/config` names it as `plots.html_template`.
"""

from __future__ import annotations

from pathlib import Path

import vl_convert

PAGE = Path(".dvc") / "tmp" / "plots_page.html"
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
    """Write the page below `root`, the folder of .dvc, and return its path."""
    scripts = vl_convert.javascript_bundle(GLOBALS).replace("</script", "<\\/script")
    target = root / PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(TEMPLATE.format(scripts=scripts), encoding="utf-8")
    return target


if __name__ == "__main__":
    write_plots_page(Path())
