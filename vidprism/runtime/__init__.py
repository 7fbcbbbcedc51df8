"""Processes, watchdog, lock, signals, threads, provenance, files and errors. Nothing here knows about videos."""
