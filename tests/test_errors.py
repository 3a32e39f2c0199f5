"""The error tree is as its docstring draws it, and every error has a hint."""

from __future__ import annotations

import ast
import pickle
import re
import sys
from importlib.metadata import requires
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import synglancer
from synglancer import errors
from synglancer.cells.positions import _read_voxel
from synglancer.cells.tables import read_table
from synglancer.errors import CellError, ServiceError, SynglancerError, UnreachableError, UsageError
from synglancer.publish.destinations import open_destination
from synglancer.publish.inputs import _read_delta
from synglancer.publish.publishing import _name_compressor
from synglancer.publish.tag_reader import _check_tensorstore
from synglancer.publish.writing.runner import Cluster
from synglancer.render.browser import find_browser
from synglancer.render.notebook import show_link
from synglancer.render.tables import format_table

SOURCE = Path(synglancer.__file__).parent
CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, SynglancerError)
]


def documented_tree() -> dict[str, str | None]:
    """Read class → parent from the tree in the module's docstring."""
    parents: dict[str, str | None] = {}
    ancestors: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^(?P<indent>    [\s│├└─]*)(?P<name>[A-Z]\w+Error)\b", line)
        if not found:
            continue
        depth = len(found["indent"])
        while ancestors and ancestors[-1][0] >= depth:
            ancestors.pop()
        parents[found["name"]] = ancestors[-1][1] if ancestors else None
        ancestors.append((depth, found["name"]))
    return parents


def test_documented_tree_is_the_real_one():
    """The tree in the docstring has every class, under its real parent."""
    real = {
        cls.__name__: None if cls is SynglancerError else cls.__bases__[0].__name__
        for cls in CLASSES
    }
    assert documented_tree() == real


def test_exit_codes_are_those_of_the_docstring():
    """Each branch of the tree has the exit code in the docstring."""
    documented = dict(re.findall(r"(\w+Error)\s+exit (\d)", errors.__doc__ or ""))
    assert documented == {
        cls.__name__: str(cls.exit_code)
        for cls in (
            SynglancerError,
            UsageError,
            CellError,
            errors.PictureError,
            errors.OutputError,
            ServiceError,
        )
    }
    assert {cls.exit_code for cls in CLASSES if issubclass(cls, ServiceError)} == {4}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@given(message=st.text(), hint=st.text())
def test_pickling_keeps_message_and_hint(cls, message, hint):
    """An error that crosses a process boundary keeps its class and both sentences."""
    copy = pickle.loads(pickle.dumps(cls(message, hint)))
    assert (type(copy), str(copy), copy.hint) == (cls, message, hint)


def test_pickling_keeps_what_decides_about_a_retry():
    """A service error keeps whether it is transient, was sent, and when to retry."""
    error = UnreachableError("No.", "Wait.", transient=False, sent=False, retry_after=2.5)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.transient, copy.sent, copy.retry_after) == (False, False, 2.5)


def raised_errors() -> list[tuple[str, str, int, ast.expr]]:
    """Find every error created in the package: class, file, line, and each of its sentences."""
    names = {cls.__name__ for cls in CLASSES}
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in names
            ):
                found += [
                    (node.func.id, str(path.relative_to(SOURCE)), node.lineno, sentence)
                    for sentence in node.args
                ]
    return found


def last_texts(sentence: ast.expr) -> list[str]:
    """Return the literals with which a sentence can end; none if it ends in a value."""
    match sentence:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=[*_, last]):
            return last_texts(last)
        case ast.BinOp(right=right):
            return last_texts(right)
        case ast.IfExp(body=body, orelse=orelse):
            return last_texts(body) + last_texts(orelse)
    return []


def test_every_sentence_ends():
    """Both sentences of every error raised in the package end with a full stop or question mark."""
    raised = raised_errors()
    endings = [
        (name, file, line, text)
        for name, file, line, sentence in raised
        for text in last_texts(sentence)
    ]
    assert len(endings) > len(raised) * 0.8, "most sentences can be read from the source"
    assert [ending for ending in endings if not ending[3].rstrip().endswith((".", "?"))] == []


def test_every_error_has_two_sentences():
    """No error is raised without saying what happened and what to do."""
    sentences: dict[tuple[str, int], int] = {}
    for _, file, line, sentence in raised_errors():
        starred = isinstance(sentence, ast.Starred)
        sentences[file, line] = sentences.get((file, line), 0) + (2 if starred else 1)
    assert [place for place, count in sentences.items() if count != 2] == []


def test_public_names_resolve():
    """Each exported name can be imported from the package, and belongs to it."""
    for name in synglancer.__all__:
        value = getattr(synglancer, name)
        if name != "__version__":
            assert value.__module__.startswith("synglancer.")
    with pytest.raises(AttributeError, match="nonsense"):
        _ = synglancer.nonsense


def test_errors_on_the_way_to_the_data_name_the_doctor():
    """If doctor can explain the failure, it is named after the hint; otherwise the hint stands
    alone."""
    helped = {cls.__name__ for cls in CLASSES if cls("No.", "Wait.").advice != "Wait."}
    assert helped == {
        "LoginError", "PermissionMissingError", "TermsOfServiceError", "UnreachableError",
    }  # fmt: skip
    copy = pickle.loads(pickle.dumps(errors.build_not_cave_error("https://cave.example.org")))
    assert copy.advice == f"{copy.hint} {errors.DOCTOR}"
    assert errors.DOCTOR not in copy.hint


TABLE = pd.DataFrame({"cell": ["1"]})


@pytest.mark.parametrize(
    ("library", "name", "extra", "call"),
    [
        ("openpyxl", "openpyxl", "excel", lambda folder: read_table(folder / "cells.xlsx")),
        ("openpyxl", "openpyxl", "excel", lambda _: format_table(TABLE, ".xlsx")),
        ("IPython.display", "IPython", "notebook", lambda _: show_link(None, 600, 400)),
        ("cloudvolume", "cloud-volume", "positions", lambda _: _read_voxel("a", None, (0, 0, 0))),
        ("playwright", "Playwright", "preview", lambda _: find_browser()),
        ("isal", "isal", "publish", lambda _: _name_compressor()),
        ("fsspec", "fsspec", "publish", lambda _: open_destination("s3://bucket/folder", 5.0)),
        ("tensorstore", "tensorstore", "publish", lambda _: _check_tensorstore()),
        ("deltalake", "deltalake", "delta", lambda folder: [*_read_delta(str(folder))]),
        ("distributed", "Dask", "dask", lambda _: Cluster("tcp://127.0.0.1:1")),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    monkeypatch, tmp_path, library, name, extra, call
) -> None:
    """The extra has the library, and the error does not say that a service failed."""
    TABLE.to_excel(tmp_path / "cells.xlsx")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SynglancerError, match=name) as caught:
        call(tmp_path)
    assert f"pip install 'synglancer[{extra}]'" in caught.value.hint
    wanted = "distributed" if name == "Dask" else name.lower()
    listed = [one for one in requires("synglancer") or [] if f"extra == '{extra}'" in one]
    assert any(one.startswith(f"{wanted}>") for one in listed)
    assert not isinstance(caught.value, ServiceError)
