"""Published files, byte for byte: read where they lie, or fetched once; never used without their checksum."""

import hashlib
import http.client
import urllib.request
from pathlib import Path

from study import files

TIMEOUT = 30  # seconds without a byte


def pinned_file(path: Path, url: str, sha256: str, download: bool) -> bytes:
    """The bytes of `path`, fetched from `url` first when the file isn't there and `download` allows it.

    The file appears whole and checked, or not at all (a temporary file beside it, then one rename), so that a
    broken connection, a kill or a second process can't leave half of it behind.
    Raises ValueError on a wrong checksum (a file that was there is left as it is), FileNotFoundError when
    there is no file and `download` is false, OSError when fetching or writing fails.
    """
    if not path.exists():
        if not download:
            raise FileNotFoundError(f"{path} is missing: set data.download=true, or put {url} into the folder {path.parent}")
        _fetch(path, url, sha256)
    data = path.read_bytes()
    actual = hashlib.sha256(data).hexdigest()
    if actual != sha256:
        raise ValueError(
            f"{path} is not the published file (sha256 {actual}, not {sha256}): move it away and fetch {url} again"
        )
    return data


def _fetch(path: Path, url: str, sha256: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.sweep(path.parent, f".{path.name}.*{files.SUFFIX}", files.DAY)  # younger ones may be another process's
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
            data = response.read()
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise ValueError(f"{url} sent {len(data)} bytes with sha256 {found}, not {sha256}: nothing kept, try again")
        with files.replacing(path) as temporary:
            temporary.write_bytes(data)
    except (OSError, http.client.HTTPException) as error:
        raise OSError(
            f"could not fetch {url} into the folder {path.parent} ({error!r}): put the file there by hand, "
            "or point data.root at a folder that has it"
        ) from error
