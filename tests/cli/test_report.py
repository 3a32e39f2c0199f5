"""Reports of many cells: every cell is there, or is named with its reason, and text is never
code."""

from __future__ import annotations

import html
import io
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from cave_sandbox.sample import identity as who
from cli.examples import run_notebook
from cli.latex import compile_latex
from cli.outcome import CELL
from synglancer import make_link as link_of
from synglancer.cli.commands import report as commands
from synglancer.cli.commands.report import Reporting
from synglancer.cli.options import LinkSettings
from synglancer.errors import ServiceError
from synglancer.render.picture_options import PreviewOptions
from synglancer.render.screenshots import Painter
from synglancer.report.pictures import screenshot_cell
from synglancer.report.summary import summarise

NASTY = ["<script>alert(1)</script>", "50% _x_ \\input{y} $", '"quoted" & 🧠', "שלום |x|"]
OTHERS = ["864691135937424949", "864691135617152361", "864691136334080603"]
CELLS = [CELL, *OTHERS]
UNKNOWN = "864691135000000001"


@pytest.fixture
def sandbox(lasting_sandbox):
    """All tests of this file share a sandbox and a cache, unless they need `own_sandbox`."""
    return lasting_sandbox


@pytest.fixture
def table(tmp_path):
    """A file of four cells with a group and a note."""
    frame = pd.DataFrame({"pt_root_id": CELLS, "type": ["a", "b", "b", "b"], "note": NASTY})
    frame.to_csv(tmp_path / "cells.csv", index=False)
    return tmp_path / "cells.csv"


def test_html_holds_every_cell_and_no_markup_of_others(sandbox, synglancer, table, tmp_path):
    """Links, counts, pictures and notes are in one file without other requests, and the sandbox's
    data are called synthetic, whichever option was used."""
    page = tmp_path / "report.html"
    done = synglancer("report", table, "-o", page, "--group-by", "type")
    assert (done.code, done.lines) == (0, [str(page)]), done.err
    text = page.read_text("utf-8")
    assert text.count('<tr><th scope="row"><a href="http') == 4
    assert text.count("<svg xmlns") == 4
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "2,262" in text
    assert "Synthetic data from the sandbox" in text
    assert not re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="(?!data:)', text)


def test_a_skipped_cell_is_named_and_ends_with_5(sandbox, synglancer, tmp_path):
    """The report is written and says which cell is missing and why; the exit code is 5."""
    page = tmp_path / "report.md"
    cells = tmp_path / "cells.csv"
    cells.write_text(f"cell,n\n{CELL},1\n,2\n{UNKNOWN},3\n")
    done = synglancer("report", cells, "-o", page)
    assert done.code == 5
    assert UNKNOWN in done.err
    assert "row 2: No cell" in done.err
    text = MarkdownIt().enable("table").render(page.read_text("utf-8"))
    assert f"<li>{UNKNOWN} is not the root ID of a cell" in text  # the ID is not said twice
    assert "<li>row 2: No cell" in text
    assert text.count('<a href="http') == 1


@pytest.mark.parametrize("cells", [[UNKNOWN], [UNKNOWN, str(int(UNKNOWN) + 1)]])
@pytest.mark.parametrize("ending", ["html", "csv"])
def test_a_report_without_any_cell_is_not_written(sandbox, synglancer, tmp_path, cells, ending):
    """If no cell is known, each is named, no file is written, and the exit code is that of a
    cell."""
    page, numbers = tmp_path / f"report.{ending}", tmp_path / "numbers.csv"
    done = synglancer("report", *cells, "-o", page, "--numbers", numbers)
    assert (done.code, done.out) == (3, "")
    assert all(f"{cell} is not the root ID of a cell" in done.err for cell in cells)
    assert not page.exists()
    assert not numbers.exists()


def test_a_tag_that_no_cell_has_is_named(sandbox, synglancer, tmp_path):
    """stderr says if no cell has a synapse with the tag, or if no synapse passes the filters."""
    cells = (CELL, who.PARTNERS[0].root_id)
    words = ("--tag", "Spine", "-o", tmp_path / "report.csv")
    said = synglancer("report", *cells, *words).err
    assert said.count("No synapse here has the tag 'Spine'") == 1
    assert "No synapse passes the filters." in said
    assert "No synapse" not in synglancer("report", *cells, "--tag", "spine", *words[2:]).err


