"""What a model costs, counted on real modules."""
