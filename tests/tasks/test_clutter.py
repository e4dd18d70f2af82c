"""Digits in clutter: where they stand, what stands around them, and that no digit is in two splits."""

import gzip
import hashlib
import math
import os
from pathlib import Path

import pytest
import torch
from scipy.stats import chisquare
from sklearn.datasets import load_digits

from study.tasks.clutter import Clutter, ClutteredDigits, paste_
from study.tasks.mnist import ClutteredMnist, idx
from tests.tasks.conftest import generator

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def digits():
    return ClutteredDigits()


def coloured(count=30, side=8, splits=SPLITS):
    """Digits that are one even shade each, all different, so that a pixel tells what it was cut from; label = index % 10."""
    shades = torch.arange(1, count * len(splits) + 1, dtype=torch.uint8)
    images = shades[:, None, None].expand(-1, side, side).contiguous()
    parts = torch.arange(len(shades)).split(count)
    return {split: (images[part], part % 10) for split, part in zip(splits, parts, strict=True)}


def shades(task, split, size=200):
    """Of each image, the shades (1, 2, ...) that are in it."""
    images = (task.batch(size, generator(), split).images_BHW * 255).round().int()
    return [set(image.unique().tolist()) - {0} for image in images]


def test_without_distractors_the_digit_is_all_there_is_and_stands_where_centres_say():
    task = ClutteredDigits(size=30, digit=16, distractors=0)
    known = {tuple(image.flatten().tolist()): int(label) for part in SPLITS for image, label in pairs(task, part)}
    batch = task.batch(100, generator(), "test")
    for image, (label,), centre in zip(batch.images_BHW, batch.targets_BT.tolist(), batch.centres_B2.tolist(), strict=True):
        row, column = (round((c + 1) / 2 * 30 - 8) for c in centre)
        inside = image[row : row + 16, column : column + 16].clone()
        assert known[tuple((inside * 255).round().int().flatten().tolist())] == label
        image[row : row + 16, column : column + 16] = 0
        assert not image.any()


def pairs(task, split):
    images, labels = (part.on(torch.device("cpu")) for part in task.digits[split])
    return zip(images.int(), labels, strict=True)


def test_distance_is_from_the_middle_in_pixels(digits):
    batch = digits.batch(200, generator())
    for (row, column), (binned,) in zip(batch.centres_B2.tolist(), batch.slices["distance"].tolist(), strict=True):
        distance = round(math.hypot(row, column) * 20, 3)
        assert binned / 2 < max(distance, 0.6) <= binned
    assert set(batch.slices["distance"].flatten().tolist()) <= {1, 2, 4, 8, 16, 32}


def test_places_are_uniform(digits):
    middles = (digits.batch(20_000, generator()).centres_B2 + 1) * 20
    for coordinate in middles.T:
        counts = torch.bincount(coordinate.round().long() - 8)
        assert len(counts) == 25 and chisquare(counts.numpy()).pvalue > 1e-3


def test_pieces_are_of_the_same_split_and_of_other_digits():
    task = Clutter(digits=coloured(), size=40, digit=8, distractors=4)
    for number, split in enumerate(SPLITS):
        own = set(range(30 * number + 1, 30 * number + 31))
        found = shades(task, split)
        assert set().union(*found) == own
        assert {len(image) for image in found} <= {2, 3, 4, 5} and max(map(len, found)) == 5
    pair = {split: (images[:2], labels[:2]) for split, (images, labels) in coloured().items()}
    for image in shades(Clutter(digits=pair, size=60, digit=8, distractors=1), "train"):
        assert image == {1, 2} or len(image) == 1  # hidden whole; or the digit and the one other there is, never itself twice


def test_the_number_of_pieces_and_their_size():
    plain = {split: (images.fill_(255), labels) for split, (images, labels) in coloured(side=16).items()}
    for distractors in (0, 1, 3):
        batch = Clutter(digits=plain, size=60, digit=16, distractors=distractors).batch(500, generator())
        covered = batch.images_BHW.sum((1, 2))
        assert covered.max() == 16**2 + distractors * 8**2, "where nothing overlaps"
        assert covered.min() >= 16**2


