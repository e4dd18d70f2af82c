"""What attention is put together from: scores of keys against queries, weights, and means of the values."""
