"""The words of each command, with a stand-in for the binary; with the binary itself where LOUPE_BINARY names it."""

import importlib.util
import json
import os
import stat
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
import loupe  # noqa: E402

STAND_IN = """#!{python}
import json, sys
words = sys.argv[1:]
if "refused" in words:
    sys.stderr.write("error: no such model\\n"); sys.exit(2)
if words[0] == "export":
    open(words[words.index("--output") + 1], "w").write(json.dumps({{"rows": [{{"id": "q1", "words": words[:4]}}]}}))
else:
    print(json.dumps({{"words": words}}))
sys.exit(1 if "some-failed" in words else 0)
"""


class Words(unittest.TestCase):
    def setUp(self) -> None:
        self.scratch = tempfile.TemporaryDirectory()
        self.binary = Path(self.scratch.name) / "loupe"
        self.binary.write_text(STAND_IN.format(python=sys.executable))
        self.binary.chmod(self.binary.stat().st_mode | stat.S_IXUSR)

    def tearDown(self) -> None:
        self.scratch.cleanup()

    def test_options_become_words(self) -> None:
        said = loupe.ask([Path("a.png"), "b.png"], "What?", binary=self.binary, model="m", max_new_tokens=5, logprobs=None, ground=["x", "y"], pan_and_scan=True)
        expected = ["ask", "a.png", "b.png", "What?", "--json", "--quiet", "--model", "m", "--max-new-tokens", "5", "--ground", "x", "--ground", "y", "--pan-and-scan"]
        self.assertEqual(said["words"], expected)

    def test_items_that_failed_are_no_error_and_a_refusal_is(self) -> None:
        self.assertEqual(loupe.score("some-failed", binary=self.binary)["words"][1], "some-failed")
        with self.assertRaises(loupe.LoupeError) as caught:
            loupe.score("refused", binary=self.binary)
        self.assertEqual((caught.exception.code, str(caught.exception)), (2, "error: no such model"))
        with self.assertRaisesRegex(loupe.LoupeError, "LOUPE_BINARY"):
            loupe.score("run", binary=self.binary.parent / "nothing")

    def test_the_binary_of_the_package_comes_before_that_of_the_path(self) -> None:
        with unittest.mock.patch.dict(os.environ), unittest.mock.patch.object(loupe.sysconfig, "get_path", return_value=self.scratch.name):
            os.environ.pop("LOUPE_BINARY", None)
            self.assertEqual(loupe.run(["list"]), '{"words": ["list"]}\n')
            self.binary.unlink()
            self.assertEqual(loupe._program(None), "loupe")

    def test_a_run_is_rows(self) -> None:
        self.assertEqual(loupe.read_rows("RUN", binary=self.binary), [{"id": "q1", "words": ["export", "RUN", "--to", "json"]}])


def needs(*modules: str):
    """Skips, and says so, where one of these packages is not installed."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return unittest.skipIf(missing, f"needs {', '.join(missing)}")


@unittest.skipUnless(os.environ.get("LOUPE_BINARY"), "LOUPE_BINARY does not name the binary")
class TheBinary(unittest.TestCase):
    def setUp(self) -> None:
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = Path(self.scratch.name)

    def tearDown(self) -> None:
        self.scratch.cleanup()

    def scored(self) -> Path:
        """A run of four replies, one of them unreadable."""
        replies = [("yes", "yes"), ("no", "yes"), ("yes", "I cannot tell."), ("left lung", "the left lung")]
        lines = [json.dumps({"id": str(n), "answer": a, "response": r, "organ": ["CHEST", "HEAD"][n % 2]}) for n, (a, r) in enumerate(replies)]
        file, folder = self.folder / "replies.jsonl", self.folder / "run"
        file.write_text("\n".join(lines) + "\n")
        loupe.run(["score", "--replies", file, "--output", folder, "--no-page", "--quiet"])
        return folder

    def test_it_answers(self) -> None:
        picture = self.folder / "grey.pgm"
        picture.write_bytes(b"P5 64 64 255\n" + bytes(64 * 64))
        reply = loupe.ask([picture], "Is there a nodule?", max_new_tokens=4)
        self.assertIsInstance(reply, dict)

    def test_a_run_is_scored_and_read(self) -> None:
        folder = self.scored()
        figure = loupe.score(folder, no_page=True)["profiles"][0]["figures"][0]
        self.assertEqual((figure["name"], figure["n"], figure["unparsed"]), ("accuracy", 4, 1))
        rows = [row for row in loupe.read_rows(folder) if row["profile"] == "strict"]
        self.assertEqual([row["verdict"] for row in rows], ["correct", "wrong", "unparsed", "correct"])

    @needs("pandas", "pyarrow")
    def test_a_run_is_a_data_frame(self) -> None:
        folder = self.scored()
        frame = loupe.read_run(folder)
        rows = loupe.read_rows(folder)
        self.assertEqual(list(frame.columns), list(rows[0]))
        self.assertEqual(len(frame), len(rows))
        own = frame[frame.profile == "strict"]
        self.assertEqual((own.value.sum(), own.value.dtype.kind, own.row.dtype.kind), (2.0, "f", "i"))

    @needs("pandas", "pyarrow")
    def test_the_example_runs(self) -> None:
        example = Path(__file__).parents[1] / "examples" / "replies.py"
        folder, table = self.scored(), self.folder / "replies.csv"
        loupe.run(["export", folder, "--to", "csv", "--output", table, "--quiet"])
        path = os.pathsep.join([str(Path(__file__).parents[1] / "src"), os.environ.get("PYTHONPATH", "")])
        said = [
            subprocess.run([sys.executable, example, source], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True).stdout
            for source in (folder, table)
        ]
        self.assertEqual(said[0], said[1])
        self.assertRegex(said[0], r"strict +50\.0")

    @needs("numpy", "nibabel")
    def test_a_volume_is_an_array_with_its_affine(self) -> None:
        import nibabel
        import numpy

        voxels = (numpy.arange(5 * 4 * 3, dtype=numpy.int16) - 20).reshape(5, 4, 3)
        affine = numpy.array([[-0.5, 0, 0, 12], [0, 0.75, 0, -7], [0, 0, 2, 3], [0, 0, 0, 1.0]])
        nibabel.save(nibabel.Nifti1Image(voxels, affine), self.folder / "v.nii.gz")
        read, place = loupe.read_volume(self.folder / "v.nii.gz")
        numpy.testing.assert_array_equal(read, voxels)
        numpy.testing.assert_allclose(place, affine, atol=1e-6)


if __name__ == "__main__":
    unittest.main()
