"""Make what HACS installs from a release: the integration as one file, with its version.

Usage: ``python scripts/release_zip.py TAG [OUT_FOLDER]``

Writes ``salto_ks.zip`` and ``notes.md``, the words of the changelog for this version. The same
files give the same zip, whenever and wherever it is made.
"""

import json
from pathlib import Path
import re
import sys
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

TOP = Path(__file__).parents[1]
NAME = "salto_ks"

_TAG = re.compile(r"v?(\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?)")
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold."""
_READABLE = 0o644 << 16
_LEFT_OUT = frozenset({"__pycache__", ".DS_Store"})


def version_of(tag: str) -> str:
    """Return the version that a tag names: `v1.2.3`, `1.2.3b1`. Raises ValueError for another."""
    found = _TAG.fullmatch(tag)
    if found is None:
        raise ValueError(f"the tag {tag} is no version: v1.2.3, or v1.2.3b1 for a beta")
    return found[1]


def notes_of(changelog: str, version: str) -> str:
    """Return what the changelog says of a version.

    Raises ValueError where it says nothing: a release without a word for people is none.
    """
    for section in re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        if heading.split()[:1] == [version] and text.strip():
            return f"{text.strip()}\n"
    raise ValueError(f"the changelog has nothing under ## {version}")


def with_version(manifest: str, version: str) -> str:
    """Return a manifest that names this version, its keys in the order that they had."""
    content = json.loads(manifest) | {"version": version}
    return f"{json.dumps(content, indent=2, ensure_ascii=False)}\n"


def write_zip(folder: Path, version: str, out: Path) -> None:
    """Put the files of an integration into a zip, as they lie in its folder."""
    files = (
        path
        for path in folder.rglob("*")
        if path.is_file() and _LEFT_OUT.isdisjoint(path.relative_to(folder).parts)
    )
    with ZipFile(out, "w") as archive:
        for path in sorted(files):
            info = ZipInfo(path.relative_to(folder).as_posix(), _FIRST_DAY)
            info.external_attr, info.compress_type = _READABLE, ZIP_DEFLATED
            content = path.read_bytes()
            if info.filename == "manifest.json":
                content = with_version(content.decode(), version).encode()
            archive.writestr(info, content)


def main(arguments: list[str], top: Path = TOP) -> int:
    """Write both files; return the exit code."""
    out = Path(arguments[1]) if len(arguments) > 1 else top / "dist"
    try:
        version = version_of(arguments[0])
        notes = notes_of((top / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    except ValueError as err:
        print(f"No release: {err}", file=sys.stderr)
        return 1
    out.mkdir(exist_ok=True)
    write_zip(top / "custom_components" / NAME, version, out / f"{NAME}.zip")
    (out / "notes.md").write_text(notes, encoding="utf-8")
    print(f"{NAME} {version}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
