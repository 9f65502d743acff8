"""Reads a blinded study in a headless Firefox by the keyboard alone, collects the answers and compares them with what was typed.

    python firefox.py LOUPE STUDY OUT [--only READER]      (pip install websockets)

STUDY is what `loupe study build` wrote: pages and `key.json`; `loupe-demo/study` is one. Ratings are typed, the first choices taken; places to be
marked are left out. What has to hold: no request but the page itself, no error on the console, every rating in its place, and the pixels of the first image
as Chromium shows them, where there is one. A picture of the first case of each page is written into OUT.
"""
import argparse
import asyncio
import base64
import csv
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import websockets

ENTER = "\uE007"
PIXELS = "(() => { const c = document.querySelector('canvas'); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let h = 0; for (const v of d) h = (h * 31 + v) >>> 0; return [c.width, c.height, h].join(' '); })()"
SAVED = "(() => { let kept = null; const make = URL.createObjectURL; URL.createObjectURL = (b) => { kept = b; return make(b); }; HTMLAnchorElement.prototype.click = () => {}; [...document.querySelectorAll('button')].find((b) => b.textContent === 'Save answers').click(); return kept.text(); })()"


class Firefox:
    """A headless Firefox over WebDriver BiDi."""

    async def __aenter__(self):
        self.profile = tempfile.mkdtemp()
        program = shutil.which("firefox-esr") or shutil.which("firefox")
        if not program:
            raise SystemExit("no Firefox found on the path")
        self.child = subprocess.Popen([program, "--headless", "--no-remote", "--remote-debugging-port=0", "--profile", self.profile, "about:blank"],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        address = next(m[1] for m in (re.search(r"BiDi listening on (ws://\S+)", line) for line in self.child.stderr) if m)
        # What it goes on to say must not fill the pipe.
        asyncio.get_running_loop().run_in_executor(None, self.child.stderr.read)
        self.socket = await websockets.connect(f"{address}/session", max_size=None)
        self.n, self.requests, self.errors = 0, [], []
        capabilities = (await self.call("session.new", capabilities={}))["capabilities"]
        self.version = capabilities["browserVersion"]
        # Keys press buttons of the window that is in front alone.
        self.context = (await self.call("browsingContext.create", type="window"))["context"]
        await self.call("browsingContext.activate", context=self.context)
        await self.call("session.subscribe", events=["network.beforeRequestSent", "log.entryAdded"])
        await self.call("browsingContext.setViewport", context=self.context, viewport={"width": 1400, "height": 900})
        return self

    async def __aexit__(self, *_):
        await self.socket.close()
        self.child.kill()
        self.child.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    async def call(self, method, **params):
        self.n += 1
        await self.socket.send(json.dumps({"id": self.n, "method": method, "params": params}))
        while True:
            said = json.loads(await self.socket.recv())
            if said.get("method") == "network.beforeRequestSent":
                self.requests.append(said["params"]["request"]["url"])
            elif said.get("method") == "log.entryAdded" and said["params"]["level"] == "error":
                self.errors.append(said["params"]["text"])
            elif said.get("id") == self.n:
                if said["type"] == "error":
                    raise RuntimeError(f"{method}: {said}")
                return said["result"]

    async def eval(self, expression):
        said = await self.call("script.evaluate", expression=expression, target={"context": self.context}, awaitPromise=True)
        if said["type"] != "success":
            raise RuntimeError(f"{expression[:200]}: {said['exceptionDetails']['text']}")
        return said["result"].get("value")

    async def wait(self, expression):
        for _ in range(1500):
            if await self.eval(f"Boolean({expression})"):
                return
            await asyncio.sleep(0.02)
        raise RuntimeError(f"never true: {expression}")

    async def press(self, keys):
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        await self.call("input.performActions", context=self.context, actions=[{"type": "key", "id": "keys", "actions": actions}])

    async def open(self, file):
        await self.call("browsingContext.navigate", context=self.context, url=Path(file).resolve().as_uri(), wait="complete")

    async def shot(self, path):
        path.write_bytes(base64.b64decode((await self.call("browsingContext.captureScreenshot", context=self.context))["data"]))


async def read(browser, study, page, picture):
    """Reads a page to its end; returns what was typed, by step and question, the pixels of the first case, and the file of answers."""
    await browser.open(study / page["file"])
    await browser.wait("document.querySelector('.message button.main')")
    await browser.press(ENTER)
    typed, pixels, steps = {}, None, page["steps"]
    for n, step in enumerate(steps):
        if n and steps[n - 1]["session"] != step["session"]:
            await browser.wait("document.querySelector('.message h1')?.textContent.startsWith('Session')")
            await browser.eval("[...document.querySelectorAll('.message button')].find((b) => b.textContent.startsWith('The coordinator')).click()")
        heading = f"Case {n + 1} of {len(steps)}"
        await browser.wait(f"document.querySelector('.panel h2')?.textContent === '{heading}'")
        if n == 0:
            await browser.wait("document.querySelector('canvas')?.width > 0")
            await asyncio.sleep(0.5)
            await browser.shot(picture)
            # Browsers smooth in ways of their own; enlarged further, the pixels stand as they are.
            await browser.press("+" * 10)
            await asyncio.sleep(0.5)
            pixels = await browser.eval(PIXELS)
            await browser.press("0")
        for question in page["questions"]:
            if question["type"] == "rating":
                typed[n, question["column"]] = str((7 * n + 13) % 101)
                await browser.press(typed[n, question["column"]] + ENTER)
            elif question["type"] == "choice":
                typed[n, question["column"]] = n % 2 + 1
                await browser.press(f"{n % 2 + 1}{ENTER}")
            else:
                await browser.press(ENTER)
    await browser.wait(f"document.querySelector('.panel h2')?.textContent !== 'Case {len(steps)} of {len(steps)}'")
    return typed, pixels, json.loads(await browser.eval(SAVED))


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("loupe")
    parser.add_argument("study", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", help="code of one reader")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    key = json.loads((args.study / "key.json").read_text())
    files, typed = [], {}
    async with Firefox() as browser:
        for number, page in enumerate(key["pages"]):
            if args.only and page["reader"] != args.only:
                continue
            page["questions"] = key["questions"]
            values, pixels, answers = await read(browser, args.study, page, args.out / f"case-{number}.png")
            assert answers["complete"], "the page was not read to its end"
            files.append(args.out / f"answers-{number}.json")
            files[-1].write_text(json.dumps(answers))
            for (n, column), value in values.items():
                step = page["steps"][n]
                arm = key["arms"][step["task"]["arm"]] if "arm" in step["task"] else None
                typed[page["reader"], key["cases"][step["case"]]["name"], arm, step["repeat"], column] = value
            same = ""
            if any(map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])):
                from browser import Browser
                with Browser() as other:
                    other.open(args.study / page["file"])
                    other.wait("document.querySelector('.message button.main')")
                    other.eval("document.querySelector('.message button.main').click()")
                    other.wait("document.querySelector('canvas')?.width > 0")
                    await asyncio.sleep(0.5)
                    for _ in range(10):
                        other.press("+")
                    await asyncio.sleep(0.5)
                    assert other.eval(PIXELS) == pixels, (other.eval(PIXELS), pixels)
                    same = ", its first image as in Chromium"
            print(f"{page['file']}: {len(page['steps'])} readings{same}")
        others = [url for url in browser.requests if not url.startswith(("file:", "about:", "blob:", "data:"))]
        assert not others, others
        assert not browser.errors, browser.errors
        version = browser.version
    out = args.out / "readings"
    subprocess.run([args.loupe, "study", "collect", *files, "--key", args.study / "key.json", "-o", out], check=True)
    rows = list(csv.DictReader((out / "readings.csv").open()))
    assert rows and len(rows) * len({column for *_, column in typed}) == len(typed), (len(rows), len(typed))
    for row in rows:
        for column in {column for *_, column in typed}:
            want = typed[row["reader"], row["case"], row["arm"], bool(int(row.get("repeat") or 0)), column]
            if isinstance(want, str):
                assert float(row[column]) == float(want), (row, column, want)
    print(f"Firefox {version}: {len(rows)} readings, each rating as it was typed; no request beyond the pages, no error")


asyncio.run(main())
