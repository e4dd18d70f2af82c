"""What the group ``architecture`` chooses from."""

from torch import nn


class Architecture(nn.Module):
    """A whole model: what it is given, and how it answers, is a matter of its kind."""

    name: str  # as the command line calls it, architecture=NAME
    kind: str  # of the tasks that it answers: a module of study.kinds

    def tables(self) -> list[nn.Module]:
        """What counts as embedding: token tables, positions and the head."""
        raise NotImplementedError

    def parameter_counts(self) -> dict[str, int]:
        """Trainable numbers, what is shared once: "embedding" (those of `tables`) and "other" (all the rest)."""
        total = sum(p.numel() for p in self.parameters())
        embedding = sum(p.numel() for p in nn.ModuleList(self.tables()).parameters())
        return {"embedding": embedding, "other": total - embedding}
