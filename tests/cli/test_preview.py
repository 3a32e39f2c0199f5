"""Pictures of links as users request them, with a real browser and without one."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path

import numpy as np
import orjson
import pytest
from PIL import Image

from cli.outcome import CELL, TOKEN
from synglancer import Link
from synglancer.links.opening import OpenedLink, open_link
from synglancer.render.browser import BROWSERS
from synglancer.render.picture_options import Preview, PreviewOptions
from synglancer.render.screenshots import render_previews
from synglancer.states.urls import format_inline_link

REFERENCES = Path(__file__).parents[1] / "data" / "pictures"
needs_browser = pytest.mark.skipif(
    not any(shutil.which(name) for name in BROWSERS)
    and not os.environ.get("TESTS_REQUIRE_BROWSER"),
    reason="no Chromium (apt-get install chromium)",
)
SPINE = (0xFB, 0x49, 0xB0)


def read_picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), dtype=int)


def count_color(pixels: np.ndarray, colour: tuple[int, int, int], tolerance: int = 40) -> int:
    return int((np.abs(pixels - np.array(colour)).max(axis=2) <= tolerance).sum())


@pytest.fixture
def sandbox(lasting_sandbox):
    """All tests of this file share a sandbox and a cache, unless they need `own_sandbox`."""
    return lasting_sandbox


@pytest.mark.browser
@needs_browser
def test_pictures_show_each_link_in_one_browser(sandbox, make_link, tmp_path):
    """Several links give one picture each, in order, each of its own view; a state file gives the
    same picture as the link that was saved to it."""
    state = tmp_path / "state.json"
    soma = ["--layout", "3d", "--tag", "soma", "--inline", "--save-state", state]
    links = [make_link(CELL, *words).out.strip() for words in (["--layout", "3d"], soma, [])]
    given = [*links, links[0], str(state)]
    results = render_previews(given, tmp_path, PreviewOptions(size="480x320"))
    assert all(isinstance(result, Preview) for result in results), results
    assert [result.path.name for result in results] == [
        f"{CELL}.png", *(f"{CELL}-{number}.png" for number in range(2, 6)),
    ]  # fmt: skip
    all_tags, only_soma, sections, again, from_file = (
        read_picture(result.path) for result in results
    )
    assert all_tags.shape == (320, 480, 3)
    assert count_color(all_tags, SPINE) > 500
    assert count_color(only_soma, SPINE) == 0
    assert count_color(only_soma, (0, 0xBE, 0xFF)) > 30
    assert sections[:, :200].std() > 8  # the micrograph
    assert np.abs(all_tags - again).mean() < 1
    # A viewer's top bar is grey throughout, but here the view reaches the edge.
    assert count_color(all_tags[:8], (0, 0, 0), 8) > 0.9 * 8 * 480
    assert (from_file == only_soma).mean() > 0.99
    reference = read_picture(REFERENCES / "view-3d.png")
    assert np.abs(all_tags - reference).mean() < 12
    assert np.abs(only_soma - reference).mean() > np.abs(all_tags - reference).mean()


@pytest.mark.browser
@needs_browser
def test_a_view_that_is_not_drawn_gives_no_picture(sandbox, make_link, synglancer, tmp_path):
    """A mesh that the server lacks is named with its status as soon as no request is open, and so
    is a source that cannot be read. The next link has its picture, with --interface in the viewer's
    bars."""
    good = make_link(CELL, "--layout", "3d", "--tag", "soma", "--inline").out.strip()
    site = good.partition("#")[0]
    state = Link.from_url(good).state
    (cells,) = (layer for layer in state["layers"] if layer["type"] == "segmentation")
    cells["segments"].append("864691135000000001")
    without_mesh = format_inline_link(site, orjson.dumps(state))
    cells["source"] = f"precomputed://{sandbox.origin}/precomputed/none/such"
    without_source = format_inline_link(site, orjson.dumps(state))
    done = synglancer(
        "preview", without_mesh, without_source, good, "-o", tmp_path, "--size", "480x320",
        "--wait", "300", "--interface",
    )  # fmt: skip
    assert done.code == 5
    lacking_mesh, lacking_source = (
        line for line in done.err.splitlines() if "did not finish drawing" in line
    )
    assert "864691135000000001" in lacking_mesh
    assert "answered with status 404" in lacking_mesh
    assert "a source of 'segmentation' fails" in lacking_source
    assert "300 s" not in done.err
    assert [Path(line) for line in done.lines] == [*tmp_path.glob("*.png")]
    bar = read_picture(Path(done.lines[0]))[:8]
    assert count_color(bar, (0, 0, 0), 8) < 0.1 * 8 * 480


@pytest.mark.browser
@needs_browser
def test_pictures_on_white_in_twice_the_pixels(sandbox, make_link, synglancer, tmp_path):
    """--background and --scale work, and the command prints the files."""
    link = make_link(CELL, "--layout", "3d").out.strip()
    done = synglancer(
        "preview", link, "-o", tmp_path / "new", "--size", "320x240", "--scale", "2",
        "--background", "white",
    )  # fmt: skip
    assert (done.code, done.lines) == (0, [str(tmp_path / "new" / f"{CELL}.png")]), done.err
    pixels = read_picture(Path(done.lines[0]))
    assert pixels.shape == (480, 640, 3)
    assert count_color(pixels, (255, 255, 255), 4) > 0.7 * 480 * 640
    assert count_color(pixels, SPINE) > 500


@pytest.mark.browser
@needs_browser
def test_make_link_takes_a_picture_for_its_card(sandbox, make_link, tmp_path, monkeypatch):
    """--preview writes the picture, and the card shows it. A Chromium with windows, if there is
    one, takes pictures as the one without, which takes those of the other tests."""
    monkeypatch.setattr("synglancer.render.browser.BROWSERS", BROWSERS[1:] + BROWSERS[:1])
    path = tmp_path / "cell.png"
    done = make_link(CELL, "--tag", "soma", "--preview", path, "--output", "markdown")
    assert done.code == 0, done.err
    assert f"]({path})]" in done.out
    assert read_picture(path).shape == (640, 960, 3)


def test_a_plot_needs_no_browser(sandbox, make_link, synglancer, monkeypatch, tmp_path):
    """Without a browser, plots are made; screenshots are refused before any request."""
    monkeypatch.setenv("PATH", str(tmp_path))
    picture = tmp_path / "cell.svg"
    done = make_link(CELL, "--preview", picture, "--renderer", "plot", "--output", "rst")
    assert done.code == 0, done.err
    assert picture.read_bytes().startswith(b"<svg ")
    assert ".. image::" in done.out
    make_link(CELL, "--preview", tmp_path / "cell.png").refuses(4, "apt install", "--renderer plot")
    link = make_link(CELL, "--quiet").out.strip()
    synglancer("preview", link, "-o", tmp_path).refuses(4, "No browser", "--renderer plot")
    done = synglancer("preview", link, "-o", tmp_path, "--renderer", "plot", "--format", "svg")
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / f"{CELL}.svg").read_bytes() == picture.read_bytes()


def test_a_view_without_annotations_is_not_plotted(synglancer, tmp_path):
    """A blank plot is refused, and no file is left."""
    link = 'https://viewer.example.org/#!{"layers":[]}'
    made = synglancer("preview", link, "-o", tmp_path, "--renderer", "plot")
    made.refuses(4, "shows no annotations", "--renderer browser")
    assert not [*tmp_path.glob("*.png")]


def test_a_login_is_not_walked_around(synglancer, make_link, sandbox, tmp_path):
    """A screenshot of a view behind a login is refused with a reason; a plot is made."""
    state = dict(open_link(make_link(CELL, "--inline", "--tag", "soma").out.strip()).state)
    state["layers"] = [
        {"type": "segmentation", "name": "s", "source": "graphene://middleauth+https://a.org/t"},
        *state["layers"][2:],
    ]
    opened = OpenedLink("https://viewer.example.org/#!x", "https://viewer.example.org/", state)
    (skipped,) = render_previews(["link"], tmp_path, find_state=lambda _: opened)
    assert not isinstance(skipped, Preview)
    assert "a.org" in skipped.reason
    plot = PreviewOptions(renderer="plot")
    (made,) = render_previews(["link"], tmp_path, plot, find_state=lambda _: opened)
    assert isinstance(made, Preview)
    assert Image.open(io.BytesIO(made.path.read_bytes())).size == (960, 640)


def test_the_token_goes_to_the_users_server_alone(sandbox, make_link, monkeypatch):
    """A link that names another server is fetched without the token."""
    from synglancer.cave import http

    link = make_link(CELL).out.strip()
    sent: list[str | None] = []
    send = http._Bearer.__call__

    def record(self, request):
        sent.append(send(self, request).headers.get("Authorization"))
        return request

    monkeypatch.setattr(http._Bearer, "__call__", record)
    open_link(link, server="https://cave.example.org")
    open_link(link, server=sandbox.origin)
    assert sent == [None, f"Bearer {TOKEN}"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["preview"], "No link"),
        (["preview", "864691135276234469"], "not a Neuroglancer link"),
        (["preview", "https://a.org/#!{}", "--size", "10"], "size"),
        (["preview", "https://a.org/#!{}", "--size", "99999x1"], "size"),
        (["preview", "https://a.org/#!{}", "--scale", "0"], "scale"),
        (["preview", "https://a.org/#!{}", "--scale", "9.5"], "A scale of 9.5 is out of range."),
        (["preview", "https://a.org/#!{}", "--scale", "x"], "x is not a number, as --scale needs."),
        (["preview", "https://a.org/#!{}", "--wait", "nan"], "out of range for --wait"),
        (
            ["preview", "https://a.org/#!{}", "--format", "svg"],
            "An SVG picture needs --renderer plot",
        ),
        (["preview", "https://a.org/#!{]", "--renderer", "plot"], "no Neuroglancer state"),
        (["preview", "https://a.org/#!{}", "-o", "taken"], "taken is not a folder"),
        (["link", CELL, "--preview", "cell.jpg"], ".jpg"),
        (["link", CELL, "--preview", "none/cell.png"], "cannot be written"),
        (["link", CELL, CELL, "--preview", "cell.png"], "several"),
        (["link", CELL, "--qr", "cell.gif"], ".gif"),
        (["link", CELL, "--qr", "cell.svg", "--output", "latex"], "LaTeX"),
        (["link", CELL, "--preview", "a%{cell}.png", "--output", "latex"], "LaTeX"),
    ],
)
def test_bad_questions_are_refused(synglancer, words, said, monkeypatch, tmp_path):
    """Invalid requests are refused with an error and a hint, before anything is fetched."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    done = synglancer(*words)
    done.refuses(2, said)


