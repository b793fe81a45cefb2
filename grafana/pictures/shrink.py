"""Make pictures small enough for a repository: `python -m grafana.pictures.shrink FOLDER docs/images`.

Each is cut off below, made narrower, and gets as many colors as fit into the limit.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT = 1200, 1250
MAX_BYTES = 150_000


def shrink(picture: Image.Image) -> bytes:
    """The picture as PNG. Raises ValueError if it is too large with few colors."""
    scale = WIDTH / picture.width
    narrow = picture.convert("RGB").resize((WIDTH, round(picture.height * scale)), Image.Resampling.LANCZOS)
    cut = narrow.crop((0, 0, WIDTH, min(HEIGHT, narrow.height)))
    for colors in (256, 128, 64, 32):
        output = BytesIO()
        few = cut.quantize(colors, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
        few.save(output, "png", optimize=True)
        if output.tell() <= MAX_BYTES:
            return output.getvalue()
    raise ValueError(f"more than {MAX_BYTES} bytes with 32 colors")


def main(arguments: list[str]) -> int:
    """Shrink every picture of the first folder into the second."""
    source, target = map(Path, arguments)
    for path in sorted(source.glob("*.png")):
        with Image.open(path) as picture:
            found = shrink(picture)
        (target / path.name.removeprefix("airflow-")).write_bytes(found)
        print(f"{path.name}: {len(found)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
