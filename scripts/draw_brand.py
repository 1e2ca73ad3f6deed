"""Draw the integration's pictures: a key whose head is a keypad.

Usage: ``python scripts/draw_brand.py [FOLDER]`` (default: the integration's ``brand`` folder).

Home Assistant wants a square ``icon.png`` of 256 pixels and a landscape ``logo.png``, each also at
twice the size and as a variant for dark backgrounds, trimmed to what is drawn.
"""

from dataclasses import dataclass
from pathlib import Path
import sys

from PIL import Image, ImageDraw, ImageFont

OVERSAMPLING = 4
"""Everything is drawn this much larger than the largest picture, then reduced."""

SIDE = 512 * OVERSAMPLING
ICON_SIDES = {"icon.png": 256, "icon@2x.png": 512}
LOGO_HEIGHTS = {"logo.png": 128, "logo@2x.png": 256}
NAME = "Salto KS"


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one variant."""

    tile: str
    key: str
    pressed: str
    text: str


LIGHT = Palette(tile="#0E5A6D", key="#FFFFFF", pressed="#FFB020", text="#0E3641")
DARK = Palette(tile="#17819A", key="#FFFFFF", pressed="#FFC24D", text="#F3F8F9")


def draw_key(palette: Palette) -> Image.Image:
    """Draw the key alone, upright and then turned, on a transparent square."""
    image = Image.new("RGBA", (SIDE, SIDE))
    draw = ImageDraw.Draw(image)
    unit = SIDE / 100

    def block(box: tuple[float, float, float, float], radius: float, fill: str) -> None:
        draw.rounded_rectangle([side * unit for side in box], radius * unit, fill=fill)

    block((27, 4, 73, 50), 12, palette.key)
    block((43.5, 40, 56.5, 95), 5, palette.key)
    block((46, 63, 71, 73), 3.5, palette.key)
    block((46, 80, 66, 90), 3.5, palette.key)
    for row in range(3):
        for column in range(3):
            x, y = 50 + (column - 1) * 12.5, 27 + (row - 1) * 12.5
            fill = palette.pressed if (row, column) == (1, 1) else palette.tile
            block((x - 4.2, y - 4.2, x + 4.2, y + 4.2), 2.2, fill)
    return image.rotate(45, Image.Resampling.BICUBIC)


def draw_icon(palette: Palette) -> Image.Image:
    """Draw the key on its tile, without a margin."""
    image = Image.new("RGBA", (SIDE, SIDE))
    box = (0, 0, SIDE - 1, SIDE - 1)
    ImageDraw.Draw(image).rounded_rectangle(box, SIDE * 0.22, fill=palette.tile)
    key = draw_key(palette)
    key = key.crop(key.getchannel("A").getbbox())
    scale = SIDE * 0.7 / max(key.size)
    key = key.resize(
        (round(key.width * scale), round(key.height * scale)), Image.Resampling.LANCZOS
    )
    image.alpha_composite(key, ((SIDE - key.width) // 2, (SIDE - key.height) // 2))
    return image


def draw_logo(palette: Palette) -> Image.Image:
    """Draw the icon with the name at its right."""
    icon = draw_icon(palette)
    font = ImageFont.load_default(SIDE * 0.5)
    weight = round(SIDE * 0.012)
    left, top, right, bottom = font.getbbox(NAME, stroke_width=weight)
    gap = round(SIDE * 0.17)
    image = Image.new("RGBA", (round(SIDE + gap + right - left), SIDE))
    image.alpha_composite(icon, (0, 0))
    place = (SIDE + gap - left, (SIDE - (bottom - top)) / 2 - top)
    pen = ImageDraw.Draw(image)
    pen.text(place, NAME, font=font, fill=palette.text, stroke_width=weight)
    return image.crop(image.getchannel("A").getbbox())


def save(image: Image.Image, height: int, path: Path) -> None:
    """Write the picture at this height, in pixels."""
    width = round(image.width * height / image.height)
    image.resize((width, height), Image.Resampling.LANCZOS).save(path, optimize=True)


def main(folder: Path) -> None:
    """Write all pictures into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, palette in (("", LIGHT), ("dark_", DARK)):
        icon, logo = draw_icon(palette), draw_logo(palette)
        for name, side in ICON_SIDES.items():
            save(icon, side, folder / f"{prefix}{name}")
        for name, height in LOGO_HEIGHTS.items():
            save(logo, height, folder / f"{prefix}{name}")


if __name__ == "__main__":
    default = Path(__file__).parents[1] / "custom_components" / "salto_ks" / "brand"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
