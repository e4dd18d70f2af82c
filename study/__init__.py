"""What is the study's own: mixers, positions, tasks, models, training, records."""
