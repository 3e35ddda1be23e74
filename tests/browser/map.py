#!/usr/bin/python3
"""map.py --build FOLDER [--pictures FOLDER] - the page of `attune map` in Chromium, from a file: that it draws, with WebGL
and without, is moved by keys and wheel, finds and picks tracks, plays them, and hides what the legend says."""
import argparse
import pathlib
import shutil
import subprocess
import tempfile

import browser
from browser import check

ENTER, ESCAPE, DOWN, RIGHT = "\ue007", "\ue00c", "\ue015", "\ue014"  # as WebDriver spells keys
TRACKS, SHOWN, ODD = 24, 10, '<img src=x> "100%" #1 ?.wav'


def make(build, folder):
    """Synthesised music, embedded, with a name that HTML and URLs must not stumble over."""
    def run(*command):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    run(build / "tools/make_fma", "fma", "--tracks", str(TRACKS), "--seconds", "5", "--wav", "--seed", "3")
    first = min((folder / "fma").rglob("*.wav"))
    first.rename(first.with_name(ODD))
    run(build / "src/cli/attune", "embed", "fma", "-o", "fma.h5", "-q")
    run(build / "src/cli/attune", "map", "fma.h5", "-o", "map.html", "--clusters", "3", "--iterations", "250")
    return (folder / "map.html").as_uri()


def pixels(page):
    """How many pixels of the points' canvas are painted, drawn anew."""
    return page.js("""
        painter.draw();
        const copy = document.createElement("canvas"), from = document.getElementById("points");
        [copy.width, copy.height] = [from.width, from.height];
        const context = copy.getContext("2d");
        context.drawImage(from, 0, 0);
        return context.getImageData(0, 0, copy.width, copy.height).data.filter((v, i) => i % 4 === 3 && v > 60).length;""")


def draws(page, url, kind):
    page.open(url)
    page.wait("a map", lambda: page.js("return document.documentElement.dataset.ready"))
    ready = page.js("return document.documentElement.dataset.ready")
    check(ready == kind or kind == "webgl", f"drawn with {ready}, not {kind}")  # not every machine has WebGL
    check(page.text("#summary").startswith(f"{TRACKS} tracks."), page.text("#summary"))
    page.wait("painted points", lambda: pixels(page) > 20 * TRACKS)
    page.click("#none")
    page.wait("no point", lambda: pixels(page) == 0)
    page.click("#all")
    page.wait("all points", lambda: pixels(page) > 20 * TRACKS)


def moves(page):
    view = lambda: page.js("return [view.x, view.y, view.scale]")
    page.js("document.getElementById('marks').focus()")
    before = view()
    page.keys(RIGHT, "+")
    page.wait("the map further left", lambda: view()[0] > before[0] and view()[2] > before[2])
    page.js("document.getElementById('marks').dispatchEvent(new WheelEvent('wheel', "
            "{deltaY: -300, clientX: 600, clientY: 300, cancelable: true}))")
    page.wait("a larger map", lambda: view()[2] > 1.5 * before[2])
    page.keys("0")
    page.wait("the whole map", lambda: view() == before)
    page.keys(ENTER)
    page.wait("a track picked by key", lambda: page.shown("#detail"))
    page.keys(ESCAPE)
    page.wait("no track", lambda: not page.shown("#detail"))


def finds_and_plays(page):
    page.click("#search")
    page.keys("1", "0", "0", "%")
    page.wait("one hit", lambda: page.js("return document.querySelectorAll('#found [role=option]').length") == 1)
    page.inspect("map-search")
    page.keys(DOWN)
    check(page.js("return document.getElementById('search').getAttribute('aria-activedescendant')") == "hit0", "no hit is active")
    page.keys(ENTER)
    page.wait("its neighbours", lambda: page.js("return document.querySelectorAll('#neighbours li').length") == SHOWN)
    check(page.text("#name").startswith(ODD), page.text("#name"))
    page.wait("most of them in sight around it", lambda: page.js(
        "const seen = (i) => screenX(i) > 0 && screenX(i) < width && screenY(i) > 0 && screenY(i) < height;"
        "return Math.abs(screenX(picked) - width / 2) < 2 && [...Array(K).keys()].filter((k) => seen(neighbour(picked, k))).length") >= 7)
    check(page.js("return document.images.length") == 0, "a name became an image")
    page.click("#neighbours li:nth-child(2) .play")
    page.wait("sound", lambda: page.js("return audio.currentTime > 0.2 && !audio.paused"))
    page.click("#neighbours li:nth-child(3) .to")
    page.wait("another track", lambda: not page.text("#name").startswith(ODD))
    page.wait("its sound", lambda: page.js("return audio.currentTime > 0.1 && !audio.paused"))
    page.js("audio.currentTime = audio.duration - 0.05")
    page.wait("the first neighbour's", lambda: page.js("return playing === neighbour(picked, 0) && audio.currentTime > 0.1"))
    page.inspect("map-picked")
    page.js("pick(names.findIndex((name) => name.includes('100%')), true)")
    page.wait("the sound of an odd name", lambda: page.js("return audio.currentTime > 0.1 && !audio.paused"))
    page.keys(ESCAPE)


def hides(page):
    shown = lambda: page.js("return entries.filter((e) => e.shown).length")
    page.js("const by = document.getElementById('by'); by.value = String([...by.options].findIndex((o) => "
            "o.text.startsWith('cluster'))); by.dispatchEvent(new Event('change'))")
    page.wait("three clusters", lambda: shown() == 3)
    page.click("#legend li:nth-child(2) input")
    page.wait("two of three", lambda: shown() == 2)
    page.js("document.querySelector('#legend li:nth-child(2) button').click()")
    page.wait("one of three", lambda: page.js("return entries.map((e) => e.shown).join()") == "false,true,false")
    page.click("#all")
    dark = page.js("return document.documentElement.dataset.theme")
    page.click("#theme")
    check(page.js("return document.documentElement.dataset.theme") != dark, "dark and light are the same")
    page.inspect("map-legend")


def unreachable(page, folder):
    shutil.rmtree(folder / "fma")
    page.js("pick(3, true)")
    page.wait("a note", lambda: page.text("#note").startswith("This page cannot reach "))


def main():
    browser.skip_if_missing()
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--pictures", type=pathlib.Path)
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="attune-browser-"))
    try:
        url = make(options.build.resolve(), folder)
        with browser.Browser(options.pictures) as page:
            draws(page, url + "#webgl", "webgl")
            page.inspect("map")
            moves(page)
            finds_and_plays(page)
            hides(page)
            page.open("about:blank")  # another fragment alone loads nothing
            draws(page, url + "#canvas", "canvas")
            moves(page)
            check(page.complaints() == [], "the browser complains")
            unreachable(page, folder)
            print("the page works" + ("" if browser.AXE else "; accessibility not checked: axe-core is missing, tests/browser/run fetches it"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
