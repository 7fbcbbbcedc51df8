"""Charts as data: values in, positions in the units of an SVG picture out. `templates/charts.html.j2` draws them."""

from vidprism.report.charts.forest import Effect, Forest, forest
from vidprism.report.charts.plot import Plot, Point, Series, plot

__all__ = ["Effect", "Forest", "Plot", "Point", "Series", "forest", "plot"]
