#!/usr/bin/python3
"""judge.py --build FOLDER [--pictures FOLDER] - the page of `attune judge` in Chromium, from the name to the file of
answers, over music that make_fma synthesises: sound that really plays, keys, an answer given too early, undo, skip,
reloading, a server that goes away and comes back, a second listener, the results."""
import argparse
import csv
import json
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import browser
from browser import check

TRIPLETS, SECONDS = 14, 12


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Server:
    """`attune judge` over synthesised clips; stop() and start() as often as a test likes."""

    def __init__(self, build, folder):
        self.attune, self.folder, self.port = build / "src/cli/attune", folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        subprocess.run([build / "tools/make_fma", "fma", "--tracks", "10", "--seconds", "15", "--wav", "--seed", "3"],
                       cwd=folder, check=True, capture_output=True)
        ids = sorted(int(path.stem) for path in (folder / "fma").rglob("*.wav"))
        draw = random.Random(1)
        lines = ["song1,song2,song3,anchor,positive"]
        lines += [",".join(map(str, draw.sample(ids, 3))) + ",," for _ in range(TRIPLETS)]
        (folder / "triplets.csv").write_text("\n".join(lines) + "\n")
        self.process = None
        self.start()

    def start(self, *more):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.attune, "judge", "triplets.csv", "--audio", "fma", "--port", str(self.port), "-o", "answers.csv",
                 "--seconds", str(SECONDS), "--votes", "2", "--repeat", "0", *more], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for _ in range(600):
            try:
                urllib.request.urlopen(self.url, timeout=5).close()
                return
            except urllib.error.HTTPError:
                return  # it does not let us in
            except (urllib.error.URLError, ConnectionError):
                check(self.process.poll() is None, "attune judge ended: " + (self.folder / "log").read_text())
                time.sleep(0.05)
        check(False, "attune judge does not listen")

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        code = self.process.wait(60)
        check(code == 0, f"attune judge ended with {code}: " + (self.folder / "log").read_text())

    def rows(self):
        with open(self.folder / "answers.csv", newline="") as file:
            return list(csv.DictReader(file))

    def events(self, kind):
        with open(self.folder / "answers.jsonl") as file:
            return [line for line in map(json.loads, file) if line["record"] == kind]


class Page(browser.Browser):
    """What a listener sees and does; `given` are the answers that the page should have taken, as (name, key)."""

    name, given = "Ann", []

    def ready(self):
        """Three clips are there, loaded, and none is refused for being new."""
        self.wait("three clips", lambda: self.js(
            "return [...document.querySelectorAll('.play')].filter((button) => !button.disabled).length") == 3)
        time.sleep(0.35)  # longer than the page's SETTLE

    def status(self, text):
        self.wait(f"the status {text!r}, not {self.text('#status')!r}", lambda: text in self.text("#status"))

    def done(self, count):
        self.wait(f"{count} answers, not {self.text('#count')!r}", lambda: re.match(rf"{count} of [1-9]", self.text("#count")))

    def position(self, clip):
        return self.js("return document.querySelectorAll('audio')[arguments[0] - 1].currentTime", clip)

    def playing(self):
        return self.js("return [...document.querySelectorAll('audio')].flatMap((one, i) => one.paused ? [] : [i + 1])")

    def shown_playing(self):
        return self.js("return [...document.querySelectorAll('.clip')].flatMap((one, i) =>"
                       " one.querySelector('.play').ariaLabel.startsWith('Pause') || one.matches('.playing') ? [i + 1] : [])")

    def clips(self):
        """What is shown, by the addresses of the sounds."""
        return self.js("return [...document.querySelectorAll('audio')].map((one) => one.src)")

    def hear(self, *clips):
        for clip in clips:
            self.keys(str(clip))
            self.wait(f"clip {clip} to be heard", lambda: "heard" in self.text(f".clip.c{clip} .heard"))
        self.keys(str(clips[-1]))

    def answer(self, key):
        """Without listening: the same key twice."""
        self.ready()
        shown = self.clips()
        self.keys(key, key)
        self.given.append((self.name, key))
        self.wait("the next clips", lambda: self.clips() != shown or self.shown("#finished"))


def sign_in(page, server):
    page.open(server.url)
    page.wait("the question for a name", lambda: page.shown("#start"))
    check(page.js("return document.activeElement.id") == "name", "the name is not asked for at once")
    page.inspect("start")
    page.keys("  ", "\n")
    page.wait("a word about the missing name", lambda: "name" in page.text("#again") and "go on" not in page.text("#again"))
    page.js("document.getElementById('name').value = ''")
    page.keys("Ann", "\n")
    page.ready()
    page.done(0)


