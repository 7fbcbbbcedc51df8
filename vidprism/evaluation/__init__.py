"""What the scores of runs say: accuracies, intervals, paired tests, probes."""
