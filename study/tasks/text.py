"""Character language modelling on real text.

>>> print(Shakespeare(length=24, root="data", download=False).sample())
tokens  k n o w ' s t , ␣ g r e a t ␣ s o n , ⏎ T h e ␣
answers n o w ' s t , ␣ g r e a t ␣ s o n , ⏎ T h e ␣ e

Shapes: B stretches of text, N characters each, all scored: each position answers the next character.
"""

import hashlib
import math
import platform
import string
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from study.tasks.base import IGNORE, Batch, Constant, Task, at_least, up_to_power_of_two
from study.tasks.download import pinned_file

PRINTABLE = "\n" + "".join(sorted(set(string.printable) - set(string.whitespace) | {" "}))


class CharacterText(Task):
    """A text cut by position: the first 90 % train, the next 5 % validate, the last 5 % test.

    A batch is `size` stretches of length+1 tokens at random offsets of its split; here a token is a character.
    Of the training split its first part is used alone, `share` of it.
    """

    causal = True
    metric: Literal["accuracy", "bits_per_character"] = "bits_per_character"
    solved_at = None
    shares: ClassVar[dict[str, tuple[float, float]]] = {"train": (0.0, 0.90), "validation": (0.90, 0.95), "test": (0.95, 1.0)}

    def __init__(self, *, text: str, alphabet: str, length: int, share: float = 1.0):
        """text: characters of `alphabet` (ASCII, no two alike) only, whose order numbers the tokens."""
        at_least(length=(length, 1))
        if not 0 < share <= 1:
            raise ValueError(f"share is {share}; it must be above 0 and at most 1, the whole training split")
        self.length = length
        self.alphabet = alphabet
        self.text = text
        bounds = {split: (round(start * len(text)), round(stop * len(text))) for split, (start, stop) in self.shares.items()}
        bounds["train"] = (0, round(share * bounds["train"][1]))
        self._tokenize(_encode(text, alphabet), bounds, list(alphabet), "characters")

    def _tokenize(self, codes: Tensor, bounds: dict[str, tuple[int, int]], symbols: list[str], unit: str) -> None:
        """codes: the text as numbers of `symbols`, its tokens; bounds: where each split starts and stops in it."""
        shortest = min(stop - start for start, stop in bounds.values())
        if self.length >= shortest:
            raise ValueError(
                f"length is {self.length}, but the text's shortest split has {shortest} {unit}; use at most {shortest - 1}"
            )
        self.vocabulary = self.classes = len(symbols)
        self.symbols = symbols
        self.codes, self.bounds = codes, bounds
        self._codes = Constant(codes)

    def batch(self, size: int, generator: torch.Generator, split: str = "train") -> Batch:
        device = generator.device
        start, stop = self._span(split)
        first_B1 = torch.randint(start, stop - self.length, (size, 1), generator=generator, device=device)
        stretch = torch.arange(self.length + 1, device=device)
        codes_BM = self._codes.on(device)[first_B1 + stretch].long()
        position_N = up_to_power_of_two(stretch[1:])
        return Batch(codes_BM[:, :-1], codes_BM[:, 1:], slices={"position": position_N.expand(size, -1)})

    def solve(self, tokens: list[int]) -> list[int]:
        return tokens[1:] + [IGNORE]  # what follows the last one stands in the text only

    def source_names(self, tokens: list[int]) -> list[str]:
        return ["".join({" ": "␣", "\n": "⏎"}.get(character, character) for character in self.symbols[t]) for t in tokens]

    target_names = source_names

    @property
    def chance(self) -> float:
        return math.log2(self.vocabulary)

    @property
    def heuristic(self) -> tuple[str, float]:
        """Cross-entropy, in bits, of the training split's letter frequencies on the test split.

        Every count starts at one (Laplace): a character that the training split lacks must not make it infinite.
        """
        train, test = (Counter(self.codes[slice(*self._span(split))].tolist()) for split in ("train", "test"))
        total = train.total() + self.vocabulary
        bits = -sum(count * math.log2((train[code] + 1) / total) for code, count in test.items())
        return "each character's frequency, whatever came before", bits / test.total()

    def _span(self, split: str) -> tuple[int, int]:
        if split not in self.bounds:
            raise ValueError(f"unknown split {split!r} of a text; use one of {', '.join(self.bounds)}")
        return self.bounds[split]


def _encode(text: str, alphabet: str) -> Tensor:
    """The text as token numbers (uint8, to be small)."""
    table = torch.zeros(128, dtype=torch.uint8, device="cpu")
    for number, character in enumerate(alphabet):
        table[ord(character)] = number
    return table[torch.frombuffer(bytearray(text, "ascii"), dtype=torch.uint8).long()]


class Shakespeare(CharacterText):
    """tinyshakespeare (Karpathy's char-rnn; MIT repository, public-domain text): 65 different characters.

    Raises what `study.tasks.download.pinned_file` raises.
    """

    name = "shakespeare"
    url = (
        "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e"
        "/data/tinyshakespeare/input.txt"
    )
    sha256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    path = Path("tinyshakespeare", "input.txt")

    def __init__(self, *, length: int = 64, share: float = 1.0, root: str, download: bool):
        data = pinned_file(Path(root).expanduser() / self.path, self.url, self.sha256, download)
        text = data.decode("ascii")
        super().__init__(text=text, alphabet="".join(sorted(set(text))), length=length, share=share)

    def provenance(self) -> dict[str, Any]:
        return {
            "source": self.url,
            "path": self.path.as_posix(),
            "sha256": self.sha256,
            "characters": len(self.text),
        }


class PydocTopics(CharacterText):
    """The language reference behind `help()`, which every Python ships: nothing to download.

    The topics in alphabetical order; what is neither printable ASCII nor a newline becomes "?". The
    vocabulary is all of printable ASCII and the newline, whatever the Python version; the text itself changes
    from version to version: compare runs of one sha256 only.
    """

    name = "pydoc"

    def __init__(self, *, length: int = 64, share: float = 1.0):
        super().__init__(text=_topics(), alphabet=PRINTABLE, length=length, share=share)

    def provenance(self) -> dict[str, Any]:
        return {
            "source": f"pydoc_data.topics of Python {platform.python_version()}",
            "path": "pydoc_data/topics.py",
            "sha256": hashlib.sha256(self.text.encode("ascii")).hexdigest(),
            "characters": len(self.text),
        }


@cache
def _topics() -> str:
    from pydoc_data.topics import topics  # 0.7 MB of source: only when asked for

    known = set(PRINTABLE)
    text = "\n".join(topics[name] for name in sorted(topics))
    return "".join(character if character in known else "?" for character in text)
