"""Sequence mixers: one file per family, one yaml per mixer in conf/mixer."""
