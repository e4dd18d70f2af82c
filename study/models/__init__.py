"""The block template and the closed forms that size it."""
