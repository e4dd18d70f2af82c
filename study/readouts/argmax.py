"""Soft attention in training, hard attention in evaluation."""

from torch import Tensor

from study.readouts.base import Query


class Argmax(Query):
    """Trained as soft attention; in evaluation the position with the largest weight is read alone."""

    name = "argmax"

    def weights(self, log_BTN: Tensor) -> Tensor:
        return log_BTN.exp()
