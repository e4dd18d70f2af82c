"""A run on a user's own files of pairs: its weights, and what becomes of it when the files change."""

import pytest

from study.kinds.pairs import VOCABULARY
from study.training import weights
from study.training.build import build_task
from study.training.runner import Path, execute
from tests.training.test_resume import stop_at

pytestmark = pytest.mark.slow


def test_weights_outlive_a_failure_after_training(own_text, monkeypatch):
    monkeypatch.setattr("study.kinds.pairs.decode_all", lambda *_: 1 / 0)
    config, _ = own_text
    outcome = execute(config)
    folder = Path(config.runs) / outcome.name
    assert outcome.state == "failed" and (folder / weights.NAME).exists() and (folder / VOCABULARY).is_dir()


def test_weights_that_were_not_kept_are_trained_again_when_asked_for(own_text):
    config, _ = own_text
    for keep in (False, True):
        config.trainer.keep_weights = keep
        outcome = execute(config)
        assert outcome.fresh and not execute(config).fresh
        assert (Path(config.runs) / outcome.name / weights.NAME).exists() is keep


def test_one_table_needs_one_vocabulary_however_large_two_are(own_text):
    config, _ = own_text
    config.architecture = {"name": "transformer", "heads": 2}
    config.task.joint, config.model.tie = False, "three_way"
    task = build_task(config)
    assert task.vocabulary == task.classes, "so that their sizes tell nothing"
    with pytest.raises(ValueError, match="has two here; use model.tie=output"):
        execute(config)
    config.task.joint = True
    assert execute(config).state == "finished"


@pytest.mark.parametrize("key", ["train_source", "test_target"])
def test_a_run_whose_data_have_changed_is_trained_again(own_text, key):
    config, files = own_text
    first = execute(config)
    assert first.fresh and not execute(config).fresh
    files[key].write_text("six five four\n" * 8)
    with pytest.warns(UserWarning, match="its data have changed since"):
        again = execute(config)
    assert again.fresh and again.record["provenance"]["data"] != first.record["provenance"]["data"]
    assert not execute(config).fresh


def test_a_checkpoint_made_on_other_data_is_not_gone_on_from(own_text, monkeypatch):
    config, files = own_text
    config.trainer.checkpoint_every = 1
    with monkeypatch.context() as keyboard, pytest.raises(KeyboardInterrupt):
        stop_at(keyboard, "training_step", 2)
        execute(config)
    files["train_source"].write_text("two one three\nfive four six\n" * 4)
    with pytest.warns(UserWarning, match="last.ckpt was made with other data: starting afresh"):
        outcome = execute(config)
    assert outcome.state == "finished" and outcome.record["resumed"] is False