def play(page):
    page.wait("clips of the next three, fetched early", lambda: page.js(
        "return new Set(performance.getEntriesByType('resource').flatMap((one) => one.name.match(/clip\\/\\d+$/) ?? [])).size") > 3)
    page.keys("1")
    page.wait("sound", lambda: page.position(1) > 0.2)
    check(page.playing() == [1], "another clip plays")
    early = page.position(1)
    page.wait("sound that goes on", lambda: page.position(1) > early + 0.5)
    page.keys("2")
    page.wait("clip 2", lambda: page.position(2) > 0.2)
    check(page.playing() == [2], "two clips play at once")
    stands = page.position(1)
    page.keys("2")
    page.wait("clip 2 to pause", lambda: page.playing() == [])

    page.click(".clip.c3 .wave input", 0.5)
    page.wait("clip 3 at its middle", lambda: abs(page.position(3) - SECONDS / 2) < 0.3)
    page.keys("\ue014", "\ue014")  # right arrow, twice
    page.wait("clip 3 two seconds on", lambda: abs(page.position(3) - SECONDS / 2 - 2) < 0.3)
    page.keys("\ue011")  # home
    page.wait("clip 3 at its beginning", lambda: page.position(3) == 0)
    check(page.position(1) == stands, "another clip moved")

    page.click(".clip.c1 .wave input", 0.98)
    page.click(".clip.c1 .play")
    page.wait("a loop", lambda: 0 < page.position(1) < SECONDS / 2)
    page.click(".clip.c1 .wave input", 0.5)
    page.keys("p", "2")
    page.wait("clip 2", lambda: page.playing() == [2])
    check(page.position(2) > page.position(1) - 0.1 > SECONDS / 3, "not at the same position")
    page.keys("p", "2")


def first_answer(page):
    """Not taken before all three were heard, or it is said twice."""
    page.open(page.js("return location.href"))
    page.done(0)
    page.hear(1, 2)  # a clip that is still loading plays as soon as it can
    page.keys("q")
    page.status("Hear 3 first")
    page.inspect("task")
    page.done(0)
    page.hear(3)
    page.status("All are heard")
    page.keys("3")
    page.wait("clip 3", lambda: page.playing() == [3])
    page.wait("a sign of what plays", lambda: page.shown_playing() == [3])
    page.keys("q")  # while one plays, which then ends
    page.given.append(("Ann", "q"))
    page.status("Saved")
    page.done(1)
    page.ready()
    check(page.playing() == [] and page.shown_playing() == [], "a clip is shown as playing that is new and silent")


def keyboard(page):
    for i in range(4):
        page.answer("qwe"[i % 3])
    page.done(5)
    page.open(page.js("return location.href"))
    page.ready()
    page.done(5)
    page.keys("u")
    page.status("Taken back")
    page.done(4)
    page.answer("e")
    page.done(5)
    page.answer("w")
    page.ready()
    page.keys("s")
    page.status("Skipped")
    for i in range(3):
        page.answer("qwe"[i % 3])
    page.done(9)
    page.wait("the pace", lambda: "a minute" in page.text("#pace"))
    page.ready()
    page.keys("?")
    page.wait("the help", lambda: page.shown("#help"))
    page.inspect("help")
    page.keys("q", "q", "\ue00c")  # keys do nothing behind the help; escape
    page.wait("the help to close", lambda: not page.shown("#help"))
    page.done(9)


def without_server(page, server):
    """An answer is saved when the server has said so, not earlier, and kept until then, over a reload too."""
    page.ready()
    server.process.send_signal(signal.SIGSTOP)
    page.answer("e")
    check(page.text("#status") == "Saving.", "shown as saved")
    page.done(9)
    server.process.send_signal(signal.SIGCONT)
    page.status("Saved")
    page.done(10)
    page.ready()

    server.stop()
    page.answer("q")
    page.wait("a warning", lambda: "1 answer not saved yet" in page.text("#banner"))
    page.inspect("away")
    check(page.text("#status") == "Not saved yet.", "shown as saved")
    page.done(10)
    server.start()
    page.done(11)
    page.wait("no warning", lambda: not page.shown("#banner"))

    page.ready()
    page.block("*/api/answer")
    page.answer("w")
    page.wait("a warning", lambda: "1 answer not saved yet" in page.text("#banner"))
    page.open(page.js("return location.href"))
    page.wait("a warning after reloading", lambda: "1 answer not saved yet" in page.text("#banner"))
    page.block()
    page.done(12)
    page.ready()


def finish(page):
    page.answer("e")
    page.wait("the end", lambda: page.shown("#finished"))
    page.inspect("finished")
    page.keys("u")
    page.wait("the last three again", lambda: page.shown("#task"))
    page.answer("w")
    page.wait("the end", lambda: page.shown("#finished"))
    page.done(TRIPLETS - 1)  # and one skipped


def sign_in_as(page, name):
    page.click("#who")
    page.wait("the question for a name", lambda: page.shown("#start"))
    page.name = name
    page.keys(name, "\n")  # in place of the other name, which is selected


