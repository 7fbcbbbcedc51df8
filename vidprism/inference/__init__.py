"""Use trained models: load the model of a row's cell and score a video with it."""
