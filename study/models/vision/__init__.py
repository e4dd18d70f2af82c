"""Models that name what an image shows: glimpse by glimpse, or all of it at once."""
