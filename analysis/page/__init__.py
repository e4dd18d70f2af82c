"""``page.html``: findings, experiments and all runs on one page, opened from a file, with nothing fetched from anywhere.

``contrasts`` and ``studies`` make what is read, ``table``, ``curves`` and ``maps`` the data of the runs; ``template`` holds
the HTML and the styles, ``script`` the page's own JavaScript, ``vendor`` the libraries it stands on. ``live`` serves the page
while a sweep trains.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from analysis import wording
from analysis.claims import Claims
from analysis.load import ROOT, Loaded
from analysis.page import contrasts, curves, maps, studies, table
from analysis.results import Results
from analysis.statistics import t_quantile
from analysis.verdicts import Verdicts
from study import yamls
from study.records import Record

HERE = Path(__file__).parent
NAME = "page.html"
METHOD = ROOT / "results" / "METHOD.md"
MOST_SEEDS = 400  # of a group; beyond, t is normal to three digits


@dataclass(frozen=True)
class Shown:
    """One tier: its verdicts, its experiments, and the folder with their SVG figures (those of these records are put in)."""

    judged: Verdicts
    results: dict[str, Results]
    figures: Path


def build(claims: Claims, tiers: Sequence[Shown], loaded: Loaded, source: str, live: bool = False) -> str:
    """The page. With ``live`` it asks its server for progress and refreshes itself."""
    ordered = sorted(tiers, key=lambda tier: -contrasts.decided(tier.judged))
    records = [*chain.from_iterable(loaded.by_tier.values()), *loaded.singles]
    environment = Environment(
        loader=FileSystemLoader(HERE / "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["slug"] = lambda text: re.sub(r"[^a-z0-9]+", "-", text.lower())
    environment.filters["in_words"] = wording.MEANINGS.__getitem__
    return environment.get_template("page.html").render(
        source=source,
        live=live,
        tiers=[
            {
                "name": tier.judged.tier,
                "prefix": "" if tier is ordered[0] else f"{tier.judged.tier}-",
                **contrasts.of(claims, tier.judged, tier.results),
                "experiments": [studies.of(one, tier.judged, claims, tier.figures) for one in tier.results.values()],
            }
            for tier in ordered
        ],
        corrections=claims.corrections,
        set_aside=[*loaded.set_aside, *loaded.replaced],
        provenance=studies.provenance(records),
        method=Markup(MarkdownIt().render(METHOD.read_text(encoding="utf-8").split("\n", 1)[1])),
        libraries=[{"name": name, **library} for name, library in libraries().items()],
        styles=[*_texts(_vendored(".css")), *_texts([HERE / "template" / "page.css"])],
        scripts=_texts(_vendored(".js")),
        script=Markup("\n".join(_texts(sorted((HERE / "script").glob("*.js"))))),
        data=_json(data(records, [one for tier in ordered for one in tier.results.values()])),
    )


def data(records: Sequence[Record], results: Sequence[Results]) -> dict[str, Any]:
    """What the page's script draws tables and curves from."""
    return {
        "count": len(records),
        "names": table.front_coded([record["name"] for record in records]),
        "columns": table.table(records, results),
        "curves": curves.curves(records),
        "maps": maps.maps(records),
        "glimpses": maps.glimpses(records),
        "arms": studies.arms(results),
        "t": [round(t_quantile(freedom, 0.975), 5) for freedom in range(1, MOST_SEEDS)],
    }


def libraries() -> dict[str, Any]:
    """What ``vendor`` holds, by name."""
    return yamls.read(HERE / "vendor" / "libraries.yaml")


def changed_files() -> list[str]:
    """Files of ``vendor`` that are not what their libraries' packages hold."""
    listed = {file: entry["sha256"] for library in libraries().values() for file, entry in library["files"].items()}
    return [file for file, sha in listed.items() if hashlib.sha256((HERE / "vendor" / file).read_bytes()).hexdigest() != sha]


def _vendored(ending: str) -> list[Path]:
    return [HERE / "vendor" / file for library in libraries().values() for file in library["files"] if file.endswith(ending)]


def _texts(paths: Sequence[Path]) -> list[Markup]:
    """What files say, without the addresses of their source maps, which a browser would ask for."""
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return [Markup(re.sub(r"(//|/\*)# sourceMappingURL=\S+( \*/)?\s*$", "", text)) for text in texts]


def _json(value: Any) -> Markup:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # no text of a record ends the element, or begins another
