"""Tasks: where batches come from. One file and one small yaml each; a task knows no model."""
