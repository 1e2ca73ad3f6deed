"""A release is the integration with the version of its tag, and with words for people."""

import json
from pathlib import Path
from zipfile import ZipFile

import pytest

from scripts import release_zip

CHANGELOG = """\
# Changelog

## Unreleased

- Not yet.

## 1.10.0 – 2027-03-02

- Opens faster.

## 1.1.0

## 1.0.0

- First.
"""


def a_project(top: Path) -> Path:
    """Write a small project, with what is never released beside it."""
    folder = top / "custom_components" / "salto_ks"
    (folder / "translations").mkdir(parents=True)
    (folder / "__pycache__").mkdir()
    manifest = '{"domain": "salto_ks", "name": "Salto KS", "version": "0.0.0"}'
    (folder / "manifest.json").write_text(manifest, encoding="utf-8")
    (folder / "translations" / "nl.json").write_text('{"a": "één"}', encoding="utf-8")
    (folder / "__pycache__" / "lock.pyc").write_bytes(b"\0")
    (top / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("tag", "version"), [("v1.2.3", "1.2.3"), ("1.2.3", "1.2.3"), ("v1.2.3b1", "1.2.3b1")]
)
def test_a_tag_names_a_version(tag: str, version: str) -> None:
    """With a v or without, and betas too."""
    assert release_zip.version_of(tag) == version


@pytest.mark.parametrize("tag", ["", "main", "v1.2", "v1.2.3-rc1", "v1.2.3\n", "version1.2.3"])
def test_another_tag_is_refused(tag: str) -> None:
    """What HACS and Home Assistant could not compare is no release."""
    with pytest.raises(ValueError, match="is no version"):
        release_zip.version_of(tag)


def test_the_notes_are_those_of_the_version() -> None:
    """Whatever stands beside the version in its heading."""
    assert release_zip.notes_of(CHANGELOG, "1.10.0") == "- Opens faster.\n"
    assert release_zip.notes_of(CHANGELOG, "1.0.0") == "- First.\n"


@pytest.mark.parametrize("version", ["1.1.0", "1.10", "2.0.0"])
def test_a_version_without_notes_is_refused(version: str) -> None:
    """An empty section is none, and the beginning of a version is not the version."""
    with pytest.raises(ValueError, match="has nothing under"):
        release_zip.notes_of(CHANGELOG, version)


def test_the_zip_holds_the_folder_with_its_version(tmp_path: Path) -> None:
    """The files lie at the top, as HACS unpacks them; only the manifest is another one."""
    folder = a_project(tmp_path)
    assert release_zip.main(["v1.10.0"], tmp_path) == 0
    with ZipFile(tmp_path / "dist" / "salto_ks.zip") as archive:
        assert archive.namelist() == ["manifest.json", "translations/nl.json"]
        manifest = json.loads(archive.read("manifest.json"))
        assert archive.read("translations/nl.json").decode() == '{"a": "één"}'
    assert manifest == {"domain": "salto_ks", "name": "Salto KS", "version": "1.10.0"}
    assert list(manifest)[:2] == ["domain", "name"]
    assert json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["version"] == "0.0.0"
    notes = (tmp_path / "dist" / "notes.md").read_text(encoding="utf-8")
    assert notes == "- Opens faster.\n"


def test_the_same_files_give_the_same_zip(tmp_path: Path) -> None:
    """Whenever it is made."""
    folder = a_project(tmp_path)
    first, second = tmp_path / "1.zip", tmp_path / "2.zip"
    release_zip.write_zip(folder, "1.0.0", first)
    (folder / "manifest.json").touch()
    release_zip.write_zip(folder, "1.0.0", second)
    assert first.read_bytes() == second.read_bytes()


def test_no_release_is_made_of_a_wrong_tag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says why, and leaves nothing behind."""
    a_project(tmp_path)
    assert release_zip.main(["v1.1.0"], tmp_path) == 1
    assert "## 1.1.0" in capsys.readouterr().err
    assert not (tmp_path / "dist").exists()


def test_hacs_looks_for_the_file_that_is_made() -> None:
    """The name in hacs.json is the name of the zip."""
    hacs = json.loads((release_zip.TOP / "hacs.json").read_text(encoding="utf-8"))
    assert hacs["zip_release"] is True
    assert hacs["filename"] == f"{release_zip.NAME}.zip"
