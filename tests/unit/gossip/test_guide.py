"""The page for users of gossip alone: its program runs, and its diagram is the machine's table."""

import re
import subprocess
import sys
from pathlib import Path

from gossip.diagram import mermaid
from gossip.rules import TRANSITIONS

PAGE = (Path(__file__).parents[3] / "docs" / "guide" / "gossip.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_diagram_is_drawn_from_the_table() -> None:
    assert [mermaid() + "\n"] == blocks("mermaid")
    assert len(TRANSITIONS) + 1 == len(mermaid().splitlines())


def test_the_program_prints_what_the_page_says() -> None:
    command = [sys.executable, "-c", blocks("python")[0]]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    assert (0, blocks("text")[0]) == (done.returncode, done.stdout), done.stderr
