"""Encoder-decoders behind one interface, and the search for what they write."""
