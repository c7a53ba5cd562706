"""The gallery: its page, its files, and how they are drawn."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cosim.ktram.lessons import gallery
from cosim.ktram.lessons.gallery import GALLERY

FOLDER = Path(__file__).parents[3] / "docs" / "gallery"
QUICK = ("two-numbers", "two-readouts", "noise-map")


def gray(path: Path) -> NDArray[np.float64]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"), dtype=float)


def ink(path: Path) -> float:
    """Return the part of the pixels that differ from the background."""
    return float((gray(path) < 250).mean())


def test_page_and_files_are_those_of_the_lessons() -> None:
    assert (FOLDER / "ktram.md").read_text(encoding="utf-8") == gallery.index()
    assert sorted(path.name for path in FOLDER.glob("ktram-*")) == sorted(map(gallery.file_name, GALLERY))


@pytest.mark.parametrize("name", GALLERY)
def test_pictures_show_something(name: str) -> None:
    path = FOLDER / gallery.file_name(name)
    with Image.open(path) as picture:
        assert min(picture.size) > 100
        assert (getattr(picture, "n_frames", 1) > 20) == path.name.endswith(".gif")
    assert ink(path) > 0.01


@pytest.mark.parametrize("name", QUICK)
def test_a_picture_is_drawn_again_as_it_is_stored(name: str, tmp_path: Path) -> None:
    drawn, stored = (gray(path) for path in (gallery.write(name, tmp_path), FOLDER / gallery.file_name(name)))
    assert drawn.shape == stored.shape
    assert np.abs(drawn - stored).mean() < 5  # fonts may differ, the picture may not


@pytest.mark.acceptance
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", GALLERY)
def test_gallery_is_drawn(name: str) -> None:
    path = gallery.write(name, FOLDER)
    print(f"gallery     {path.name:36s} {path.stat().st_size // 1024:5d} kB")  # noqa: T201
    assert ink(path) > 0.01
