"""Position encodings: one file and one yaml in conf/position each."""
