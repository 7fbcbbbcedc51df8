"""Processes, watchdog, lock, signals, threads, provenance, files and errors; knows nothing of videos."""
