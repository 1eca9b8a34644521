"""Takes the README's picture: the page of `digits` with a digit drawn on it."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from build_examples import build

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "page.png"


def stroke() -> list[tuple[float, float]]:
    """A 3 as points in the unit square: two arcs, one below the other."""
    arcs = [(0.30, 0.19, -150, 90), (0.68, 0.20, -90, 150)]
    return [(0.47 + radius * math.cos(math.radians(angle)),
             centre + radius * math.sin(math.radians(angle)))
            for centre, radius, first, last in arcs for angle in range(first, last + 1, 10)]


def draw(page: Any, points: list[tuple[float, float]]) -> None:
    """Draw on the page's canvas with the mouse."""
    box = page.locator("canvas").first.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=2)
    page.mouse.up()


def main() -> None:
    """Build the page, draw, and save docs/page.png."""
    from playwright.sync_api import sync_playwright

    from transpile.verify.browser import FLAGS, find_chromium
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 760, "height": 640}, device_scale_factor=1.5)
        page.goto(build("digits", Path(folder), verify=False).as_uri())
        draw(page, stroke())
        page.wait_for_timeout(500)
        PICTURE.parent.mkdir(exist_ok=True)
        page.screenshot(path=str(PICTURE))
        browser.close()


if __name__ == "__main__":
    main()
