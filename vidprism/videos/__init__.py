"""From official lists to checked manifests, draws, exact frames, clips and the frame cache."""
