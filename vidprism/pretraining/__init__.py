"""The small CLIP and the small VideoMAE of the generated benchmark, trained from scratch."""
