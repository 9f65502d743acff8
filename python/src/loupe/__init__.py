"""The commands of the ``loupe`` binary from Python.

Nothing is computed here: each function runs a command and reads what it prints or writes. The binary is the one that
``binary`` names, else ``LOUPE_BINARY``, else the one that came with this package, else ``loupe`` on the path.

    import loupe
    loupe.ask(["chest.png"], "Is there a nodule?")["text"]
    loupe.score("runs/vqa-rad-test-model")["profiles"][0]["figures"]
    loupe.read_run("runs/vqa-rad-test-model").groupby("verdict").size()
    voxels, affine = loupe.read_volume("ct/")
"""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    import numpy
    import pandas

__all__ = ["LoupeError", "PathLike", "ask", "read_rows", "read_run", "read_volume", "run", "score"]

PathLike = Union[str, "os.PathLike[str]"]


class LoupeError(RuntimeError):
    """A command that could not run, in its own words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message or f"loupe ended with {code}")
        #: The exit code: 2 for what cannot run, others as the command says.
        self.code = code


def _program(binary: PathLike | None) -> str:
    given = binary or os.environ.get("LOUPE_BINARY")
    if given:
        return os.fspath(given)
    own = Path(sysconfig.get_path("scripts")) / ("loupe.exe" if os.name == "nt" else "loupe")
    return os.fspath(own) if own.is_file() else "loupe"


def _options(options: Mapping[str, Any]) -> list[str]:
    """``max_new_tokens=5`` as ``--max-new-tokens 5``; True as a flag, lists as an option each, None and False not at all."""
    words: list[str] = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            words.append(option)
            continue
        several = isinstance(value, Iterable) and not isinstance(value, (str, bytes, os.PathLike))
        for one in value if several else [value]:
            words += [option, os.fspath(one) if isinstance(one, os.PathLike) else str(one)]
    return words


def run(words: Sequence[PathLike], *, binary: PathLike | None = None) -> str:
    """Runs ``loupe`` with these words and returns its standard output.

    A command that ran although some items failed (exit code 1) is no error: its document says what failed.
    """
    program = _program(binary)
    try:
        done = subprocess.run([program, *map(os.fspath, words)], capture_output=True, text=True, encoding="utf-8", check=False)
    except FileNotFoundError:
        raise LoupeError(2, f"{program} is not there; put loupe on the path or its place into LOUPE_BINARY") from None
    if done.returncode not in (0, 1):
        raise LoupeError(done.returncode, done.stderr.strip())
    return done.stdout


def ask(images: Sequence[PathLike], question: str, *, binary: PathLike | None = None, **options: Any) -> dict[str, Any]:
    """``loupe ask``: the reply as its JSON document. Options are those of the command: ``model=``, ``max_new_tokens=``…"""
    return json.loads(run(["ask", *images, question, "--json", "--quiet", *_options(options)], binary=binary))


def score(folder: PathLike, *, binary: PathLike | None = None, **options: Any) -> dict[str, Any]:
    """``loupe score RUN``: the summary of a run. Options are those of the command: ``profile=[…]``, ``metric=[…]``…"""
    return json.loads(run(["score", folder, "--json", "--quiet", *_options(options)], binary=binary))


def read_rows(folder: PathLike, *, binary: PathLike | None = None) -> list[dict[str, Any]]:
    """The replies of a scored run, a row each reply and profile, with the columns of ``docs/reference/tables.md``."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "replies.json"
        run(["export", folder, "--to", "json", "--output", file, "--quiet"], binary=binary)
        return json.loads(file.read_text(encoding="utf-8"))["rows"]


def read_run(folder: PathLike, *, binary: PathLike | None = None) -> pandas.DataFrame:
    """The same rows as a pandas data frame, through Arrow (``pip install loupe-python[frames]``).

    The binary must have been built with the feature ``parquet``, as it is by default.
    """
    import pyarrow.parquet

    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "replies.parquet"
        run(["export", folder, "--to", "parquet", "--output", file, "--quiet"], binary=binary)
        return pyarrow.parquet.read_table(file).to_pandas()


def read_volume(volume: PathLike, *, binary: PathLike | None = None, **options: Any) -> tuple[numpy.ndarray, numpy.ndarray]:
    """A volume as ``loupe`` reads it: voxels and their 4 × 4 affine (``pip install loupe-python[volumes]``).

    Voxels are float32 in the units of the source (HU for CT), indexed by column, row and slice; the affine takes these to
    millimetres as NIfTI has them: to the right, to the front, to the head. Options are those of ``loupe prepare``, such as
    ``orient="RAS"`` and ``spacing="1,1,1"``.
    """
    import nibabel
    import numpy

    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "volume"
        # The pictures are not wanted; one is the fewest.
        words = ["prepare", volume, "--output", made, "--keep-volume", "--slices", "even:1", "--json", "--quiet"]
        run([*words, *_options(options)], binary=binary)
        [file] = made.glob("*.nii*")
        image = nibabel.load(file)
        return numpy.asarray(image.dataobj, dtype=numpy.float32), image.affine