def test_markdown_is_a_table_of_text(sandbox, synglancer, table, tmp_path):
    """Rendered with HTML allowed, notes are text, and each row has all its cells."""
    page = tmp_path / "report.md"
    assert synglancer("report", table, "-o", page, "--group-by", "type").code == 0
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(page.read_text("utf-8"))
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    assert {row.count("<td") for row in rows[1:5]} == {13}
    assert "<script>" not in html
    assert "שלום |x|" in html
    assert "<h2>By type</h2>" in html


def test_latex_compiles(sandbox, synglancer, table, tmp_path):
    """A LaTeX engine makes a PDF of all parts, whatever the notes contain, with working links."""
    page = tmp_path / "report.tex"
    table.write_text(table.read_text("utf-8") + f"{UNKNOWN},b,$a$\n", "utf-8")
    assert synglancer("report", table, "-o", page, "--group-by", "type").code == 5
    text = page.read_text("utf-8")
    plain = "\\pdfcompresslevel=0\\pdfobjcompresslevel=0\n"
    page.write_text(plain + text, "utf-8")
    compile_latex(page)
    pdf = (tmp_path / "report.pdf").read_bytes().replace(b" ", b"")
    assert pdf.count(f"/URI({sandbox.origin}/v/".encode()) == 9  # inputs, outputs, all cells
    assert "skipped}" in text
    assert "By type}" in text


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_keep_the_columns_of_the_file(sandbox, synglancer, table, tmp_path, kind):
    """The file's columns come back unchanged, beside exact root IDs, links and counts."""
    page = tmp_path / f"report.{kind}"
    assert synglancer("report", table, "-o", page).code == 0
    types = {"cell": "UInt64", "inputs_spine": "Int64"}
    read = pd.read_csv(page, dtype=types) if kind == "csv" else pd.read_parquet(page)
    assert list(read["note"]) == NASTY
    assert [str(cell) for cell in read["cell"]] == CELLS
    assert read["inputs_spine"][0] == 2262
    assert read["link"].str.startswith("http").all()


def test_every_report_says_of_how_many(sandbox, synglancer, sample, tmp_path):
    """All synapses of the cell, with and without a prediction, are listed beside the shown ones."""
    synapses = pd.read_parquet(sample / who.MINNIE / "tables" / f"{who.SYNAPSE_TABLE}.parquet")
    inputs = int((synapses["post_pt_root_id"] == int(CELL)).sum())
    outputs = int((synapses["pre_pt_root_id"] == int(CELL)).sum())
    told = {
        "html": f'{inputs:,}</td><td><svg class="bar"',
        "md": f"| {inputs:,} | ",
        "tex": f"& {inputs:,} & ",
    }
    for kind, text in told.items():
        assert synglancer("report", CELL, "--tag", "soma", "-o", tmp_path / f"r.{kind}").code == 0
        page = (tmp_path / f"r.{kind}").read_text("utf-8")
        assert text in page
        assert f"this cell has {inputs:,} inputs and {outputs:,} outputs" in page
    page = tmp_path / "r.csv"
    assert synglancer("report", CELL, "--tag", "soma", "-o", page).code == 0
    read = pd.read_csv(page).iloc[0]
    assert (read["all_inputs"], read["all_outputs"]) == (inputs, outputs)
    assert read["inputs_soma"] < inputs


