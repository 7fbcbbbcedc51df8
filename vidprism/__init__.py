"""VidPrism benchmark suite: heterogeneous mixture of experts for image-to-video transfer, measured cell by cell."""

__version__ = "0.1.0"
