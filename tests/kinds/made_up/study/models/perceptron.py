"""One hidden layer."""

from torch import nn
from torch.nn import functional as F

from study.models.base import Architecture


class Perceptron(Architecture):
    name = "perceptron"
    kind = "vectors"

    def __init__(self, classes: int, *, width: int, slope: float = 0.0) -> None:
        super().__init__()
        self.slope = slope
        self.hidden, self.head = nn.Linear(classes, width), nn.Linear(width, classes)

    def forward(self, vectors_BD):
        return self.head(F.leaky_relu(self.hidden(vectors_BD), self.slope))[:, None]

    def loss(self, vectors_BD, targets_BT):
        return F.cross_entropy(self(vectors_BD)[:, 0].float(), targets_BT[:, 0])

    def tables(self):
        return [self.head]
