"""The pictures of the integration are as Home Assistant and HACS want them."""

from pathlib import Path

from PIL import Image
import pytest

BRAND = Path(__file__).parents[2] / "custom_components" / "salto_ks" / "brand"


@pytest.mark.parametrize("prefix", ["", "dark_"], ids=["light", "dark"])
@pytest.mark.parametrize(("suffix", "icon_side", "logo_side"), [("", 256, 128), ("@2x", 512, 256)])
def test_sizes(prefix: str, suffix: str, icon_side: int, logo_side: int) -> None:
    """Icons are square, logos landscape, each at the size its name stands for."""
    with Image.open(BRAND / f"{prefix}icon{suffix}.png") as icon:
        assert icon.size == (icon_side, icon_side)
    with Image.open(BRAND / f"{prefix}logo{suffix}.png") as logo:
        assert logo.height == logo_side
        assert logo.width > logo.height


@pytest.mark.parametrize("path", sorted(BRAND.glob("*.png")), ids=lambda path: path.name)
def test_pictures_are_trimmed_and_transparent(path: Path) -> None:
    """Nothing but the drawing: transparent corners, and no empty margin."""
    with Image.open(path) as image:
        alpha = image.getchannel("A")
        assert alpha.getpixel((0, 0)) == 0
        assert alpha.getbbox() == (0, 0, *image.size)
