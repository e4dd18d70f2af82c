"""What the group ``architecture`` chooses from."""

from typing import Literal

from torch import nn


class Architecture(nn.Module):
    """A whole model: what it is given, and how it answers, is a matter of its kind."""

    name: str  # as the command line calls it, architecture=NAME
    kind: Literal["tokens", "pairs", "images"]  # of the tasks that it answers
