#!/usr/bin/env python3
"""drive.py ATTUNE FOLDER SCENARIO [NAME=VALUE...] - attune judge, as listeners and others use it.

Starts the server on songs made here, asks it over HTTP, and ends with a line of what it saw; a failed assertion is a
failed test. Everything that the server computes is computed again here, from the answers that were acknowledged.
It is over 600 lines, as all scenarios share one server, its listeners and what they check."""
import atexit, csv, http.client, itertools, json, math, os, random, re, resource, shutil, signal, socket, struct, subprocess, sys, threading, time, wave

from records import kappa, standing, votes_of

ATTUNE, FOLDER, SCENARIO = sys.argv[1:4]
SETTINGS = dict(pair.split("=") for pair in sys.argv[4:])
JSON = {"Content-Type": "application/json"}
PAIRS = ["1,2", "1,3", "2,3"]


def path(name):
    return os.path.join(FOLDER, name)


def make_songs(count, seconds=2):
    os.makedirs(path("audio"), exist_ok=True)
    for i in range(count):
        with wave.open(path(f"audio/{i:06d}.wav"), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(8000)
            out.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(k * (i + 3) / 40))) for k in range(8000 * seconds)))


def make_triplets(songs, rows, seed=1):
    drawn = random.Random(seed)
    threes = set()
    while len(threes) < rows:
        threes.add(tuple(drawn.sample(range(songs), 3)))
    with open(path("t.csv"), "w", newline="") as out:
        table = csv.writer(out)
        table.writerow(["song1", "song2", "song3", "anchor", "positive"])
        table.writerows([*three, "", ""] for three in sorted(threes))
    return sorted(threes)


class Server:
    """attune judge; `port` stays the same over restarts."""

    def __init__(self, *options, port=0):
        self.process = subprocess.Popen([ATTUNE, "judge", path("t.csv"), "--audio", path("audio"), "--port", str(port), "--seconds", "1", *options],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        atexit.register(self.process.kill)
        self.said = []
        for line in self.process.stderr:
            self.said.append(line)
            found = re.search(r"http://([^:]*):(\d+)/", line)
            if found:
                break
        else:
            raise SystemExit("the server did not start: " + "".join(self.said))
        self.port = int(found[2])
        self.hearing = threading.Thread(target=lambda: self.said.extend(self.process.stderr), daemon=True)
        self.hearing.start()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, number=signal.SIGTERM, code=0):
        self.process.send_signal(number)
        assert self.process.wait(30) == code, (self.process.returncode, self.said)
        self.hearing.join()

    def is_alive(self):
        return self.process.poll() is None


def judge(*options, table="t.csv"):
    """A start that is to fail."""
    return subprocess.run([ATTUNE, "judge", path(table), "--audio", path("audio"), "--port", "0", *options], capture_output=True, text=True, timeout=30)


class Client:
    """One connection, opened again when it is lost."""

    def __init__(self, port, headers=None):
        self.port, self.headers, self.connection = port, headers or {}, None

    def ask(self, method, where, body=None, headers=None):
        self.connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            self.connection.request(method, where, body, {**self.headers, **(headers or {})})
            reply = self.connection.getresponse()
            return reply.status, reply.headers, reply.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise

    def get(self, where):
        status, _, body = self.ask("GET", where)
        return status, json.loads(body)

    def post(self, where, value):
        status, _, body = self.ask("POST", where, json.dumps(value), JSON)
        return status, json.loads(body)

    def listener(self, name):
        status, reply = self.post("/api/listener", {"name": name})
        assert status == 200 and reply["name"] == name, reply
        return reply["listener"]

    def next(self, listener):
        status, reply = self.get(f"/api/next?listener={listener}")
        assert status == 200, reply
        return reply


def journal(name="t-judged.jsonl"):
    """The records of the file; every line of it must be whole."""
    with open(path(name)) as lines:
        return [json.loads(line) for line in lines.read().split("\n")[:-1]]


GIVEN = set() # seconds, as answer_of() made them up