def test_the_brighter_pixel_shows():
    image = torch.zeros(1, 4, 4)
    patches = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 0.5], [0.0, 1.0]]])
    paste_(image, patches[None], torch.tensor([[[0, 0], [1, 1]]]))
    assert image[0].tolist() == [[1, 2, 0, 0], [3, 5, 0.5, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_bundled_digits_are_each_in_one_split(digits):
    small = ClutteredDigits(digit=8)
    found = [tuple(image.flatten().tolist()) for split in SPLITS for image, _ in pairs(small, split)]
    published = load_digits().images
    assert len(found) == len(set(found)) == len(published) == 1797, "no two are alike, and none is in two splits"
    assert set(found) == {tuple((image * 255 / 16).round().astype(int).flatten().tolist()) for image in published}
    label_of = {
        tuple((image * 255 / 16).round().astype(int).flatten().tolist()): label
        for image, label in zip(published, load_digits().target, strict=True)
    }
    assert all(label_of[tuple(image.flatten().tolist())] == label for split in SPLITS for image, label in pairs(small, split))


def test_heuristic_and_provenance(digits):
    _, score = digits.heuristic
    labels = digits.batch(20_000, generator(), "test").targets_BT.flatten()
    assert digits.chance < score == pytest.approx(float(labels.bincount().max()) / 20_000, abs=0.01)
    provenance = digits.provenance()
    assert provenance["images"] == 1797 and len(provenance["sha256"]) == 64


def test_unknown_split(digits):
    with pytest.raises(ValueError, match="^unknown split 'out' of digits; use one of train, validation, test$"):
        digits.batch(2, generator(), "out")


def idx_file(values):
    """As published: two zeros, 8 for bytes, the number of axes; their lengths; the bytes."""
    lengths = b"".join(length.to_bytes(4, "big") for length in values.shape)
    return gzip.compress(bytes([0, 0, 8, values.ndim]) + lengths + values.to(torch.uint8).numpy().tobytes())


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """A folder of 120 + 20 small digits in MNIST's format; each is one shade, its number among all of them + 1."""
    (tmp_path / "mnist").mkdir()
    everything = torch.arange(1, 141)[:, None, None].expand(-1, 28, 28)
    parts = {"train": everything[:120], "t10k": everything[120:]}
    sums = {}
    for name in ClutteredMnist.sha256:
        part = parts[name.split("-")[0]]
        data = idx_file(part if "images" in name else part[:, 0, 0] % 10)
        (tmp_path / "mnist" / name).write_bytes(data)
        sums[name] = hashlib.sha256(data).hexdigest()
    monkeypatch.setattr(ClutteredMnist, "sha256", sums)
    return tmp_path


def test_mnist_from_files(mnist):
    task = ClutteredMnist(root=str(mnist), download=False, distractors=0)
    seen = {}
    for split in SPLITS:
        batch = task.batch(2000, generator(), split)
        shade_B = (batch.images_BHW.amax((1, 2)) * 255).round().long()
        assert torch.equal(batch.targets_BT[:, 0], shade_B % 10)
        seen[split] = set(shade_B.tolist())
    assert seen["test"] == set(range(121, 141)), "the published test digits"
    assert seen["train"] | seen["validation"] == set(range(1, 121)) and not seen["train"] & seen["validation"]
    assert len(seen["validation"]) == 10
    assert batch.images_BHW.shape == (2000, 60, 60)
    assert task.provenance() == {"source": ClutteredMnist.url, "path": "mnist", "sha256": ClutteredMnist.sha256, "images": 140}


def test_idx():
    values = torch.arange(24).view(2, 3, 4)
    assert torch.equal(idx(idx_file(values)).int(), values.int())


def test_published_mnist_labels_and_test_images():
    """Those files that may be there."""
    folder = Path(os.environ.get("STUDY_DATA_ROOT", "data"), "mnist")
    names = [name for name in ClutteredMnist.sha256 if (folder / name).exists()]
    if not names:
        pytest.skip("no MNIST here (STUDY_DATA_ROOT names the folder of real data)")
    for name in names:
        data = (folder / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == ClutteredMnist.sha256[name]
        count = 60_000 if name.startswith("train") else 10_000
        assert idx(data).shape == ((count, 28, 28) if "images" in name else (count,))
