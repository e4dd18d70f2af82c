"""How an answer is read from the encoded sequence: one file and one yaml in conf/readout each."""
