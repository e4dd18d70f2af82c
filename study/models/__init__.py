"""Whole models, and the width that makes two of them equally large."""