def test_what_is_repeated_counts_once(sandbox, synglancer, tmp_path, monkeypatch):
    """A cell in two rows appears in both, but counts once in all sums, and is not its own partner.
    The methods say which synapses were counted, and which table says that spines are shared."""
    page, cells = tmp_path / "report.md", tmp_path / "cells.csv"
    cells.write_text(f"cell,note\n{CELL},first\n{CELL},second\n")
    asked = ("--with-unlabelled", "--multi-input", "--min-confidence", "0.9", "--soft-filter")
    assert synglancer("report", cells, *asked, "-o", page).code == 0
    text = page.read_text("utf-8").replace("\\", "")
    assert "| first |" in text
    assert "| second |" in text
    monkeypatch.setenv("CAVE_TOKEN", sandbox.options.token)
    link = link_of(CELL, server=sandbox.origin, with_unlabelled=True, multi_input=True)
    each = link.counts.groupby("direction")["count"].sum()
    assert "Synapses of 1 cell and" in text
    assert f"this cell has {each['inputs']:,} inputs and {each['outputs']:,} outputs" in text
    assert "Counts are of synapses with or without a prediction" in text
    assert f"were found with the table {who.SPINE_TABLE}" in text
    assert "Only synapses" not in text  # the sliders leave none out
    targets = set(link.predictions.query("direction == 'outputs'")["post_pt_root_id"].tolist())
    assert int(CELL) in targets
    assert sum(summarise(link).measures.partners["outputs"]) == len(targets - {0, int(CELL)})


class PairPainter(Painter):
    """Plots two cells at once, and returns no picture before two are there."""

    def __init__(self):
        super().__init__(PreviewOptions(renderer="plot"))
        self._both = Barrier(2)

    def paint(self, opened, path):
        painted = super().paint(opened, path)
        self._both.wait()
        return painted


def test_one_cell_is_pictured_twice_at_a_time(sandbox, tmp_path, monkeypatch):
    """If two root IDs lead to the same cell, each row has its picture, and no file is left."""
    monkeypatch.setenv("CAVE_TOKEN", sandbox.options.token)
    link = link_of(CELL, server=sandbox.origin, tag="soma")
    folder = tmp_path / "pictures"
    folder.mkdir()
    with PairPainter() as painter, ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(screenshot_cell, link, painter, folder) for _ in range(2)]
        first, second = (job.result().picture for job in jobs)
    assert first == second
    assert first.startswith("data:image/webp")
    assert not list(folder.iterdir())


@pytest.mark.parametrize("kind", ["xlsx", "parquet", "tsv", "csv"])
def test_other_files_of_cells(sandbox, synglancer, tmp_path, kind):
    """Excel with IDs as text, Parquet with integers, TSV, and CSV with only IDs give the same
    cells."""
    frame = pd.DataFrame({"root_id": OTHERS[:2], "n": ["1", "2"]})
    path = tmp_path / f"cells.{kind}"
    if kind == "xlsx":
        frame.to_excel(path, index=False)
    elif kind == "tsv":
        frame.to_csv(path, index=False, sep="\t")
    elif kind == "csv":
        frame[["root_id"]].to_csv(path, index=False)
    else:
        frame.astype({"root_id": "int64"}).to_parquet(path)
    page = tmp_path / "report.csv"
    assert synglancer("report", path, "-o", page).code == 0
    assert pd.read_csv(page, dtype=str)["cell"].tolist() == OTHERS[:2]


RAGGED = f"cell,partner\n{CELL},{OTHERS[0]},5\n"


@pytest.mark.parametrize("name", ["cells.csv", "cells.tsv", "cells.txt"])
def test_a_row_that_could_shift_is_refused(sandbox, synglancer, make_link, tmp_path, name):
    """A row longer than the header is refused by line, so the next column is never taken for a
    cell."""
    path, page = tmp_path / name, tmp_path / "report.csv"
    path.write_text(RAGGED.replace(",", "\t") if name.endswith("tsv") else RAGGED)
    synglancer("report", path, "-o", page).refuses(2, f"{name}, line 2", "3 values")
    make_link(path).refuses(2, f"{name}, line 2", "3 values")
    assert not page.exists()
    assert not sandbox.requests


FOLLOWED = [str(who.OUTDATED_ONE_SUCCESSOR), CELL, str(who.OUTDATED_SPLIT), "", UNKNOWN]


@pytest.fixture
def report_followed(sandbox, synglancer, tmp_path):
    """Make a report of these cells, and return its file."""
    cells = tmp_path / "cells.csv"
    rows = [f"{note},{cell},{cell}\n" for note, cell in zip("abcde", FOLLOWED, strict=True)]
    cells.write_text("note,root_id,copy\n" + "".join(rows))

    def make(kind):
        page = tmp_path / f"report.{kind}"
        done = synglancer("report", cells, "--tag", "soma", "-o", page)
        assert done.code == 5
        for given in (FOLLOWED[0], FOLLOWED[2]):
            assert len(re.findall(f"{given} is not valid .* is used instead", done.err)) == 1
        return page

    return make


