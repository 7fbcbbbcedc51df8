"""The use of what was trained: the model of a row's cell, and what it says about a video."""
