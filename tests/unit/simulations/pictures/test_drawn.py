"""The two ways to draw a run, over the trace of a real one, and the command."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from simulations.pictures.page import page_of
from simulations.pictures.picture import Picture, picture_of
from simulations.pictures.svg import svg_of
from simulations.pictures.window import Window
from simulations.plan import FaultPlan, PathShape, RunPlan
from simulations.rerun import write_trace
from simulations.run import RunResult
from simulations.scheduler import SECOND_NS
from simulations.show import show
from simulations.tracefile import read

SVG = "{http://www.w3.org/2000/svg}"
PLAN = RunPlan(
    seed=3,
    nodes=3,
    faulty_ns=6 * SECOND_NS,
    datagrams=PathShape(loss=0.3),
    faults=FaultPlan(partitions=2, crashes=4, pauses=2),
)
FAILURES = ["no_lost_update: call 5 was acknowledged by n1 and is missing on n2: ORSet-0 add('</script>&')"]


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A healthy run with a made-up failure: what is drawn comes from the trace alone.
    path = write_trace(
        tmp_path_factory.mktemp("traces"), PLAN, RunResult(seed=3, failures=FAILURES), replay="replay it"
    )
    assert path is not None
    return path


@pytest.fixture(scope="module")
def picture(trace: Path) -> Picture:
    return picture_of(*read(trace))


def titles(drawing: str) -> list[str]:
    return [title.text or "" for title in ET.fromstring(drawing).iter(f"{SVG}title")]


def test_picture_of_a_run_has_lost_messages_bands_and_the_broken_call(picture: Picture) -> None:
    assert ["n1", "n2", "n3"] == picture.nodes
    assert {"down", "cut", "slow"} == {band.kind for band in picture.bands}
    assert any(arrow.came_ns is None for arrow in picture.arrows)
    assert any(arrow.came_ns is not None and arrow.came_ns > arrow.sent_ns for arrow in picture.arrows)
    assert [5] == [operation.number for operation in picture.broken()]


def test_svg_shows_nodes_messages_faults_and_the_broken_call(picture: Picture) -> None:
    drawing = svg_of(picture, Window(0, picture.end_ns))
    shown = titles(drawing)
    texts = [text.text for text in ET.fromstring(drawing).iter(f"{SVG}text")]
    assert {"n1", "n2", "n3"} <= set(texts)
    assert any(title.startswith("#5 ") for title in shown)
    assert any(title.endswith(", lost") for title in shown)
    assert any("crash" in title for title in shown)
    assert FAILURES[0] in texts
    assert 1 == drawing.count('stroke-width="3"')


def test_svg_of_a_narrow_window_leaves_out_what_is_elsewhere(picture: Picture) -> None:
    whole, narrow = (svg_of(picture, Window(0, end_ns)) for end_ns in (picture.end_ns, SECOND_NS))
    assert len(titles(narrow)) < len(titles(whole)) / 2


def test_page_holds_the_whole_run_and_text_of_a_run_cannot_end_its_script(picture: Picture) -> None:
    page = page_of(picture, Window(0, SECOND_NS))
    found = re.search(r"const run = (.*);\n", page)
    assert found is not None
    data = json.loads(found[1])
    assert len(picture.arrows) == len(data["arrows"])
    assert len(picture.operations) == len(data["operations"])
    assert ([0, SECOND_NS], FAILURES) == (data["window"], data["failures"])
    assert 1 == page.count("</script>")
    assert "http" not in re.sub(r"const run = .*", "", page)


@pytest.mark.parametrize("suffix", [".svg", ".html"])
def test_command_writes_what_the_suffix_names(trace: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"run{suffix}"
    result = CliRunner().invoke(show, [str(trace), "--out", str(out), "--around", "5"])
    assert 0 == result.exit_code, result.output
    assert "3 nodes" in result.output
    assert "1 of them broken" in result.output
    assert out.stat().st_size > 10_000


def test_command_refuses_what_it_cannot_draw(trace: Path, tmp_path: Path) -> None:
    (tmp_path / "no.jsonl").write_text("{}\n")
    for arguments, text in (
        ([str(tmp_path / "no.jsonl")], "no trace"),
        ([str(trace), "--out", str(tmp_path / "x.png")], "expected --out"),
        ([str(trace), "--around", "999999"], "no call 999999"),
    ):
        result = CliRunner().invoke(show, arguments)
        assert 2 == result.exit_code
        assert text in result.output
