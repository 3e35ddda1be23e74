"""browser.py - Chromium, as a test of a page needs it: without a window or loudspeakers, driven by Debian's Selenium.

A page is tried as a person would: keys and clicks, and what is to be seen. Every wait is for something, with a limit;
nothing depends on how fast the machine is. axe-core, which tests/browser/run fetches, looks for what keeps people out.
"""
import contextlib
import glob
import pathlib
import shutil
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
AXE = next(iter(glob.glob(str(ROOT / "build/browser/lib/python*/site-packages/axe_playwright_python/axe.min.js"))), None)

WINDOWS = {"wide": (1280, 800), "narrow": (360, 740)}
SCHEMES = ("light", "dark")

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
except ImportError:
    webdriver = None


def skip_if_missing():
    for there, name in ((webdriver, "python3-selenium"), (CHROMIUM, "chromium"), (DRIVER, "chromium-driver")):
        if not there:
            print(f"ATTUNE-SKIP: {name} is not installed; tests/browser/run installs it")
            sys.exit(0)


def check(truth, text):
    if not truth:
        raise AssertionError(text)


class Browser(contextlib.AbstractContextManager):
    """One window. `pictures`: the folder that picture() writes to, or None."""

    def __init__(self, pictures=None):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--mute-audio",
                         "--autoplay-policy=no-user-gesture-required", "--hide-scrollbars", "--enable-unsafe-swiftshader"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service(DRIVER), options=options)
        self.driver.set_page_load_timeout(60)
        self.driver.set_script_timeout(60)
        self.pictures = pictures
        self.window("wide", "light")

    def __exit__(self, *_):
        self.driver.quit()

    def devtools(self, command, **arguments):
        return self.driver.execute_cdp_cmd(command, arguments)

    def window(self, size, scheme, motion=True):
        width, height = WINDOWS[size]
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.devtools("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "no-preference" if motion else "reduce"}])

    def block(self, *urls):
        """Requests that match get no reply from now on; none given: all do again."""
        self.devtools("Network.enable")
        self.devtools("Network.setBlockedURLs", urls=list(urls))

    def open(self, url):
        self.driver.get(url)

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        """What is to be seen of the first that matches; empty if nothing is."""
        return self.js("const found = document.querySelector(arguments[0]); return found?.checkVisibility() ? found.innerText : ''",
                       selector).strip()

    def shown(self, selector):
        return self.js("return document.querySelector(arguments[0])?.checkVisibility() ?? false", selector)

    def click(self, selector, across=0.5):
        """Clicks the middle of an element, or elsewhere along its width (0 to 1)."""
        element = self.find(selector)
        offset = round((across - 0.5) * element.size["width"])
        ActionChains(self.driver).move_to_element_with_offset(element, offset, 0).click().perform()

    def keys(self, *keys):
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def wait(self, text, condition, seconds=20):
        """Until condition() is true; returns what it returned."""
        end = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            check(time.monotonic() < end, f"waited {seconds} s in vain for: {text}")
            time.sleep(0.05)

    def each_window(self):
        """Every size and scheme in turn, then wide and light again."""
        for size in WINDOWS:
            for scheme in SCHEMES:
                self.window(size, scheme, motion=False)  # axe would measure colours in mid-transition
                self.driver.execute_async_script(
                    "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()));")
                yield size, scheme
        self.window("wide", "light")

    def inspect(self, name):
        """The page as it is now, in every size and scheme: nothing sticks out, axe-core finds nothing serious; and a picture."""
        for size, scheme in self.each_window():
            where = f"{name}-{size}-{scheme}"
            over = self.js("return document.documentElement.scrollWidth - innerWidth")
            check(over <= 0, f"{where}: {over} px wider than the window")
            if self.pictures:
                self.driver.save_screenshot(str(pathlib.Path(self.pictures) / f"{where}.png"))
            bad = [violation for violation in self.violations() if violation["impact"] in ("serious", "critical")]
            check(not bad, f"{where}: " + "; ".join(
                f"{violation['id']}: {violation['help']}: {violation['nodes'][0]['html']}" for violation in bad))

    def brightest(self, selector):
        """Of what an element shows, the brightest pixel (0 to 255) of its columns, the first and the last: their ground."""
        picture = self.find(selector).screenshot_as_base64
        here = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")  # an empty one, whose policy lets a picture be looked at
        ends = self.driver.execute_async_script(
            """const [picture, done] = arguments, image = new Image();
            image.onload = () => {
              const canvas = document.createElement("canvas"), paper = canvas.getContext("2d", {willReadFrequently: true});
              [canvas.width, canvas.height] = [image.width, image.height];
              paper.drawImage(image, 0, 0);
              const column = (x) => Math.max(...paper.getImageData(x, 0, 1, image.height).data.filter((_, i) => i % 4 === 1));
              done([column(1), column(image.width - 2)]);
            };
            image.src = "data:image/png;base64," + picture;""", picture)
        self.driver.close()
        self.driver.switch_to.window(here)
        return ends

    def violations(self):
        """What axe-core finds; nothing where axe-core is missing."""
        if AXE is None:
            return []
        if not self.js("return 'axe' in window"):
            self.js(pathlib.Path(AXE).read_text(encoding="utf-8") + "\nwindow.axe = axe;")
        return self.driver.execute_async_script(
            "const done = arguments[0]; axe.run().then((found) => done(found.violations), (reason) => { throw reason; });")

    def complaints(self):
        """What the browser wrote to its console since the last call: scripts' errors, broken rules, missing files."""
        return [line["message"] for line in self.driver.get_log("browser")
                if line["level"] in ("SEVERE", "WARNING") and "GL Driver Message" not in line["message"]]
