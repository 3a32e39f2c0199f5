"""Files and DataFrames of points are read, or refused before any request."""

from __future__ import annotations

import hashlib
import os

import pandas as pd
import pytest

from synglancer.cells.point_files import read_point_files
from synglancer.cells.points import parse_points
from synglancer.errors import UsageError


@pytest.mark.parametrize(
    ("frame", "message", "hint"),
    [
        (
            pd.DataFrame([[1, 2, 3, 4]], columns=["x_nm", "y_nm", "z_nm", " x_nm"]),
            "The DataFrame of points has two columns with the same name.",
            "Give each column a name of its own.",
        ),
        (
            pd.DataFrame(
                {"x_nm": [1], "y_nm": [2], "z_nm": [3], "tag": ["caf\udce9"]}, dtype=object
            ),
            "The DataFrame of points holds texts with characters that are not Unicode.",
            "Read them again in their own encoding, or leave these characters out.",
        ),
        (
            pd.DataFrame({"x_nm": [1], "y_nm": [2], "z_nm": [3], "color": [""], "colour": [""]}),
            "DataFrame has the columns color and colour.",
            "Keep one of them.",
        ),
    ],
)
def test_a_frame_with_two_meanings_is_refused(frame, message, hint):
    """Names that stand twice, in either spelling, and texts that no state can hold are refused."""
    with pytest.raises(UsageError) as refused:
        parse_points(read_point_files([frame])[0], (4.0, 4.0, 40.0))
    assert (str(refused.value), refused.value.hint) == (message, hint)


@pytest.mark.parametrize("content", [b"x_nm,y_nm,z_nm\n1,2,3\n", b"x_nm,y_nm,z_nm\n4,5,6\n"])
def test_the_hash_is_that_of_the_bytes_that_were_read(content):
    """A pipe, as of `<(command)`, can be read once; other points in it make another link."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    [file] = read_point_files([f"/dev/fd/{reading}"])
    os.close(reading)
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert file.table.rows == [content.decode().split()[1].split(",")]
