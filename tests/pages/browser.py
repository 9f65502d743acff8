"""A headless Chromium over its debugging pipe, for the scripts of this folder. Needs Python alone and a Chromium (`LOUPE_CHROMIUM`, or one on
the path)."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path


class Browser:
    def __init__(self, width=1400, height=900):
        program = os.environ.get("LOUPE_CHROMIUM") or next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
        if not program:
            raise SystemExit("no Chromium found; LOUPE_CHROMIUM may name one")
        self.profile = tempfile.mkdtemp()
        (child_in, self.to), (self.back, child_out) = os.pipe(), os.pipe()

        # The browser speaks on descriptors 3 and 4.
        def place():
            one, two = os.dup(child_in), os.dup(child_out)
            os.dup2(one, 3)
            os.dup2(two, 4)

        self.child = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--hide-scrollbars", f"--user-data-dir={self.profile}", "about:blank"],
            preexec_fn=place, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(child_in)
        os.close(child_out)
        self.session, self.n, self.rest = None, 0, b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Page.setBypassCSP", enabled=True)
        self.resize(width, height)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def send(self, method, **params):
        self.n += 1
        message = {"id": self.n, "method": method, "params": params, **({"sessionId": self.session} if self.session else {})}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        return self.n

    def call(self, method, **params):
        asked = self.send(method, **params)
        while True:
            while b"\0" not in self.rest:
                more = os.read(self.back, 1 << 20)
                if not more:
                    raise SystemExit("the browser has ended")
                self.rest += more
            said, self.rest = self.rest.split(b"\0", 1)
            said = json.loads(said)
            if said.get("method") == "Page.javascriptDialogOpening":
                # A page that asks before it is left.
                self.send("Page.handleJavaScriptDialog", accept=True)
            if said.get("id") == asked:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error']}")
                return said["result"]

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, name):
        """`light` or `dark`."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def open(self, file, fragment=""):
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=Path(file).resolve().as_uri() + fragment)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")
        time.sleep(0.3)

    def eval(self, expression):
        said = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in said:
            raise RuntimeError(f"{expression[:200]}: {said['exceptionDetails']}")
        return said["result"].get("value")

    def wait(self, expression, seconds=60):
        end = time.monotonic() + seconds
        while not self.eval(f"Boolean({expression})"):
            if time.monotonic() > end:
                raise RuntimeError(f"never true: {expression}")
            time.sleep(0.02)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" and len(key) == 1 else "")

    def shot(self, clip=None):
        """A PNG of the window, or of `clip` of the page: x, y, width, height."""
        options = {"clip": dict(zip(["x", "y", "width", "height"], clip), scale=1), "captureBeyondViewport": True} if clip else {}
        return base64.b64decode(self.call("Page.captureScreenshot", **options)["data"])
