"""check_page.py PAGE NAMES - is the page well-formed, and does its data hold the names (a file of hexadecimal lines), in
their order, with neighbours and positions in range? Reads what src/map/page.c says it writes."""
import base64
import html.parser
import json
import struct
import sys


class Page(html.parser.HTMLParser):
    VOID = {"meta", "input", "br"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.text, self.ids, self.scripts = [], {}, [], 0

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        assert "id" not in attributes or attributes["id"] not in self.ids, attributes
        self.ids.append(attributes.get("id"))
        assert not any(str(v).startswith(("http:", "https:", "//")) for v in attributes.values()), attributes
        assert "src" not in attributes and tag != "link", tag
        self.scripts += tag == "script"
        if tag not in self.VOID:
            self.open.append((tag, attributes.get("id")))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop()[0] == tag, tag

    def handle_data(self, data):
        if self.open:
            self.text[self.open[-1]] = self.text.get(self.open[-1], "") + data


def number(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def names_of(data, at, count):
    names, before = [], b""
    for _ in range(count):
        shared, at = number(data, at)
        rest, at = number(data, at)
        before = before[:shared] + data[at:at + rest]
        names.append(before)
        at += rest
    assert at == len(data), (at, len(data))
    return names


def main():
    page = Page()
    source = open(sys.argv[1], "rb").read().decode("utf-8")
    page.feed(source)
    page.close()
    assert not page.open and page.scripts == 3, (page.open, page.scripts)
    about = json.loads(page.text["script", "about"])
    assert page.text["title", None] == about["title"], page.text["title", None]
    data = base64.b64decode(page.text["script", "data"], validate=True)
    n, k = about["tracks"], about["neighbours"]
    at = 4 * n
    positions = struct.unpack(f"<{2 * n}H", data[:at])
    assert set(positions) == {32768} or max(positions) == 65535
    for colouring in about["colourings"]:
        numbers = struct.unpack(f"<{n}H", data[at:at + 2 * n])
        assert [numbers.count(i) for i in range(len(colouring["titles"]))] == colouring["sizes"], colouring
        assert colouring["sizes"] == sorted(colouring["sizes"], reverse=True)
        at += 2 * n
    cosines = struct.unpack(f"<{n * k}H", data[at:at + 2 * n * k])
    at += 2 * n * k
    for i in range(n):
        own = [int.from_bytes(data[at + 3 * j:at + 3 * j + 3], "little") for j in range(i * k, i * k + k)]
        assert len(set(own)) == k and i not in own and all(j < n for j in own), own
        assert list(cosines[i * k:i * k + k]) == sorted(cosines[i * k:i * k + k], reverse=True)
    names = names_of(data, at + 3 * n * k, n)
    wanted = [bytes.fromhex(line) for line in open(sys.argv[2])]
    assert names == wanted, (names, wanted)
    print(json.dumps(about))


main()
