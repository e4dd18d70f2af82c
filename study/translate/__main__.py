"""Standard input, line by line, as a finished run translates it. Torch is imported only once there is something to do."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

EXAMPLE = "example: python -m study.translate --run runs/NAME --beam 5 < sources.txt > targets.txt"


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.exit(f"error: {message} (python -m study.translate --help explains every option)")


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(prog="python -m study.translate", description=__doc__, epilog=EXAMPLE, allow_abbrev=False)
    parser.add_argument(
        "--run", type=_folder, required=True, metavar="FOLDER", help="of a finished run, trained with trainer.keep_weights=true"
    )
    parser.add_argument("--beam", type=_beam, default=1, metavar="N", help="outputs kept side by side; 1, the default: greedy")
    parser.add_argument(
        "--length-penalty",
        type=_penalty,
        default=0.0,
        metavar="X",
        help="exponent of Wu et al. 2016, equation 14, from 0 to 10; 0, the default: none, so that short outputs win",
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        metavar="FOLDER",
        help="put one alignment picture per line there (PNG; SVG where no font here has its script)",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Exits with a message, and code 1, where anything was wrong or a line could not be read."""
    given = options(arguments)
    from study.translate.translator import BATCH, Translator

    unread = 0
    try:
        translator = Translator(given.run, given.beam, given.length_penalty)
        batch = 1 if sys.stdin.isatty() else BATCH
        for answer, complaint in translator.write(sys.stdin.buffer, given.pictures, batch):
            print(answer, flush=True)
            if complaint:
                unread += 1
                print(complaint, file=sys.stderr)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")
    if unread:
        sys.exit(f"error: {unread} lines could not be read; their answers are empty")


def _folder(text: str) -> Path:
    if not text or not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text}: no such folder; name that of a finished run, runs/NAME")
    return Path(text)


def _beam(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number, at least 1")
    return int(text)


def _penalty(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 10:  # refuses nan, too
        raise argparse.ArgumentTypeError(f"{text}: must be a number from 0 to 10; 0.6 to 1 is usual")
    return value


if __name__ == "__main__":
    main()
