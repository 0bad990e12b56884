"""Pictures as SVG: what all of them have around their shapes."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def picture(title: str, legend: str, width: int, height: int, shapes: Iterable[str]) -> str:
    """A picture with a title and a legend at its top, on white.

    Args:
        title, legend: texts.
        width, height: in pixels.
        shapes: SVG elements; the first 56 pixels from the top are taken.
    """
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif" font-size="13" role="img">',
            f"<title>{escape(title)}</title>",
            '<rect width="100%" height="100%" fill="#fff"/>',
            f'<text x="16" y="22" font-weight="bold">{escape(title)}</text>',
            f'<text x="16" y="42" fill="#555">{escape(legend)}</text>',
            *shapes,
            "</svg>",
            "",
        ]
    )
