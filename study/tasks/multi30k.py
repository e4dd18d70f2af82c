"""Multi30k: descriptions of pictures, German and English (Elliott et al. 2016).

>>> print(Multi30k(root="data", download=False, cache="cache").sample())
source ▁Sie ben ▁Personen ▁sitzen ▁ein ▁met all en en ▁Kla pp st ühlen ▁und ▁dis k ut ieren ▁ein ▁Th em a . </s>
target ▁Se ven ▁people ▁sit ▁at ▁table ▁in ▁metal ▁f old - up ▁chairs ▁discuss ▁top ic . </s>
"""

from pathlib import Path
from typing import Any

from study.tasks.download import pinned_file
from study.tasks.translation import Translation

URL = "https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/"
NAMES = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
SHA256 = {
    "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "test_2016_flickr.de.gz": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    "test_2016_flickr.en.gz": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
}


class Multi30k(Translation):
    """29,000 pairs to train, 1,014 to validate, 1,000 to test (test_2016_flickr), as published: with capitals, not tokenised.

    Raises what `study.tasks.download.pinned_file` raises.
    """

    name = "multi30k"

    def __init__(
        self,
        *,
        source: str = "de",
        target: str = "en",
        vocabulary: int = 4000,
        joint: bool = True,
        lowercase: bool = False,
        longest: int = 128,
        root: str,
        download: bool,
        cache: str,
    ):
        if {source, target} != {"de", "en"}:
            raise ValueError(f"source is {source} and target {target}; use de and en, or en and de")
        folder = Path(root).expanduser() / "multi30k"
        for name, sha256 in SHA256.items():
            pinned_file(folder / name, URL + name, sha256, download)
        files = {split: (folder / f"{name}.{source}.gz", folder / f"{name}.{target}.gz") for split, name in NAMES.items()}
        super().__init__(files=files, vocabulary=vocabulary, joint=joint, lowercase=lowercase, longest=longest, cache=cache)

    def provenance(self) -> dict[str, Any]:
        return {"source": URL, "path": "multi30k"} | super().provenance()
