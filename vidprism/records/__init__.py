"""The files that a run leaves on disk: record, scores and log."""
