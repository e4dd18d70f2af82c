"""Tokens that mean the same in every pair of sequences, to tasks and models alike."""

PAD, START, END, UNKNOWN = range(4)  # filler; what a decoder is given first; the end of a sequence; out of vocabulary
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")  # their names, in this order
