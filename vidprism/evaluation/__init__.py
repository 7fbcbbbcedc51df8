"""Evaluate the scores of runs: accuracies, intervals, paired tests, probes."""
