"""Pictures of links as users request them, with a real browser and without one."""

from __future__ import annotations

import io
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import orjson
import pytest
from PIL import Image

from cli.outcome import CELL, TOKEN
from synglancer import Link
from synglancer.links.link_record import Skipped
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
    """Several links give one picture each, in order, each of its own view."""
    links = [
        make_link(CELL, *words).out.strip()
        for words in (["--layout", "3d"], ["--layout", "3d", "--tag", "soma", "--inline"], [])
    ]
    results = render_previews([*links, links[0]], tmp_path, PreviewOptions(size="480x320"))
    assert all(isinstance(result, Preview) for result in results), results
    assert [result.path.name for result in results] == [
        f"{CELL}.png", f"{CELL}-2.png", f"{CELL}-3.png", f"{CELL}-4.png",
    ]  # fmt: skip
    all_tags, only_soma, sections, again = (read_picture(result.path) for result in results)
    assert all_tags.shape == (320, 480, 3)
    assert count_color(all_tags, SPINE) > 500
    assert count_color(only_soma, SPINE) == 0
    assert count_color(only_soma, (0, 0xBE, 0xFF)) > 30
    assert sections[:, :200].std() > 8  # the micrograph
    assert np.abs(all_tags - again).mean() < 1
    # A viewer's top bar is grey throughout, but here the view reaches the edge.
    assert count_color(all_tags[:8], (0, 0, 0), 8) > 0.9 * 8 * 480
    whole = PreviewOptions(size="480x320", interface=True)
    (kept,) = render_previews(links[:1], tmp_path / "whole", whole)
    assert count_color(read_picture(kept.path)[:8], (0, 0, 0), 8) < 0.1 * 8 * 480
    reference = read_picture(REFERENCES / "view-3d.png")
    assert np.abs(all_tags - reference).mean() < 12
    assert np.abs(only_soma - reference).mean() > np.abs(all_tags - reference).mean()


@pytest.mark.browser
@needs_browser
def test_what_a_source_lacks_is_named_and_not_waited_for(sandbox, make_link, tmp_path):
    """If a cell has no mesh, the picture is refused as soon as no request is open, and the address
    that returned 404 is named; the next view is drawn."""
    good = make_link(CELL, "--layout", "3d", "--tag", "soma").out.strip()
    state = Link.from_url(good).state
    (cells,) = (layer for layer in state["layers"] if layer["type"] == "segmentation")
    cells["segments"].append("864691135000000001")
    bad = format_inline_link(good.partition("#")[0], orjson.dumps(state))
    small = PreviewOptions(size="480x320", wait=300)
    refused, drawn = render_previews([bad, good], tmp_path, small)
    assert isinstance(refused, Skipped)
    assert "864691135000000001" in refused.reason
    assert "answered with status 404" in refused.reason
    assert "300 s" not in refused.reason
    assert isinstance(drawn, Preview)


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
def test_a_view_that_is_not_drawn_gives_no_picture(sandbox, make_link, synglancer, tmp_path):
    """An unreadable source is named, and no file is left; the other links have their pictures."""
    import orjson

    from synglancer.states.urls import format_inline_link, parse_link

    good = make_link(CELL, "--layout", "3d", "--tag", "soma", "--inline").out.strip()
    parsed = parse_link(good)
    state = orjson.loads(parsed.state)
    state["layers"][1]["source"] = f"precomputed://{sandbox.origin}/precomputed/none/such"
    broken = format_inline_link(parsed.site, orjson.dumps(state))
    small = ("--size", "480x320", "--wait")
    done = synglancer("preview", broken, good, "-o", tmp_path, *small, "8")
    assert done.code == 5
    assert len(done.lines) == 1
    assert "did not finish drawing" in done.err
    assert len(list(tmp_path.glob("*.png"))) == 1
    assert synglancer("preview", broken, "-o", tmp_path / "x", *small, "1").code == 4
    assert not (tmp_path / "x").exists()


@pytest.mark.browser
@needs_browser
@pytest.mark.parametrize("browser", ["chromium-headless-shell", "chromium"])
def test_make_link_takes_a_picture_for_its_card(sandbox, make_link, tmp_path, monkeypatch, browser):
    """--preview writes the picture, with windows or without, and the card shows it."""
    if shutil.which(browser) is None:
        pytest.skip(f"no {browser}")
    monkeypatch.setattr("synglancer.render.browser.BROWSERS", (browser,))
    path = tmp_path / "cell.png"
    done = make_link(CELL, "--tag", "soma", "--preview", path, "--output", "markdown")
    assert done.code == 0, done.err
    assert f"]({path})]" in done.out
    assert read_picture(path).shape == (640, 960, 3)


@pytest.mark.browser
@needs_browser
def test_html_cards_open_in_a_browser(sandbox, make_link, tmp_path):
    """Chromium opens the card without errors; its pictures are drawn and its link is there."""
    from playwright.sync_api import sync_playwright

    done = make_link(
        CELL, "--preview", tmp_path / "c.png", "--renderer", "plot", "--qr", tmp_path / "q.svg",
        "--output", "html",
    )  # fmt: skip
    (tmp_path / "card.html").write_text(f"<!doctype html><meta charset=utf-8>{done.out}")
    flags = ["--no-sandbox", "--disable-dev-shm-usage"] if os.geteuid() == 0 else []
    browser_path = next(found for name in BROWSERS if (found := shutil.which(name)))

    def look() -> tuple[list[str], list[int], list[float], str | None]:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=flags)
            page = browser.new_page()
            complaints: list[str] = []
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto((tmp_path / "card.html").as_uri())
            widths = page.evaluate("[...document.images].map(i => i.naturalWidth)")
            spans = "[...document.querySelectorAll('td:last-child span')]"
            bars = page.evaluate(f"{spans}.map(span => span.getBoundingClientRect().width)")
            href = page.get_attribute("a", "href")
            browser.close()
        return complaints, widths, bars, href

    # In a separate thread, because other tests' browser may be open in this one.
    with ThreadPoolExecutor(1) as pool:
        complaints, widths, bars, href = pool.submit(look).result()
    assert complaints == []
    assert len(widths) == 2
    assert all(width > 0 for width in widths)
    assert bars[0] > bars[1] > bars[2]
    assert (href or "").startswith(sandbox.origin)


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


@needs_browser
def test_a_state_file_is_opened_in_a_browser(sandbox, make_link, synglancer, tmp_path):
    """A state file gives the same picture as the link that was saved to it."""
    state = tmp_path / "state.json"
    link = make_link(CELL, "--tag", "soma", "--save-state", state, "--quiet").out.strip()
    done = synglancer("preview", state, link, "-o", tmp_path, "--size", "480x320")
    assert (done.code, done.err) == (0, "")
    from_file, from_link = (read_picture(Path(line)) for line in done.lines)
    assert (from_file == from_link).mean() > 0.99


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