def test_each_given_cell_is_found_again_in_a_table(report_followed, subtests):
    """Of three rows that lead to one cell, each has its given ID and its result; the valid one has
    no note from another, and readers of the table round no ID."""
    readers = {"csv": pd.read_csv, "parquet": pd.read_parquet, "xlsx": pd.read_excel}
    for kind, read_table in readers.items():
        with subtests.test(kind=kind):
            read = read_table(report_followed(kind))
            assert list(read.columns[:4]) == ["note", "root_id", "copy", "cell"]
            assert [str(cell) for cell in read["root_id"][:3]] == FOLLOWED[:3]
            assert [str(cell) for cell in read["copy"][:3]] == FOLLOWED[:3]
            assert read["root_id"][4] == UNKNOWN
            assert [str(cell) for cell in read["cell"][:3]] == [CELL] * 3
            said = read["followed"].fillna("")
            assert [given in said[i] for i, given in enumerate(FOLLOWED[:3])] == [True, False, True]
            assert list(said[[1, 3, 4]]) == ["", "", ""]
            assert read["link"][:3].nunique() == 3


def test_each_given_cell_is_found_again_on_a_page(report_followed, subtests):
    """Every page names each given ID and what became of it, beside its own row."""
    for kind in ("html", "md", "tex", "ipynb"):
        with subtests.test(kind=kind):
            text = html.unescape(report_followed(kind).read_text("utf-8"))
            for given in FOLLOWED[:3]:
                assert given in text
            for given in (FOLLOWED[0], FOLLOWED[2]):
                assert re.search(f"{given} is not valid", text.replace("\\", ""))
            if kind == "html":
                notes = dict(re.findall(r'<li id="note-([0-9]+)">(.*?)</li>', text))
                linked = re.findall(r'href="#note-([0-9]+)"', text)
                assert FOLLOWED[0] in notes["1"]
                assert "is not valid" not in notes.get("2", "")
                assert FOLLOWED[2] in notes["3"]
                assert linked == list(notes)


def test_the_column_of_cells_may_group_them(sandbox, synglancer, tmp_path):
    """Rows grouped by their own cell are in each format, including the notebook."""
    cells, page = tmp_path / "cells.csv", tmp_path / "report.ipynb"
    cells.write_text(f"root_id,n\n{CELL},1\n{OTHERS[0]},2\n")
    assert synglancer("report", cells, "-o", page, "--group-by", "root_id").code == 0
    assert "'root_id': [" in nbformat.read(page, as_version=4).cells[2].source


def test_texts_of_cells_make_a_report(sandbox, synglancer, tmp_path):
    """A text file of cells, words and a nucleus give a table that shows what was given."""
    cells, page = tmp_path / "cells.txt", tmp_path / "report.csv"
    cells.write_text(f"# mine\n{CELL}\nnucleus:264824 # the same\n")
    assert synglancer("report", cells, OTHERS[0], "-o", page).code == 0
    read = pd.read_csv(page)
    assert list(read["given"]) == [CELL, "nucleus:264824", OTHERS[0]]
    assert list(read["cell"]) == [int(CELL), int(CELL), int(OTHERS[0])]
    page = tmp_path / "report.md"
    assert synglancer("report", cells, "-o", page).code == 0
    assert "| nucleus:264824 |" in page.read_text("utf-8").replace("\\", "")


def test_a_table_obeys_nothing_of_others(sandbox, synglancer, tmp_path):
    """Formulas and escapes of the input are text in a report's CSV; numbers stay numbers."""
    cells, page = tmp_path / "cells.csv", tmp_path / "report.csv"
    cells.write_text(f"=head;cell;n\n=1+1;{CELL};-5\n\x1b[31m@a;{CELL};-a\n")
    assert synglancer("report", cells, "-o", page).code == 0
    read = pd.read_csv(page)
    assert list(read["'=head"]) == ["'=1+1", "\\x1b[31m@a"]
    assert list(read["n"]) == ["-5", "'-a"]


