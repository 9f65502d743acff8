"""How soon a page is painted: `python tests/pages/speed.py report.html…`. The median of five openings in a fresh browser each."""

import statistics
import sys
from pathlib import Path

from browser import Browser

PAINT = "new Promise((done) => { const found = () => performance.getEntriesByName('first-contentful-paint')[0]; const look = () => found() ? done(found().startTime) : setTimeout(look, 20); look(); })"

for page in sys.argv[1:]:
    paints, lists = [], []
    for _ in range(5):
        with Browser() as browser:
            browser.open(page)
            paints.append(browser.eval(PAINT))
            # When the script has shown its first sample.
            lists.append(browser.eval("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
    mb = Path(page).stat().st_size / 1e6
    print(f"{page}: {mb:.1f} MB, first paint {statistics.median(paints):.0f} ms ({min(paints):.0f} to {max(paints):.0f}), samples there after {statistics.median(lists):.0f} ms")
