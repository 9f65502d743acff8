"""The words of each command, with a stand-in for the binary; with the binary itself where LOUPE_BINARY names it."""

import json
import os
import stat
import sys
import tempfile
import unittest
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

    def test_a_run_is_rows(self) -> None:
        self.assertEqual(loupe.read_run("RUN", binary=self.binary), [{"id": "q1", "words": ["export", "RUN", "--to", "json"]}])


@unittest.skipUnless(os.environ.get("LOUPE_BINARY"), "LOUPE_BINARY does not name the binary")
class TheBinary(unittest.TestCase):
    def test_it_answers(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            picture = Path(scratch) / "grey.pgm"
            picture.write_bytes(b"P5 64 64 255\n" + bytes(64 * 64))
            reply = loupe.ask([picture], "Is there a nodule?", max_new_tokens=4)
            self.assertIsInstance(reply, dict)


if __name__ == "__main__":
    unittest.main()
