"""Takes the pictures of pages for docs/pictures: every page and plot in light, in dark and at 500 pixels.

    python tests/pages/terminal.py LOUPE FOLDER      # makes what is photographed
    python tests/pages/pictures.py LOUPE FOLDER [NAME…]

Needs a Chromium and Pillow. Pictures have few colours, so that all of them stay small.
"""

import io
import subprocess
import sys
from pathlib import Path

from PIL import Image

from browser import Browser

PICTURES = Path(__file__).parents[2] / "docs/pictures"
OPEN = "document.querySelector('#detail .enlarge').click()"

# Name, page, sample, what is done, what is photographed (an element, or the window).
VIEWS = [
    ("run", "loupe-demo/runs/vqa-rad-swapped/report.html", "", "", None),
    ("run-samples", "loupe-demo/runs/grounding/report.html", "0", "document.getElementById('browser').scrollIntoView()", None),
    ("run-plots", "sure/report.html", "", "", "#page-plots"),
    ("boxes-plots", "loupe-demo/runs/grounding/report.html", "", "", "#page-plots"),
    ("masks-plots", "loupe-demo/runs/segment-box/report.html", "", "", "#page-plots"),
    ("masks-sample", "loupe-demo/runs/segment-box/report.html", "0", "document.getElementById('browser').scrollIntoView()", None),
    ("rounds", "loupe-demo/runs/two-looks/report.html", "0", "document.getElementById('browser').scrollIntoView()", None),
    ("probe", "probes.html", "0", "document.getElementById('browser').scrollIntoView()", None),
    ("slices", "ct/report.html", "0", OPEN, None),
    ("beside", "loupe-demo/runs/grounding/report.html", "0", OPEN + "; new Promise((done) => setTimeout(done, 500)).then(() => document.querySelector('dialog [title*=Side]').click())", None),
    ("compare", "looks.html", "", "", None),
    ("study", "results/study.html", "", "", None),
    ("study-plots", "results/study.html", "", "document.querySelector('figure.plot').scrollIntoView()", None),
    ("reading", "loupe-demo/study/reader/study.html", "", "document.querySelector('button.main').click()", None),
    ("reports", "reports/report.html", "", "", None),
    ("demo", "loupe-demo/report.html", "", "", None),
]
LOOKS = [("light", 1400, 900, "light"), ("dark", 1400, 900, "dark"), ("500", 500, 900, "light")]


def made(loupe: str, folder: Path) -> None:
    """A question about a slice of a volume, whose neighbours are then on the page; a run beside two of its probes."""
    (folder / "ct.jsonl").write_text('{"id":"0","question":"Is there a nodule?","answer":"yes","image":{"path":"loupe-demo/data/studies/0000-ct-chest/volume.nii","slice":12}}\n')
    subprocess.run([loupe, "eval", "--data", "jsonl=ct.jsonl", "--output", "ct", "--quiet"], cwd=folder, check=False)
    runs = [f"loupe-demo/runs/{name}" for name in ("vqa-rad", "vqa-rad-blank", "vqa-rad-swapped")]
    subprocess.run([loupe, "compare", *runs, "--page", "probes.html", "--quiet"], cwd=folder, stdout=subprocess.DEVNULL, check=False)


def small(png: bytes) -> bytes:
    """As a palette that keeps rare colours (verdicts, marks), with fewer and then smaller where 110 kB have no room for it."""
    whole = Image.open(io.BytesIO(png)).convert("RGB")
    for colours, share in ((128, 1), (64, 1), (64, 0.75), (48, 0.5)):
        image = whole.resize([round(share * side) for side in whole.size]) if share < 1 else whole
        out = io.BytesIO()
        image.quantize(colours, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() <= 110_000:
            break
    return out.getvalue()


def main(loupe: str, folder: Path, *names: str) -> None:
    made(str(Path(loupe).resolve()), folder)
    only, total = set(names), 0
    for name, page, sample, act, element in VIEWS:
        if only and name not in only:
            continue
        if not (folder / page).is_file():
            print("not there:", page)
            continue
        for look, width, height, scheme in LOOKS:
            # A fresh one each: pages of readers ask before they are left.
            with Browser(width, height) as browser:
                browser.scheme(scheme)
                browser.open(folder / page)
                if sample:
                    browser.eval("document.querySelector('#list .row').click()")
                if act:
                    browser.eval(act)
                    browser.eval("new Promise((done) => setTimeout(done, 700))")
                clip = None
                if element:
                    clip = browser.eval(f"(() => {{ const r = document.querySelector('{element}').getBoundingClientRect(); return [r.left + scrollX, r.top + scrollY, r.width, Math.min(r.height, 3000)]; }})()")
                png = small(browser.shot(clip))
            (PICTURES / f"{name}-{look}.png").write_bytes(png)
            total += len(png)
            print(f"{name}-{look}.png {len(png) / 1000:.0f} kB", flush=True)
    print(f"{total / 1e6:.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
