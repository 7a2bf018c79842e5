"""A run as one HTML page that needs nothing else: all of it, to zoom, filter and search; drawn by `page.html`."""

import json
from pathlib import Path
from typing import Any, Final

from simulations.pictures.picture import Picture
from simulations.pictures.svg import BANDS, COLOURS
from simulations.pictures.window import Window, arrows_in

TEMPLATE: Final = Path(__file__).with_name("page.html")
ARROWS_MAX: Final = 100_000
"""About 8 MB of page; a browser draws what is in view only."""


def page_of(picture: Picture, window: Window) -> str:
    """Draws a run.

    Args:
        picture: of the whole run.
        window: what is shown first.
    """
    arrows, left_out = arrows_in(picture, Window(0, picture.end_ns), ARROWS_MAX)
    header = picture.header
    data: dict[str, Any] = {
        "seed": header.seed,
        "replay": header.replay,
        "plan": header.plan,
        "failures": header.failures,
        "left_out": header.left_out | ({"messages not on this page": left_out} if left_out else {}),
        "nodes": picture.nodes,
        "end": picture.end_ns,
        "window": [window.begin_ns, window.end_ns],
        "colours": COLOURS,
        "band_colours": BANDS,
        "bands": [[each.node, each.kind, each.begin_ns, each.end_ns, each.text] for each in picture.bands],
        "arrows": [
            [each.layer, each.what, each.source, each.target, each.sent_ns, each.came_ns, each.size] for each in arrows
        ],
        "operations": [
            [
                each.number,
                each.node,
                each.text,
                each.begin_ns,
                each.end_ns,
                each.outcome,
                each.detail,
                each.ran_on,
                each.ran_ns,
                each.mark,
            ]
            for each in picture.operations
        ],
        "moments": [[each.at_ns, each.kind, each.node, each.text] for each in picture.moments],
    }
    # Whatever a run wrote, it must not end the script element.
    text = json.dumps(data, separators=(",", ":")).replace("</", "<\\/").replace("<!--", "<\\!--")
    return TEMPLATE.read_text(encoding="utf-8").replace("/*DATA*/null", text, 1)
