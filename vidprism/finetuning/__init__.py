"""The tuned track: the backbone and the method train together on clips."""