def test_notebooks_run(sandbox, synglancer, table, tmp_path):
    """A notebook report is valid, shows its table at once, and runs from top to bottom: the table,
    plots, cards and the viewer appear, and no foreign name is markup."""
    page = tmp_path / "report.ipynb"
    table.write_text(table.read_text("utf-8") + f"{UNKNOWN},b,$a$\n", "utf-8")
    done = synglancer("report", table, "-o", page, "--group-by", "type", "--min-confidence", "0.5")
    assert done.code == 5, done.err
    notebook = nbformat.read(page, as_version=4)
    nbformat.validate(notebook)
    read = MarkdownIt("commonmark", {"html": True}).enable("table").render(notebook.cells[0].source)
    assert read.count('<td><a href="http') == 4
    assert "&lt;script&gt;alert(1)" in read
    run_notebook(notebook)
    outputs = {
        cell.id: cell.outputs
        for cell in notebook.cells
        if cell.cell_type == "code" and cell.outputs
    }
    assert any(UNKNOWN in output.get("text", "") for output in outputs["links"])
    (shown,) = outputs["table"]
    shown = shown["data"]["text/html"]
    assert shown.count(">open</a>") == 4
    spines = link_of(CELL, server=sandbox.origin, min_confidence=0.5).counts_by_tag
    assert f">{spines['inputs']['spine']}</td>" in shown
    assert "<script>" not in shown
    assert all(word in html.unescape(shown) for word in NASTY)
    for name in ("shares", "confidence", "partners"):
        assert outputs[name][0]["data"]["image/png"]
    assert len(outputs["groups"]) == 2
    assert len(outputs["cards"]) == 3
    assert f'<iframe src="{sandbox.origin}/v/' in outputs["viewer"][0]["data"]["text/html"]


