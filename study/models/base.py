"""What the group ``architecture`` chooses from."""

from torch import nn


class Architecture(nn.Module):
    """A whole model for tasks of one kind.

    A new one is a class in this folder and a yaml in conf/architecture, which tests find by themselves.

    - The constructor's keywords are the configuration, beside those that its kind gives it (``build`` in study/kinds/KIND.py),
      such as ``width``; the yaml alone explains them: defaults, words and bounds.
    - ``forward(**batch.inputs())`` gives logits (B, T, V), B items, T answers to each, V tokens or classes.
    - ``loss(**batch.inputs(), targets_BT=...)`` is the mean loss in nats; targets of -100 don't count.
    - ``tables`` names what counts as embedding, so that models are matched in what does the work.
    - Models of one kind offer what that kind asks of them: encoder-decoders derive from ``seq2seq.base.EncoderDecoder``; models
      of images have ``paths`` (where they looked, or None) and say by ``takes_channels`` how they are sized.
    """

    name: str  # as the command line calls it, architecture=NAME
    kind: str  # of the tasks that it answers: a module of study.kinds

    def tables(self) -> list[nn.Module]:
        """What counts as embedding: token tables, positions and the head."""
        raise NotImplementedError

    def parameter_counts(self) -> dict[str, int]:
        """Trainable numbers, what is shared once: "embedding" (those of `tables`) and "other" (all the rest).

        What is drawn once and stays as it is, is a buffer and does not count.
        """
        total = sum(p.numel() for p in self.parameters())
        embedding = sum(p.numel() for p in nn.ModuleList(self.tables()).parameters())
        return {"embedding": embedding, "other": total - embedding}