def check_files(rows):
    """OUT.csv and the report against what stands in the journal."""
    answers = standing(journal())
    pairs, orders = votes_of(answers)
    assert all(record["seconds"] in GIVEN for record in answers.values()), "seconds are not those given"
    with open(path("t-judged.csv"), newline="") as table:
        written = list(csv.DictReader(table))
    assert len(written) == rows
    decided = 0
    for number, row in enumerate(written, 1):
        most = pairs[number].most_common(2) if number in pairs else []
        if not most or (len(most) == 2 and most[0][1] == most[1][1]):
            assert not row["anchor"] and not row["positive"], (number, row, most)
            continue
        low, high = most[0][0]
        expected = (high, low) if orders[number][high, low] > orders[number][low, high] else (low, high)
        assert (int(row["anchor"]), int(row["positive"])) == expected, (number, row, pairs[number])
        decided += 1
    for votes in 1, 2, None: # the journal does not say how many were wanted
        wanted = ["--votes", str(votes)] if votes else []
        report = json.loads(subprocess.run([ATTUNE, "judge", "--report", path("t.csv"), "--json", *wanted], check=True, capture_output=True).stdout)
        complete = sum(pair.total() >= votes for pair in pairs.values()) if votes else None
        assert report["triplets"]["votes"] == votes and report["triplets"]["complete"] == complete, (votes, report["triplets"])
    assert report["triplets"]["decided"] == decided and report["answers"] == len(answers)
    again = [(key, record) for key, record in answers.items() if key[2]]
    same = sum({answers[listener, row, False][k] for k in ("anchor", "positive")} == {record[k] for k in ("anchor", "positive")}
               for (listener, row, _), record in again)
    assert report["self_agreement"]["repeats"] == len(again) and report["self_agreement"]["same"] == same
    expected, got = kappa(pairs), report["agreement"]["fleiss_kappa"]
    assert (expected is None and got is None) or abs(expected - got) < 1e-9, (expected, got)
    for label in report["labels"]:
        assert label["votes"] == {name: pairs[label["row"]][tuple(map(int, name.split(",")))] for name in PAIRS}
    if decided > 0: # as training reads it
        text = subprocess.run([ATTUNE, "triplets", "--report", "--json", path("t-judged.csv")], check=True, capture_output=True).stdout
        assert sum(part["triplets"] for part in json.loads(text).values()) == decided
    return answers, report


def answer_of(listener, reply, drawn):
    """Mostly the two songs with the nearest numbers, which are the nearest tones."""
    ids = [clip["id"] for clip in reply["clips"]]
    pair = min(itertools.combinations(ids, 2), key=lambda two: abs(int(two[0]) - int(two[1])))
    if drawn.random() < 0.2:
        pair = drawn.sample(ids, 2)
    seconds = round(drawn.uniform(1, 20), 2)
    GIVEN.add(seconds)
    return {"listener": listener, "task": reply["task"], "pair": list(pair), "seconds": seconds, "replays": [1, 2, 1]}


def listeners():
    """Many at once; the server is killed in the middle, again and again, and started on the same port."""
    people, wanted, kills, rows = (int(SETTINGS.get(k, v)) for k, v in (("people", 20), ("answers", 300), ("kills", 2), ("rows", 60)))
    make_songs(12)
    make_triplets(12, rows)
    options = ["--votes", str(people), "--repeat", "10", "-q"][:-1]
    state = {"server": Server(*options), "done": 0, "over": False}
    port, lock, acknowledged, twice = state["server"].port, threading.Lock(), {}, [0]

    def person(number):
        client, drawn, mine = Client(port), random.Random(number), None
        while not state["over"]:
            try:
                mine = mine or client.listener(f"listener {number}")
                reply = client.next(mine)
                if reply.get("finished"):
                    return
                assert len({clip["id"] for clip in reply["clips"]}) == 3
                answer = answer_of(mine, reply, drawn)
                tries = 0
                while True: # until it is acknowledged, as the page does
                    try:
                        tries += 1
                        status, told = client.post("/api/answer", answer)
                        break
                    except (OSError, http.client.HTTPException):
                        if state["over"]:
                            return
                        time.sleep(0.05)
                assert status == 200 and told["ok"], (status, told, answer)
                with lock:
                    acknowledged[int(mine), int(answer["task"])] = answer["pair"]
                    state["done"] += 1
                    state["over"] = state["done"] >= wanted
                    twice[0] += tries > 1
                if drawn.random() < 0.1: # a retry of what was acknowledged
                    client.post("/api/answer", answer)
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)

    failures = []

    def watched(number):
        try:
            person(number)
        except BaseException as error:
            failures.append(repr(error))
            state["over"] = True

    threads = [threading.Thread(target=watched, args=(i,)) for i in range(people)]
    for thread in threads:
        thread.start()
    for kill in range(kills):
        while state["done"] < wanted * (kill + 1) / (kills + 1) and any(thread.is_alive() for thread in threads):
            time.sleep(0.002)
        state["server"].kill()
        state["server"] = Server(*options, port=port)
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]
    # The last one is killed too: what was acknowledged must be there without a clean end.
    state["server"].kill()
    answers = standing(journal())
    songs = {number: [int(song) for song in record["songs"]] for (_, number, _), record in answers.items()}
    for (listener, task), pair in acknowledged.items():
        row, repeat = (task - 1) % rows + 1, task > rows
        record = answers[listener, row, repeat] # KeyError: lost
        ids = {name: i for i, name in enumerate(first_seen(), 1)}
        chosen = [str(ids[record["songs"][record[k] - 1]]) for k in ("anchor", "positive")]
        assert chosen == pair, (chosen, pair, songs[row])
    last = Server(*options, port=port)
    last.stop()
    answers, report = check_files(rows)
    print(f"{len(acknowledged)} answers acknowledged, {len(answers)} in the file, {kills + 1} kills, {twice[0]} sent again, kappa {report['agreement']['fleiss_kappa']:.3f}")