def test_cells_and_links_are_read_from_stdin(sandbox, synglancer, tmp_path, monkeypatch):
    """A hyphen is standard input: cells for a report, links for pictures; two hyphens begin an
    option."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{CELL}\n\n{OTHERS[0]}\n"))
    page = tmp_path / "report.csv"
    assert synglancer("report", "-", "-o", page).code == 0
    read = pd.read_csv(page, dtype=str)
    assert list(read["cell"]) == [CELL, OTHERS[0]]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(read["link"])))
    done = synglancer("preview", "-", "-o", tmp_path, "--renderer", "plot")
    assert done.lines == [str(tmp_path / f"{cell}.png") for cell in read["cell"]]
    synglancer("report", CELL, "--nothing", "-o", page).refuses(2, "--nothing")


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (None, "Standard input is closed."),
        (io.TextIOWrapper(io.BytesIO(b"caf\xe9")), "Standard input cannot be read: not a text"),
        (io.StringIO("\n"), "No link was given."),
    ],
)
def test_standard_input_without_links_is_refused(synglancer, monkeypatch, stream, said):
    """Standard input that is closed, not text or empty has no links to make pictures of."""
    monkeypatch.setattr(sys, "stdin", stream)
    synglancer("preview", "-").refuses(2, said)


def test_copied_templates_make_the_same(sandbox, synglancer, make_link, tmp_path):
    """Each template, copied and used, gives exactly the same report or card; no existing file is
    overwritten."""
    cells = tmp_path / "cells.csv"
    pd.DataFrame({"cell": OTHERS[:1], "note": " ".join(NASTY)}).to_csv(cells, index=False)
    listed = synglancer("templates", "list").lines[1:]
    names = [line.split()[0] for line in listed]
    assert {name.split(".")[0] for name in names} == {"card", "comparison", "frame", "report"}
    for name in names:
        own = tmp_path / name
        assert synglancer("templates", "copy", name, "-o", tmp_path).lines == [str(own)]
        assert synglancer("templates", "show", name).out == own.read_text("utf-8")
        kind = name.split(".")[1]
        if name.startswith("report"):
            ours, theirs = tmp_path / f"ours.{kind}", tmp_path / f"theirs.{kind}"
            words = ("report", cells, "-o")
            assert synglancer(*words, ours).code == 0
            assert synglancer(*words, theirs, "--template", own).code == 0
            assert theirs.read_bytes() == ours.read_bytes()
        elif name.startswith("card"):
            kind = {"md": "markdown", "tex": "latex"}.get(kind, kind)
            words = (OTHERS[0], "--output", kind)
            assert make_link(*words, "--template", own).out == make_link(*words).out
    synglancer("templates", "copy", "report.html", "-o", tmp_path).refuses(2, "already")
    synglancer("templates", "show", "letter").refuses(2, "report.html.j2")
    make_link(CELL, "--template", own).refuses(2, "--output")


def test_an_own_template_is_used(sandbox, synglancer, tmp_path):
    """--template replaces the built-in template, with the same escaping; a broken one is named."""
    own = tmp_path / "own.j2"
    own.write_text("{% for cell in report.cells %}{{ cell.link.cell }}{{ '<' }}{% endfor %}")
    page = tmp_path / "report.html"
    assert synglancer("report", CELL, "-o", page, "--template", own).code == 0
    assert page.read_text() == f"{CELL}&lt;"
    for broken, kind in (
        ("{{ report.nothing }}", "html"),
        ("{{ 'x' | int('y') + 1 }}", "html"),
        ("{% extends 'own.j2' %}", "md"),
        ("{}", "ipynb"),
        ("no", "ipynb"),
    ):
        own.write_text(broken)
        other = tmp_path / f"b.{kind}"
        synglancer("report", CELL, "-o", other, "--template", own).refuses(2, "own.j2")
        assert not other.exists()


def test_what_cannot_be_asked_is_refused_before_any_request(sandbox, synglancer, table, tmp_path):
    """Invalid extensions, columns and groups, rounded IDs, and options that do not go together are
    refused without a request."""
    page = tmp_path / "r.html"
    rounded = tmp_path / "rounded.xlsx"
    pd.DataFrame({"root_id": [int(CELL)]}).to_excel(rounded, index=False)
    synglancer("report", CELL, "-o", tmp_path / "r.docx").refuses(2, "docx")
    (tmp_path / "own.j2").write_text("x")
    words = ("report", CELL, "-o", tmp_path / "r.csv", "--template", tmp_path / "own.j2")
    synglancer(*words).refuses(2, "Tables do not use templates.", "Name the file with one of .html")
    words = ("report", CELL, "-o", page, "--workers", 2, "--pictures", "browser")
    synglancer(*words).refuses(2, "Screenshots are taken by this process, not by workers.")
    synglancer("report", table, "-o", page, "--column", "no").refuses(2, "no column")
    synglancer("report", table, "-o", page, "--group-by", "no").refuses(2, "group")
    synglancer("report", rounded, "-o", page).refuses(2, "round")
    synglancer("report", tmp_path / "none.csv", "-o", page).refuses(2, "none.csv")
    assert not page.exists()
    assert not sandbox.requests


def test_retries_are_printed_with_verbose(synglancer, monkeypatch, tmp_path):
    """--verbose begins to print retries before anything else is done."""
    begun = []
    monkeypatch.setattr(f"{commands.__name__}.print_retries", lambda: begun.append(True))
    assert synglancer("report", "abc", "-o", tmp_path / "r.csv", "--verbose").code == 2
    assert begun == [True]


def test_what_a_report_lacks_is_said(monkeypatch, tmp_path, capsys):
    """A report without its link to all cells, or with plots instead of pictures, is written, and
    two sentences say why."""

    def refuse(*_: object) -> None:
        raise ServiceError("It failed with status 500.", "Try again later.")

    monkeypatch.setattr("synglancer.report.building.link_all_cells", refuse)
    monkeypatch.setattr("synglancer.report.pages.render_report", lambda *_: b"the page")
    made = SimpleNamespace(picture_problems={"The browser ended.": 2})
    page = tmp_path / "r.html"
    commands._write(made, page, Reporting(), LinkSettings())
    out, err = capsys.readouterr()
    assert (page.read_bytes(), out) == (b"the page", f"{page}\n")
    assert err.splitlines() == [
        "The report has no link to all cells together: It failed with status 500.",
        "Try again later.",
        "The browser ended.",
        "For this reason, 2 of the pictures are plots.",
    ]
