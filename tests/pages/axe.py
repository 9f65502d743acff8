"""Looks for faults of accessibility with axe-core on pages that loupe wrote, in light and in dark, wide and narrow.

    npm pack axe-core && tar xzf axe-core-*.tgz      # or any other copy of axe.min.js; 4.10 and 4.14 were used
    python tests/pages/axe.py package/axe.min.js runs/x/report.html compare.html study/…/study.html

Ends with 1 where a fault is serious or critical. What is folded is unfolded first, and of pages with samples the enlarged picture is
looked at too.
"""

import sys
from pathlib import Path

from browser import Browser

LOOK = """axe.run(document, { resultTypes: ["violations"] }).then((r) => r.violations.map((v) => ({
  id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.map((n) => n.html.slice(0, 140) + "  " + (n.any[0]?.message ?? "")) })))"""


def look(browser, axe, name):
    browser.eval(axe + ";1")
    serious = 0
    for fault in browser.eval(LOOK):
        bad = fault["impact"] in ("serious", "critical")
        serious += bad
        print(f"{name}: {fault['impact']}: {fault['id']} ({len(fault['nodes'])}): {fault['help']}")
        for node in fault["nodes"][:4]:
            print("    ", node)
    return serious


def main(axe, pages):
    axe, serious = Path(axe).read_text(encoding="utf-8"), 0
    for page in pages:
        for scheme in ("light", "dark"):
            for width in (1400, 500):
                name = f"{Path(page).parent.name}/{Path(page).name} {scheme} {width}"
                # A fresh one each: pages of readers ask before they are left.
                with Browser(width, 900) as browser:
                    browser.scheme(scheme)
                    browser.open(page)
                    browser.eval("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
                    serious += look(browser, axe, name)
                    if browser.eval("Boolean(document.querySelector('#detail .enlarge'))"):
                        browser.eval("document.querySelector('#detail .enlarge').click()")
                        browser.wait("document.querySelector('dialog .viewer-stage')")
                        serious += look(browser, axe, name + ", enlarged")
    print(f"{serious} serious faults on {len(pages)} pages")
    return int(serious > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
