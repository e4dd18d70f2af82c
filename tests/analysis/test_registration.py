"""Whether a contrast stood before its first run, in small histories that git itself keeps."""

import subprocess

import pytest
import yaml

from analysis import claims, registration
from analysis.registration import Registration
from study.experiments import Experiment
from tests.analysis import synthetic
from tests.conftest import WORDS

DECLARATION = {
    **WORDS,
    "claims": ["C1"],
    "arms": {"attention": {"set": {"mixer": "attention"}}, "lstm": {"set": {"mixer": "lstm"}}},
    "tasks": {"recall": {"set": {"task": "recall", "train.steps": 100}}},
    "tiers": {"core": {}},
}
PROTOCOL = {"core": {"rates": [0.003], "tuning_seeds": [9], "verdict_seeds": [0, 1]}}
WINS = {
    "statement": "It wins.",
    "part": "wins",
    "better": {"experiment": "tiny", "task": "recall", "a": "attention", "b": "lstm"},
}
CLAIM = {"zh": "它", "en": "It.", "topic": "t", "origin": "o", "published": [], "expect": "e", "contrasts": {"wins": WINS}}


class Repository:
    """A study of one claim and one experiment under git."""

    def __init__(self, root):
        self.root, self.number = root, 0
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "a")
        self.git("config", "user.email", "a@b.c")

    def git(self, *arguments):
        done = subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, subject="Another commit", claim=CLAIM, declaration=DECLARATION, protocol=PROTOCOL):
        texts = {"claims/C1.yaml": claim, "conf/experiment/tiny.yaml": declaration, "conf/protocol.yaml": protocol}
        self.number += 1
        texts["number.yaml"] = self.number
        for path, text in texts.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(yaml.safe_dump(text, allow_unicode=True))
        self.git("add", "-A")
        self.git("commit", "-qm", subject)
        return self.git("rev-parse", "HEAD")

    def find(self, *revisions, committed=None):
        """The finding on contrast ``wins``, as it stands in the files, for runs made at these revisions one after the other."""
        experiment = Experiment(DECLARATION, protocol=PROTOCOL)
        planned = experiment.verdict_runs("core", {(arm, "recall"): 0.003 for arm in ("attention", "lstm")})
        records = [synthetic.record(run, "accuracy", 0.5) for run in planned]
        for number, record in enumerate(records):
            when = f"2026-01-0{1 + number}T00:00:00+00:00"
            record["provenance"] |= {"revision": revisions[min(number, len(revisions) - 1)], "started": when}
        contrast = claims.contrasts(yaml.safe_load((self.root / "claims/C1.yaml").read_text())["contrasts"])["wins"]
        folders = {"claims": self.root / "claims", "declarations": self.root / "conf/experiment"}
        look = Registration("core", root=self.root, committed=committed or {}, **folders)
        state = look("C1", contrast, records)
        assert [found.state for found in look.found] == [state]
        return look


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path)


def changed(node, *path, to):
    key, *rest = path
    return {**node, key: changed(node[key], *rest, to=to) if rest else to}


def test_what_stood_so_before_its_first_run_is_registered(repository):
    first = repository.commit()
    reworded = changed(CLAIM, "contrasts", "wins", "statement", to="It wins, as we say now.")
    later = repository.commit(claim=reworded, declaration=changed(DECLARATION, "title", to="another title"))
    [found] = repository.find(first, later).found
    assert (found.state, found.revision, found.first_run) == ("registered", first[:10], "2026-01-01")


CHANGES = {
    "margin": (dict(claim=changed(CLAIM, "contrasts", "wins", "better", "margin", to=0.05)), "margin: not said -> 0.05"),
    "cap": (
        dict(declaration=changed(DECLARATION, "tasks", "recall", "set", "train.steps", to=50)),
        "tiny.recall.lstm.train.steps: 100 -> 50",
    ),
    "seeds": (
        dict(protocol=changed(PROTOCOL, "core", "verdict_seeds", to=[0, 1, 2])),
        "tiny.verdict_seeds: [0, 1] -> [0, 1, 2]",
    ),
    "part": (
        dict(claim=changed(CLAIM, "contrasts", "wins", to={key: WINS[key] for key in WINS if key != "part"})),
        "decides a part: True -> False",
    ),
    "side": (
        dict(claim=changed(CLAIM, "contrasts", "wins", "better", "b", to=0.25)),
        "b.arm: lstm -> not said; b.value: not said -> 0.25",
    ),
}


@pytest.mark.parametrize(("files", "words"), CHANGES.values(), ids=CHANGES)
def test_what_was_changed_since_is_amended_and_says_when_what_and_why(repository, files, words):
    first = repository.commit()
    repository.commit("Nothing that counts", declaration=changed(DECLARATION, "question", to="why?"))
    later = repository.commit("Half was too little", **files)
    [found] = repository.find(first).found
    assert found.state == "amended"
    day = repository.git("show", "-s", "--format=%cs", later)
    assert found.changes.startswith(f"{day} {later[:7]} Half was too little (") and words in found.changes
    assert "Nothing that counts" not in found.changes


def test_a_contrast_that_its_first_run_did_not_know_is_older(repository):
    first = repository.commit(claim=changed(CLAIM, "contrasts", to={"other": WINS}))
    other = repository.commit(claim=changed(CLAIM, "contrasts", to={"wins": {**WINS, "an old key": True}}))
    repository.commit()
    assert [found.state for found in repository.find(first).found] == ["older"]
    assert [found.state for found in repository.find(other).found] == ["older"]


def test_without_history_what_was_found_before_holds(repository, tmp_path):
    first = repository.commit()
    look = repository.find(first)
    look.write(tmp_path)
    before = registration.read(tmp_path)
    assert list(before.values()) == look.found
    subprocess.run(["rm", "-rf", tmp_path / ".git"], check=True)
    registration._has.cache_clear()
    assert repository.find(first).found[0].state == "unknown"
    assert repository.find(first, committed=before).found == look.found


def test_what_judges_no_runs_has_no_registration(repository):
    repository.commit()
    contrast = claims.contrasts(CLAIM["contrasts"])["wins"]
    look = Registration("core", root=repository.root)
    assert look("C1", contrast, []) == "" and not look.found