def test_a_folder_without_a_picture_is_not_left_behind(synglancer, tmp_path):
    """A folder created for pictures is removed if none was taken; a user's own folder stays."""
    new, mine = tmp_path / "new", tmp_path / "mine"
    mine.mkdir()
    for folder in (new, mine):
        done = synglancer("preview", "https://a.org/#!{]", "--renderer", "plot", "-o", str(folder))
        done.refuses(2, "no Neuroglancer state")
    assert not new.exists()
    assert mine.is_dir()


def test_a_plot_says_what_it_leaves_out(synglancer, tmp_path):
    """Points that cannot be placed are refused if there are no others, and else said."""
    good = {
        "type": "annotation",
        "name": "mine",
        "source": [
            {
                "url": "local://annotations",
                "transform": {"outputDimensions": {axis: [1e-9, "m"] for axis in "xyz"}},
            }
        ],
        "annotations": [{"type": "point", "id": "1", "point": [1, 2, 3]}],
    }
    lost = {**good, "name": "lost", "source": "local://annotations"}
    path = tmp_path / "state.json"
    words = ("preview", path, "--renderer", "plot", "-o", tmp_path / "pictures")
    path.write_bytes(orjson.dumps({"layers": [lost]}))
    synglancer(*words).refuses(4, "nothing to plot: 1 annotation of the layer 'lost'")
    path.write_bytes(orjson.dumps({"layers": [good, lost]}))
    done = synglancer(*words)
    assert done.code == 0
    assert f"{done.out.strip()}: 1 annotation of the layer 'lost' cannot be placed" in done.err
