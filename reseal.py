"""Run once: parts by name in the committed records, and the kind of their task. Proves what it changes.

The old rule is that of the revision before, checked out beside: it must give the id that each record has.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from omegaconf import OmegaConf

from study import parts, records, schema

ROOT = Path(__file__).parent
OLD_RULE = """
import json, sys
from omegaconf import OmegaConf
from study import parts, schema
names = {target: [room, name] for room in parts.ROOMS for name, target in parts.choices(room).items()}
ids = [schema.identity(OmegaConf.create(json.loads(line)["config"])) for path in sys.argv[1:] for line in open(path)]
print(json.dumps([names, ids]))
"""


def old_rule(revision: str, paths: list[Path]) -> tuple[dict[str, list[str]], list[str]]:
    """Group and name by import path, and the id of each record's config, as the code of ``revision`` has them."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", revision, "study", "conf"], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
        words = [sys.executable, "-c", OLD_RULE, *map(str, paths)]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    return tuple(json.loads(done.stdout))  # type: ignore[return-value]


def renewed(old: dict, names: dict[str, list[str]], former: str) -> dict:
    assert records.checksum(old) == old["checksum"] and old["id"] == former and old["name"].endswith(f"-{former}"), old["name"]
    new = json.loads(json.dumps(old))
    for group in parts.GROUPS:
        if node := new["config"].get(group):
            found, node["name"] = names[node.pop("_target_")]
            assert found == group
    new["kind"] = parts.outline("task", new["config"]["task"]["name"]).kind
    new["id"] = schema.identity(OmegaConf.create(new["config"]))
    new["name"] = old["name"].removesuffix(former) + new["id"]
    new["checksum"] = records.checksum(new)
    same_but_for(old, new, {"id", "name", "kind", "checksum", "config"})
    for key in old["config"] | new["config"]:
        if key in parts.GROUPS:
            same_but_for(old["config"][key], new["config"][key], {"name", "_target_"})
        else:
            assert old["config"][key] == new["config"][key], (old["name"], key)
    return new


def same_but_for(old: dict, new: dict, keys: set[str]) -> None:
    assert old.keys() - keys == new.keys() - keys and all(old[key] == new[key] for key in old.keys() - keys)


def main() -> None:
    paths = sorted(ROOT.glob("results/*/records/*.jsonl"))
    names, ids = old_rule(sys.argv[1], paths)
    former = iter(ids)
    seen: set[str] = set()
    for path in paths:
        old = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        new = [renewed(record, names, next(former)) for record in old]
        assert len({record["name"] for record in old}) == len({record["name"] for record in new}) == len(new)
        assert not seen & {record["id"] for record in new}
        seen |= {record["id"] for record in new}
        records.write_lines(path, new)
        assert [record["plan"] for record in records.load_lines(path)] and len(list(records.load_lines(path))) == len(old)
        print(path.relative_to(ROOT), len(new))
    assert next(former, None) is None
    golden = ROOT / "tests/analysis/golden/results/core/records/tiny.jsonl"
    lines = []
    for line in golden.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except ValueError:  # the one that is cut short
            lines.append(line)
            continue
        sealed = records.checksum(record) == record["checksum"]  # one is edited, and stays so
        record["kind"] = "tokens"
        if sealed:
            record["checksum"] = records.checksum(record)
        lines.append(records._dump(record))
    golden.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
