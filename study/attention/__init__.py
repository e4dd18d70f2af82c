"""What attention is put together from: scores of keys against a query."""
