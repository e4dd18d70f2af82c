"""Tasks that say something of a vector."""

from study.cost.counting import multiply_adds
from study.kinds.base import Judged, Kind, part


class Vectors(Kind):
    """Answered by what takes a vector."""

    def build(self):
        architecture, keys = part(self.config, "architecture")
        return architecture(self.task.classes, width=self.config.model.width, **keys)

    def work(self, model):
        work = multiply_adds(model, model.hidden.weight.new_zeros(1, self.task.classes))
        return {"multiply_adds_per_token": work, "multiply_adds_per_answer": work}

    def check(self, model):
        super().check(model)
        if self.config.model.width < self.task.classes:
            raise ValueError(
                f"model.width={self.config.model.width}: less than the vector has; use {self.task.classes} or more"
            )

    def judge(self, subject, task, split):
        vector_D = subject.draw_for_evaluation(task, split, 0).vectors_BD[0]
        return Judged(written={"vector": vector_D.tolist()})