def first_seen():
    """Songs in the order in which the file names them, which is that of the clips' numbers."""
    with open(path("t.csv"), newline="") as table:
        return list(dict.fromkeys(itertools.chain(*([row["song1"], row["song2"], row["song3"]] for row in csv.DictReader(table)))))


def raw(port, data, wait=5):
    """What the server says to bytes that no library would send."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            said = b""
            while part := connection.recv(65536):
                said += part
                if len(said) > 1 << 20:
                    break
            return said
        except OSError:
            return b""


def hostile():
    """Requests that nobody should send; the server must live, and answer nothing that it should not."""
    count = int(SETTINGS.get("requests", 400))
    make_songs(6)
    make_triplets(6, 10)
    server = Server()
    port, drawn = server.port, random.Random(5)
    client = Client(port)
    ann = client.listener("Ann")
    task = client.next(ann)
    good = json.dumps(answer_of(ann, task, drawn))
    for where in ("/../../etc/passwd", "/..%2f..%2fetc/passwd", "/api/clip/../../../etc/passwd", "/api/clip/%2e%2e%2f1", "/api/clip/1/../2", "/api/clip/-1",
                  "/api/clip/0", "/api/clip/01", "/api/clip/1e0", "/api/clip/99999999999999999999", "/api/clip/7", "/api/clip/", "/index.html",
                  "/judge.c", "/api/clip/1/waveform/", "/api/nothing", "/%00", "/judge.js%00x", "/api/clip/1%00"):
        status, headers, body = client.ask("GET", where)
        assert status in (400, 404), (where, status)
        assert b"root:" not in body
    for where, body, expected in (
            ("/api/answer", "", 400), ("/api/answer", "[]", 400), ("/api/answer", "{", 400), ("/api/answer", "{}", 400), ("/api/answer", "\xff", 400),
            ("/api/answer", '{"listener": "1", "listener": "1"}', 400), ("/api/answer", good.replace('"seconds": ', '"seconds": -'), 400),
            ("/api/answer", good.replace("[1, 2, 1]", "[1, 2]"), 400), ("/api/answer", good.replace("[1, 2, 1]", "[1, 2, 1e9]"), 400),
            ("/api/answer", good.replace("[1, 2, 1]", "[1, 2, -1]"), 400), ("/api/answer", good.replace('"1"', '"2"', 1), 404),
            ("/api/answer", good.replace('"1"', "1", 1), 404), ("/api/answer", "[" * 4000, 400), ("/api/answer", " " * 4097, 413),
            ("/api/answer", good + " " * 8000, 413), ("/api/listener", '{"name": ""}', 400), ("/api/listener", '{"name": "   "}', 400),
            ("/api/listener", '{"name": "%s"}' % ("x" * 65), 400), ("/api/listener", '{"name": "a\\nb"}', 400), ("/api/listener", '{"name": "a\\u0000b"}', 400),
            ("/api/listener", '{"name": 3}', 400), ("/api/skip", '{"listener": "1"}', 404), ("/api/undo", '{"listener": "9"}', 404),
            ("/api/undo", '{"listener": "1", "task": "x"}', 400), ("/api/nothing", "{}", 404)):
        try:
            status, _, said = client.ask("POST", where, body.encode("latin-1"), JSON)
            assert status == expected and json.loads(said)["error"], (where, body[:60], status, said)
        except (BrokenPipeError, ConnectionResetError): # refused before the whole body was sent
            assert expected == 413
    for headers, expected in (({"Host": "evil.example"}, 403), ({"Host": "127.0.0.1.evil.example"}, 403), ({"Host": ""}, 403), ({"Host": "[::1]:80"}, 200), ({"Host": "localhost:9"}, 200)):
        assert Client(port).ask("GET", "/", headers=headers)[0] == expected, headers
    assert Client(port).ask("POST", "/api/answer", good, {"Content-Type": "text/plain"})[0] == 415
    assert Client(port).ask("DELETE", "/")[0] == 405
    assert b" 431 " in raw(port, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100000 + b"\r\n\r\n")[:40] or server.is_alive()
    base = [b"GET /api/next?listener=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /api/clip/1 HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-99\r\n\r\n",
            b"POST /api/skip HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n{\"listener\": \"1\", \"task\": \"99\"}",
            b"POST /api/answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"]
    for _ in range(count):
        data = bytearray(drawn.choice(base))
        for _ in range(drawn.randint(1, 8)):
            kind, at = drawn.randrange(4), drawn.randrange(len(data))
            if kind == 0:
                data[at] = drawn.randrange(256)
            elif kind == 1:
                del data[at:at + drawn.randint(1, 20)]
            elif kind == 2:
                data[at:at] = bytes(drawn.randrange(256) for _ in range(drawn.randint(1, 30)))
            else:
                data[at:at] = data[max(0, at - 40):at]
            data = data or bytearray(b"\0")
        raw(port, bytes(data))
    assert server.is_alive()
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)] # that never ask
    assert client.next(ann)["task"]
    status, said = client.post("/api/answer", json.loads(good))
    assert status in (200, 404, 409), said # a mutated request may have been a good one
    for connection in idle:
        connection.close()
    server.stop()
    check_files(10)
    print(f"{count} malformed requests, and the server lives")


def http_details():
    make_songs(6)
    make_triplets(6, 10)
    server = Server()
    client = Client(server.port)
    status, headers, page = client.ask("GET", "/")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8" and b"<!doctype html>" in page.lower()
    assert headers["Content-Security-Policy"].startswith("default-src 'self';") and headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    status, headers, whole = client.ask("GET", "/api/clip/1")
    assert status == 200 and headers["Content-Type"] == "audio/wav" and headers["Accept-Ranges"] == "bytes"
    assert whole[:4] == b"RIFF" and struct.unpack("<HHIIHH", whole[20:36]) == (1, 2, 44100, 176400, 4, 16) and len(whole) == 44 + 4 * 44100
    size = len(whole)
    for asked, first, last in (("0-0", 0, 0), ("0-99", 0, 99), ("100-", 100, size - 1), ("-7", size - 7, size - 1), (f"5-{size * 2}", 5, size - 1), (f"-{size * 2}", 0, size - 1)):
        status, headers, part = client.ask("GET", "/api/clip/1", headers={"Range": "bytes=" + asked})
        assert status == 206 and headers["Content-Range"] == f"bytes {first}-{last}/{size}" and part == whole[first:last + 1], (asked, status)
    for asked in (f"{size}-", "99999999999999999999-", "-0"):
        status, headers, part = client.ask("GET", "/api/clip/1", headers={"Range": "bytes=" + asked})
        assert status == 416 and headers["Content-Range"] == f"bytes */{size}" and not part, (asked, status)
    for asked in ("bytes=5-2", "bytes=a-b", "bytes=0-1,3-4", "lines=0-1", "bytes=", "bytes=-"):
        assert client.ask("GET", "/api/clip/1", headers={"Range": asked})[2] == whole, asked
    status, headers, part = client.ask("HEAD", "/api/clip/1")
    assert status == 200 and int(headers["Content-Length"]) == size and not part
    status, wave_form = client.get("/api/clip/1/waveform")
    assert len(wave_form["peaks"]) == 600 and 0.2 < max(wave_form["peaks"]) <= 1 and min(wave_form["peaks"]) >= 0 and wave_form["seconds"] == 1
    assert client.get("/api/results")[1]["triplets"]["total"] == 10
    busy = subprocess.run([ATTUNE, "judge", path("t.csv"), "--audio", path("audio"), "-o", path("other.csv"), "--port", str(server.port)], capture_output=True, text=True)
    assert busy.returncode == 73 and "in use" in busy.stderr and busy.stderr.count("\n") == 1, busy.stderr
    os.mkdir(path("folder.csv"))
    refused = subprocess.run([ATTUNE, "judge", path("t.csv"), "--audio", path("audio"), "-o", path("folder.csv"), "--force", "--port", "0"], capture_output=True, text=True)
    assert refused.returncode == 73 and "folder.csv" in refused.stderr, refused.stderr
    os.rmdir(path("folder.csv"))
    assert sorted(os.listdir(FOLDER)) == ["audio", "t-judged.csv", "t-judged.jsonl", "t.csv"], "a failed start leaves nothing"
    second = subprocess.run([ATTUNE, "judge", path("t.csv"), "--audio", path("audio"), "--port", "0"], capture_output=True, text=True)
    assert second.returncode == 75 and "another attune judge" in second.stderr, second.stderr
    for output, code in (("t.csv", 64), ("t.jsonl", 64), ("no/such/folder.csv", 73)):
        refused = subprocess.run([ATTUNE, "judge", path("t.csv"), "--audio", path("audio"), "--port", "0", "-o", path(output)], capture_output=True, text=True)
        assert refused.returncode == code and output.split("/")[0] in refused.stderr, refused
    # Files that others wrote stay as they are: a journal that is none, and an output beside an empty one.
    for kept, code, options in (({"v.jsonl": '{"a":1}'}, 65, []), ({"v.jsonl": '{"a":1}\n', "v.csv": "mine"}, 65, []),
                                ({"v.jsonl": '{"a":1}', "v.csv": "mine"}, 65, ["--force"]), ({"v.jsonl": "", "v.csv": "mine"}, 73, [])):
        for name, text in kept.items():
            open(path(name), "w").write(text)
        refused = judge("-o", path("v.csv"), *options)
        assert refused.returncode == code and "v.jsonl" in refused.stderr and refused.stderr.count("\n") == 1, refused
        assert {name: open(path(name)).read() for name in sorted(os.listdir(FOLDER)) if name[0] == "v"} == kept
        if code == 65:
            refused = subprocess.run([ATTUNE, "judge", "--report", path("t.csv"), "-o", path("v.csv")], capture_output=True, text=True)
            assert refused.returncode == 65 and "v.jsonl" in refused.stderr and not refused.stdout, refused
    server.stop(signal.SIGINT)
    print("pages, ranges, waveform, a port in use")


def token():
    make_songs(6)
    make_triplets(6, 10)
    secret = "correct-horse.battery_1"
    for options, why in ((["--token", "short"], "8 to 128"), (["--listen", "0.0.0.0"], "--token"), (["--token", "has space in it"], "8 to 128"), (["--listen", "nowhere"], "not an address"), (["--listen", "nowhere", "--token", secret], "not an address")):
        refused = subprocess.run([ATTUNE, "judge", path("t.csv"), "--audio", path("audio"), "--port", "0", *options], capture_output=True, text=True)
        assert refused.returncode == 64 and why in refused.stderr, refused
    server = Server("--token", secret, "--listen", "0.0.0.0")
    anybody = Client(server.port)
    for where in ("/", "/results", "/api/results", "/api/clip/1", "/?token=wrong-token", f"/?token={secret}x", f"/?token={secret[:-1]}", "/?token=", f"/api/results?token={secret}"):
        assert anybody.ask("GET", where)[0] == 401, where
    status, headers, body = anybody.ask("GET", "/")
    assert headers["Content-Type"].startswith("text/plain") and b"link" in body and headers["WWW-Authenticate"] == "Bearer"
    assert anybody.get("/api/results")[1]["error"]
    for headers in ({"Cookie": f"attune-{server.port}=" + "0" * 64}, {"Cookie": f"attune-{server.port}="}, {"Cookie": f"attune-{server.port}={secret}"}, {"Authorization": "Bearer x"}, {"Authorization": secret}):
        assert anybody.ask("GET", "/api/results", headers=headers)[0] == 401, headers
    assert anybody.ask("POST", "/api/listener", '{"name": "Eve"}', JSON)[0] == 401
    status, headers, body = anybody.ask("GET", f"/?token={secret}")
    cookie = headers["Set-Cookie"]
    assert status == 200 and "HttpOnly" in cookie and "SameSite=Strict" in cookie and secret not in cookie and b'url=/"' in body
    known = Client(server.port, {"Cookie": "other=1; " + cookie.split(";")[0]})
    assert known.ask("GET", "/")[0] == 200 and known.listener("Ann") == "1"
    assert Client(server.port, {"Authorization": "Bearer " + secret}).get("/api/results")[0] == 200
    assert known.ask("GET", "/", headers={"Host": "any.example"})[0] == 200
    other = Server("--token", "another-" + secret, "--listen", "0.0.0.0", "-o", path("other.csv")) # a browser has one jar for both
    beside = Client(other.port).ask("GET", f"/?token=another-{secret}")[1]["Set-Cookie"]
    jar = dict(given.split(";")[0].split("=") for given in (cookie, beside))
    for one in (server, other):
        assert Client(one.port, {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())}).ask("GET", "/")[0] == 200
    other.stop()
    server.stop()
    assert [record["record"] for record in journal()] == ["attune judgements", "listener"]
    print("a token is needed, and enough")


def tasks():
    """Skip, undo, repeats, votes and restarts, one step after the other."""
    make_songs(8)
    rows = 24
    make_triplets(8, rows)
    options = ["--votes", "2", "--repeat", "50"]
    server = Server(*options)
    client, drawn = Client(server.port), random.Random(3)
    ann, bob = client.listener("Ann"), client.listener("Bob 李")
    assert client.listener("Ann") == ann != bob
    first = client.next(ann)
    assert client.next(ann) == first and first["done"] == 0 and first["total"] == first["left"] > rows
    assert client.post("/api/undo", {"listener": ann})[0] == 409
    answer = answer_of(ann, first, drawn)
    assert client.post("/api/answer", answer)[1] == {"ok": True, "done": 1, "left": first["left"] - 1}
    assert client.post("/api/answer", answer)[1] == {"ok": True, "done": 1, "left": first["left"] - 1}
    assert client.post("/api/answer", {**answer, "pair": answer["pair"][::-1]})[0] == 409
    assert client.post("/api/skip", {"listener": ann, "task": first["task"]})[0] == 409
    second = client.next(ann)
    assert second["task"] == first["then"]["task"] != first["task"]
    assert client.post("/api/undo", {"listener": ann, "task": second["task"]})[0] == 409
    status, back = client.post("/api/undo", {"listener": ann, "task": first["task"]})
    assert status == 200 and back["task"] == first["task"] and back["clips"] == first["clips"] and back["done"] == 0
    server.kill()
    server = Server(*options, port=server.port)
    client = Client(server.port)
    assert client.listener("Bob 李") == bob and client.next(ann)["done"] == 0
    assert client.post("/api/answer", answer)[0] == 200
    skipped = client.next(ann)
    assert client.post("/api/skip", {"listener": ann, "task": skipped["task"]})[0] == 200
    assert client.post("/api/skip", {"listener": ann, "task": skipped["task"]})[0] == 200
    asked, orders = [first["task"]], {}
    while not (reply := client.next(ann)).get("finished"):
        assert reply["task"] not in asked and reply["task"] != skipped["task"]
        asked.append(reply["task"])
        orders[reply["task"]] = [clip["id"] for clip in reply["clips"]]
        assert client.post("/api/answer", answer_of(ann, reply, drawn))[0] == 200
    assert client.next(ann)["left"] == 0 and client.next(ann)["done"] == len(asked)
    again = [int(task) for task in asked if int(task) > rows]
    assert len([task for task in asked if int(task) <= rows]) == rows - 1 and 4 < len(again) < 20
    assert len(asked) == first["total"] - 1 - (first["total"] - rows - len(again)) # the skipped one, and its repeat if it had one
    for task in again: # ten others lie between, the skipped one perhaps among them, but at the end
        between = asked.index(str(task)) - asked.index(str(task - rows))
        assert between >= 10 or asked.index(str(task)) >= rows - 1, between
        assert set(orders[str(task)]) == set(orders.get(str(task - rows), orders[str(task)]))
    assert client.post("/api/undo", {"listener": ann})[0] == 200
    assert client.post("/api/undo", {"listener": ann})[0] == 200
    count = 0
    while not (reply := client.next(bob)).get("finished"): # is asked what Ann was asked
        assert client.post("/api/answer", answer_of(bob, reply, drawn))[0] == 200
        count += int(reply["task"]) <= rows
    assert count == rows
    cid = client.listener("Cid")
    left = client.next(cid) # what Ann skipped has one vote
    while not (reply := client.next(cid)).get("finished"):
        assert int(reply["task"]) in [int(skipped["task"]), *(int(task) for task in asked[-2:])] or int(reply["task"]) > rows, reply
        assert client.post("/api/answer", answer_of(cid, reply, drawn))[0] == 200
    server.stop()
    answers, report = check_files(rows)
    assert report["triplets"]["voted"] == rows and report["listeners"][0]["skipped"] == 1
    # A torn last line is cut off; a line that is damaged is not.
    with open(path("t-judged.jsonl"), "ab") as file:
        file.write(b'{"record":"answer","lis')
    server = Server(*options)
    assert any("torn" in line for line in server.said), server.said
    server.stop()
    assert standing(journal()) == answers
    data = open(path("t-judged.jsonl"), "rb").read()
    with open(path("t-judged.jsonl"), "wb") as file:
        file.write(data.replace(b'"positive"', b'"pos\x00tive"', 1))
    refused = subprocess.run([ATTUNE, "judge", path("t.csv"), "--audio", path("audio"), "--port", "0"], capture_output=True, text=True)
    assert refused.returncode == 65 and "line" in refused.stderr, refused.stderr
    # Other rows in the file: judgements stay with their songs.
    with open(path("t-judged.jsonl"), "wb") as file:
        file.write(data)
    lines = open(path("t.csv"), newline="").read().splitlines()
    with open(path("t.csv"), "w") as file:
        file.write("\n".join([lines[0], "7,6,5,2,3", *lines[:1:-1]]) + "\n")
    server = Server(*options)
    left_out = [record for (_, row, _), record in standing(journal(), True).items() if row == 1]
    assert any(f"{len(left_out)} judgements are of threes" in line for line in server.said), server.said
    server.stop()
    rewritten = [row for row in csv.DictReader(open(path("t-judged.csv"), newline=""))]
    assert (rewritten[0]["anchor"], rewritten[0]["positive"]) == ("2", "3") # as it was given
    by_songs = {tuple(record["songs"]) for record in answers.values()}
    for row in rewritten[1:]:
        assert (row["song1"], row["song2"], row["song3"]) in by_songs
    print(f"{len(asked)} tasks, {len(again)} asked again, skip, undo, restarts")


def broken():
    """Files that cannot be played, files that are missing, and a disk that is full."""
    make_songs(6)
    threes = make_triplets(6, 10)
    os.remove(path("audio/000005.wav"))
    refused = subprocess.run([ATTUNE, "judge", path("t.csv"), "--audio", path("audio"), "--port", "0"], capture_output=True, text=True)
    assert refused.returncode == 66 and " 5;" in refused.stderr and "--skip-missing" in refused.stderr, refused.stderr
    with open(path("none.csv"), "w") as file:
        file.write("song1,song2,song3,anchor,positive\n7,8,9,,\n")
    refused = judge(table="none.csv")
    assert refused.returncode == 66 and "3 of 3 songs" in refused.stderr and "--skip-missing" not in refused.stderr, refused.stderr
    for given, which in ("2,02,3", "song1 and song2"), ("2,3,000002.wav", "song1 and song3"), ("3,2,000002.wav", "song2 and song3"):
        with open(path("twice.csv"), "w") as file:
            file.write(f"song1,song2,song3,anchor,positive\n1,2,3,,\n\n{given},,\n")
        refused = judge(table="twice.csv")
        assert refused.returncode == 65 and f"twice.csv, line 4: {which} are one file, " in refused.stderr, refused.stderr
    with open(path("known.csv"), "w") as file:
        file.write("song1,song2,song3,anchor,positive\n1,2,3,1,2\n")
    refused = subprocess.run([ATTUNE, "judge", path("known.csv"), "--audio", path("audio"), "--port", "0"], capture_output=True, text=True)
    assert refused.returncode == 66 and "--again" in refused.stderr, refused.stderr
    assert not os.path.exists(path("known-judged.jsonl")), "a journal of nothing"
    os.chmod(path("audio"), 0)
    bound = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else [] # root reads all, or else
    refused = subprocess.run([*bound, ATTUNE, "judge", path("t.csv"), "--audio", path("audio"), "--port", "0"], capture_output=True, text=True)
    os.chmod(path("audio"), 0o755)
    assert refused.returncode == 66 and "audio: the folder cannot be read" in refused.stderr, refused.stderr
    with open(path("audio/000004.wav"), "wb") as file:
        file.write(b"RIFF" + bytes(100))
    server = Server("--skip-missing", "--repeat", "0")
    client = Client(server.port)
    ann, asked, drawn = client.listener("Ann"), 0, random.Random(1)
    while not (reply := client.next(ann)).get("finished"):
        assert client.post("/api/answer", answer_of(ann, reply, drawn))[0] == 200
        asked += 1
    assert reply["lost"] == sum(4 in three and 5 not in three for three in threes) > 0
    assert asked == sum(4 not in three and 5 not in three for three in threes)
    names = first_seen()
    assert client.ask("GET", f"/api/clip/{names.index('4') + 1}")[0] == 404 and client.ask("GET", f"/api/clip/{names.index('5') + 1}")[0] == 404
    time.sleep(1.2)
    assert any("cannot be played" in line for line in server.said), server.said
    server.stop(code=3)
    assert sum(f"{reply['lost']} threes could not be played; the same command asks them again" in line for line in server.said) == 1, server.said
    server = Server("--skip-missing", "--repeat", "0", port=server.port)
    client = Client(server.port)
    assert client.next(ann)["lost"] == reply["lost"]
    shutil.copy(path("audio/000003.wav"), path("audio/000004.wav")) # it can be played after all, and is asked
    deadline, back = time.time() + 30, 0
    while time.time() < deadline and back < reply["lost"]:
        offered = client.next(ann)
        if offered.get("finished"):
            assert offered["lost"] == reply["lost"] - back
            time.sleep(0.1)
        else:
            assert client.post("/api/answer", answer_of(ann, offered, drawn))[0] == 200
            back += 1
    assert back == reply["lost"] and client.next(ann)["lost"] == 0
    server.stop()
    answers, _ = check_files(10)
    os.rename(path("t-judged.jsonl"), path("old.jsonl"))
    refused = subprocess.run([ATTUNE, "judge", path("t.csv"), "--audio", path("audio"), "--skip-missing", "--port", "0"], capture_output=True, text=True)
    assert refused.returncode == 73 and "--force" in refused.stderr, refused.stderr
    make_songs(6)
    # A limit on file size is as good as a full disk: 2 KiB hold some answers and then no more.
    with open(path("limited"), "w") as file:
        file.write(f"#!/bin/bash\nulimit -f 2\nexec '{ATTUNE}' \"$@\"\n")
    os.chmod(path("limited"), 0o755)
    server = subprocess.Popen([path("limited"), "judge", path("t.csv"), "--audio", path("audio"), "--force", "--repeat", "0", "--port", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    atexit.register(server.kill)
    port = int(next(match for match in (re.search(r"http://[^:]*:(\d+)/", line) for line in server.stderr) if match)[1])
    client, kept, refused = Client(port), 0, 0
    ann = client.listener("Ann")
    while refused < 3:
        status, said = client.post("/api/answer", answer_of(ann, client.next(ann), drawn))
        assert status in (200, 503), said
        kept += status == 200
        refused += status == 503
    assert 0 < kept < 10 and len(standing(journal())) == kept
    server.terminate() # at once: the reason is told although the second is not over
    said = server.stderr.read()
    assert server.wait(30) == 74 and "jsonl: cannot be written: " in said and "jsonl: what came last could not be saved" in said, said
    server = Server("--repeat", "0") # there is room again, and none, and again
    client = Client(server.port)
    assert client.next(ann)["done"] == kept
    answer = answer_of(ann, client.next(ann), drawn)
    for limit, expected in (1, 503), (resource.RLIM_INFINITY, 200):
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        assert client.post("/api/answer", answer)[0] == expected
    bob = client.listener("Bob") # whose line is kept while Ann's is not
    for listener, limit, expected in (ann, 1, 503), (bob, resource.RLIM_INFINITY, 200):
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        assert client.post("/api/answer", answer_of(listener, client.next(listener), drawn))[0] == expected
    server.stop(code=74)
    print(f"{asked} of 10 can be played; {kept} answers fit the disk")


def vanished():
    """The folder of the songs goes away under a hundred thousand threes; the one who asks next need not wait for long."""
    songs, rows = 90, 100000
    make_songs(songs, 0)
    with open(path("t.csv"), "w") as out:
        out.write("song1,song2,song3,anchor,positive\n")
        out.writelines(f"{a},{b},{c},,\n" for a, b, c in itertools.islice(itertools.combinations(range(songs), 3), rows))
    server = Server()
    os.rename(path("audio"), path("away"))
    client = Client(server.port) # waits for a minute
    reply = client.next(client.listener("Ann"))
    assert reply["finished"] and reply["lost"] == rows and reply["left"] == 0, reply
    server.stop(code=3)
    print(f"{rows} threes were given up at once")


def asks_first():
    """With embeddings, the rows with the nearest call come first, and expected gains fall."""
    make_songs(40, 1)
    threes = make_triplets(40, 200)
    drawn = random.Random(9)
    vectors = [[drawn.gauss(0, 1) for _ in range(8)] for _ in range(40)]
    vectors = [[x / math.hypot(*v) for x in v] for v in vectors]
    with open(path("e.csv"), "w") as file:
        file.writelines(f"{i}," + ",".join(map(repr, v)) + "\n" for i, v in enumerate(vectors))

    def lead(row):
        near = sorted(math.dist(vectors[a], vectors[b]) for a, b in itertools.combinations(threes[row], 2))
        return near[1] - near[0]

    server = Server("--active", path("e.csv"), "--repeat", "0")
    client = Client(server.port)
    ann, leads, gains = client.listener("Ann"), [], []
    names = first_seen()
    while not (reply := client.next(ann)).get("finished"):
        gains.append(reply["expected_gain"])
        leads.append(lead(int(reply["task"]) - 1))
        songs = [int(names[int(clip["id"]) - 1]) for clip in reply["clips"]]
        pairs = sorted(itertools.combinations(range(3), 2), key=lambda k: math.dist(vectors[songs[k[0]]], vectors[songs[k[1]]]))
        chosen = pairs[0] if drawn.random() < 0.9 else pairs[1]
        assert client.post("/api/answer", {"listener": ann, "task": reply["task"], "pair": [reply["clips"][k]["id"] for k in chosen]})[0] == 200
    assert len(leads) == 200
    early, late = sum(leads[:50]) / 50, sum(leads[-50:]) / 50
    assert early * 2 < late, (early, late)
    assert 0 < gains[0] <= 50 * math.log2(3) and gains[-1] < 2 and gains[0] > gains[100], gains
    model = client.get("/api/results")[1]["model"]
    assert model["name"] == "e.csv" and model["compared"] == 200 and 0.8 < model["agreement"] < 1, model
    server.stop()
    print(f"leads {early:.3f} at first, {late:.3f} at last; gain {gains[0]:.1f} bits, then {gains[100]:.1f}")


{"listeners": listeners, "hostile": hostile, "http": http_details, "token": token, "tasks": tasks, "broken": broken, "vanished": vanished, "active": asks_first}[SCENARIO]()
