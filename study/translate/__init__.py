"""Translating with a finished run: ``python -m study.translate --help``."""