def second_listener(page):
    sign_in_as(page, "Bob")
    page.done(0)
    for key in "qweq":
        page.answer(key)
    page.done(4)
    page.ready()
    page.block("*/api/answer")
    page.answer("w")
    sign_in_as(page, "Ann")  # while Bob's last answer is under way: it stays his
    page.wait("the end, where Ann is", lambda: page.shown("#finished"))
    page.block()
    page.wait("Bob's answer to be saved", lambda: page.js(
        "return !Object.keys(localStorage).some((key) => key.startsWith('attune.outbox'))"))
    page.done(TRIPLETS - 1)


def results(page, server):
    page.open(server.url + "results")
    page.wait("both listeners", lambda: [word in page.text("#listeners") for word in ("Ann", "Bob")] == [True, True])
    check(re.fullmatch(r"−?[01]\.\d\d", page.text("#kappa")), f"kappa is {page.text('#kappa')}")
    judged = page.text("#judged")
    check(page.js("const bar = document.getElementById('voted'); return `${bar.value} of ${bar.max}`") == judged, f"the bar is not at {judged}")
    page.inspect("results")
    page.window("narrow", "light")
    check(page.js("const table = document.querySelector('.scroll'); return table.scrollWidth > table.clientWidth"), "the table fits")
    first, last = page.brightest(".scroll")
    check(first == 255 and last < 240, f"more to the right is shown by {first} and {last}")
    page.js("document.querySelector('.scroll').scrollLeft = 1e6")
    first, last = page.brightest(".scroll")
    check(first < 240 and last == 255, f"more to the left is shown by {first} and {last}")
    page.window("wide", "light")
    check(page.brightest(".scroll") == [255, 255], "a table that fits has a shade")


def token(page, server):
    """Without the token the page says so, and with it all is as before."""
    page.open(server.url)
    page.wait("the end, where Ann is", lambda: page.shown("#finished"))
    server.stop()
    server.start("--token", "0123456789")
    page.keys("u")
    page.wait("a page that asks for the whole link", lambda: page.shown("#locked"))
    page.inspect("locked")
    page.open(server.url + "?token=0123456789")
    page.wait("the end, where Ann is", lambda: page.shown("#finished"))


def without_music(page, server):
    """The folder is gone when the first clips are wanted: the page says so, and goes on when it is back."""
    server.stop()
    server.start()
    music = server.folder / "fma"
    music.rename(server.folder / "away")
    page.open(server.url)
    page.wait("the end, where Ann is", lambda: page.shown("#finished"))
    check("Thank you" in page.text("#thanks") and not page.shown("#lost"), "Ann is told of what she is done with")
    sign_in_as(page, "Cid")
    page.wait("a word about the music", lambda: page.shown("#lost") and "cannot read" in page.text("#lost"))
    check("No more can be played" in page.text("#thanks"), "thanked for nothing")
    page.inspect("lost")
    (server.folder / "away").rename(music)
    page.ready()
    check(page.shown("#task"), "what can be played is not asked")


def files(page, server):
    """What was chosen is on record, each answer once and in order; the labels are some listener's."""
    answers = server.events("answer")
    check(len(server.events("skip")) == 1 and len(server.events("undo")) == 2, "not one skip, two undone")
    check(len(answers) == len(page.given), f"{len(answers)} answers on record, {len(page.given)} given")
    names = {listener["listener"]: listener["name"] for listener in server.events("listener")}
    said = {}
    for answer, (name, key) in zip(answers, page.given):
        check(names[answer["listener"]] == name, f"{name}'s answer is on record as {answer}")
        pair = [answer["shown"][i] for i in {"q": (0, 1), "w": (0, 2), "e": (1, 2)}[key]]
        check([answer["anchor"], answer["positive"]] == pair, f"{key} is on record as {answer}")
        said.setdefault(answer["row"], []).append(sorted(map(str, pair)))
    check(min(answers[0]["replays"]) > 0 and answers[0]["seconds"] > 2, "the one that was listened to took no time")
    rows = [(i, row) for i, row in enumerate(server.rows(), 1) if row["anchor"]]
    check(rows and all(sorted([row["anchor"], row["positive"]]) in said[i] for i, row in rows), "labels that nobody gave")


def main():
    browser.skip_if_missing()
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--pictures", type=pathlib.Path)
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="attune-browser-"))
    server = None
    try:
        server = Server(options.build.resolve(), folder)
        with Page(options.pictures) as page:
            sign_in(page, server)
            play(page)
            first_answer(page)
            keyboard(page)
            check(page.complaints() == [], "the browser complains")
            without_server(page, server)
            page.complaints()  # that the server was away
            finish(page)
            second_listener(page)
            results(page, server)
            check(page.complaints() == [], "the browser complains")
            token(page, server)
            without_music(page, server)
            files(page, server)
            print("the page works" + ("" if browser.AXE else "; accessibility not checked: axe-core is missing, tests/browser/run fetches it"))
    finally:
        if server:
            server.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
