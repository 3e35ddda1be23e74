#!/usr/bin/python3
"""make_archives.py FOLDER OUT - the files below FOLDER as archives of every kind that is read, and archives that are
damaged or absurd, written by Python's zipfile and tarfile, which share no code with ours."""
import io
import os
import struct
import sys
import tarfile
import warnings
import zipfile

warnings.simplefilter("ignore")  # that names occur twice

folder, out = os.fsencode(sys.argv[1]), sys.argv[2]
files = {}
for base, _, names in os.walk(folder):
    for name in names:
        path = os.path.join(base, name)
        files[os.path.relpath(path, folder)] = path
order = sorted(files)


class Pipe(io.RawIOBase):
    """A stream that cannot seek: zipfile then writes sizes behind the content."""

    def __init__(self):
        self.bytes = b""

    def writable(self):
        return True

    def write(self, data):
        self.bytes += bytes(data)
        return len(data)


def content(name):
    with open(files[name], "rb") as f:
        return f.read()


def make_zip(name, method, to=None, force_zip64=False, entries=None):
    to = io.BytesIO() if to is None else to
    with zipfile.ZipFile(to, "w", method) as z:
        for inner, data in entries or [(n.decode(), content(n)) for n in order]:
            info = zipfile.ZipInfo(inner, (2001, 2, 3, 4, 5, 6))
            if method == zipfile.ZIP_DEFLATED:  # a wrong local time beside the right one in UTC
                info.date_time = (1999, 2, 3, 4, 5, 6)
                info.extra = struct.pack("<HHBI", 0x5455, 5, 1, 981173106)
            info.compress_type = method
            with z.open(info, "w", force_zip64=force_zip64) as f:
                f.write(data)
    data = to.bytes if isinstance(to, Pipe) else to.getvalue()
    return save(name, data)


def save(name, data):
    with open(os.path.join(out, name), "wb") as f:
        f.write(data)
    return data


def make_tar(name, format, entries=None):
    to = io.BytesIO()
    with tarfile.open(fileobj=to, mode="w", format=format) as t:
        for inner, data in entries or [(n.decode(), content(n)) for n in order]:
            info = tarfile.TarInfo(inner)
            info.size, info.mtime = len(data), 981173106.25 if format == tarfile.PAX_FORMAT else 981173106
            t.addfile(info, io.BytesIO(data))
    return save(name, to.getvalue())


def zip64_directory(name, plain):
    """Moves every number of a plain zip's directory into zip64 fields, as archives over 4 GiB have them."""
    end = plain.rindex(b"PK\5\6")
    count, size, offset = struct.unpack("<HII", plain[end + 10:end + 20])
    at, records = offset, b""
    for _ in range(count):
        head = bytearray(plain[at:at + 46])
        packed, unpacked, n, e, c = struct.unpack("<IIHHH", head[20:34])
        local = struct.unpack("<I", head[42:46])[0]
        extra = struct.pack("<HHQQQ", 1, 24, unpacked, packed, local) + plain[at + 46 + n:at + 46 + n + e]
        head[20:28] = head[42:46] * 0 + b"\xff" * 8
        head[30:32] = struct.pack("<H", len(extra))
        head[42:46] = b"\xff" * 4
        records += bytes(head) + plain[at + 46:at + 46 + n] + extra
        at += 46 + n + e + c
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(records), offset)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, offset + len(records), 1)
    last = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xffff, 0xffff, 0xffffffff, 0xffffffff, 0)
    save(name, plain[:offset] + records + end64 + locator + last)


stored = make_zip("stored.zip", zipfile.ZIP_STORED)
deflated = make_zip("deflated.zip", zipfile.ZIP_DEFLATED)
make_zip("streamed.zip", zipfile.ZIP_DEFLATED, Pipe())
make_zip("forced64.zip", zipfile.ZIP_DEFLATED, None, True)
zip64_directory("zip64.zip", stored)
save("prefixed.ZIP", b"#!/bin/sh\nexit\n" + deflated)
save("comment.zip", deflated[:-2] + struct.pack("<H", 40) + b"PK\5\6" + b"." * 36)
gnu = make_tar("gnu.tar", tarfile.GNU_FORMAT)
make_tar("pax.tar", tarfile.PAX_FORMAT)
make_tar("ustar.tar", tarfile.USTAR_FORMAT)
with tarfile.open(fileobj=io.BytesIO(gnu)) as t:  # without the zeros at the end
    last = t.getmembers()[-1]
    save("unended.tar", gnu[:last.offset_data + last.size + 511 & ~511])

# What follows is damaged or absurd.
song = content(order[0])
os.mkdir(os.path.join(out, "bad"))
out = os.path.join(out, "bad")
one = make_zip("plain.zip", zipfile.ZIP_STORED, entries=[("a.wav", song)])
record = one.rindex(b"PK\1\2")
end = one.rindex(b"PK\5\6")


def patched(name, base, at, data):
    save(name, base[:at] + data + base[at + len(data):])


os.unlink(os.path.join(out, "plain.zip"))
save("empty.zip", b"")
save("text.zip", b"this is no archive" * 100)
save("cut.zip", one[:-30])
save("nothing.zip", struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0, 0, 0, 0, 0))
patched("encrypted.zip", one, record + 8, b"\1\0")
patched("method.zip", one, record + 10, b"\x0c\0")
patched("offset.zip", one, record + 42, b"\xff\xff\xff\x7f")
patched("sizes.zip", one, record + 24, b"\1\0\0\0")
patched("beyond.zip", one, record + 20, struct.pack("<II", len(one), len(one)))
patched("record.zip", one, record, b"XX")
patched("count.zip", one, end + 8, b"\5\0\5\0")
patched("split.zip", one, end + 4, b"\1\0")
patched("directory.zip", one, end + 12, b"\xff\xff\xff\x7f")
patched("name.zip", one, record + 28, b"\xff\xff")
small = make_zip("small.zip", zipfile.ZIP_DEFLATED, entries=[("a.wav", song)])
at = small.rindex(b"PK\1\2")
os.unlink(os.path.join(out, "small.zip"))
patched("checksum.zip", small, at + 16, b"abcd")
patched("stream.zip", small, 30 + 5, b"\xff" * 20)
patched("larger.zip", small, at + 24, struct.pack("<I", len(song) - 1))
patched("smaller.zip", small, at + 24, struct.pack("<I", len(song) + 1))
bomb = make_zip("bomb.zip", zipfile.ZIP_DEFLATED, entries=[("a.wav", b"\0" * 30000000)])
patched("huge.zip", bomb, bomb.rindex(b"PK\1\2") + 24, b"\xff\xff\xff\xfe")
names = [("../up.wav", song), ("a/../../up.wav", song), ("/etc/passwd.wav", song), ("./here.wav", song),
         ("twice.wav", b"first"), ("twice.wav", song), ("deep/inner.zip", one), ("..", song), ("notes.txt", b"text"),
         (".hidden.wav", song), ("__MACOSX/._a.wav", b"mac"), ("new\nline.wav", song), ("empty.wav", b""),
         ("folder/", b""), ("x" * 5000 + ".wav", song)]
make_zip("names.zip", zipfile.ZIP_STORED, entries=names)
latin = make_zip("latin.zip", zipfile.ZIP_STORED, entries=[("e_t_.wav", song)])
save("latin.zip", latin.replace(b"e_t_", b"\xe9t\xe9\xff"))
nul = make_zip("nul.zip", zipfile.ZIP_STORED, entries=[("a_b.wav", song)])
save("nul.zip", nul.replace(b"a_b.wav", b"a\0b.wav"))
save("empty.tar", b"")
save("text.tar", b"this is no archive" * 100)
save("cut.tar", gnu[:100000])
save("zeros.tar", b"\0" * 10240)
make_tar("names.tar", tarfile.PAX_FORMAT, entries=names)
make_tar("long.tar", tarfile.PAX_FORMAT, entries=[("first.wav", song), ("x" * 70000 + ".wav", song)])
two = make_tar("damaged.tar", tarfile.USTAR_FORMAT, entries=[("a.wav", song), ("b.wav", song)])
second = two.index(b"b.wav")
patched("damaged.tar", two, second + 3, b"W")
links = io.BytesIO()
with tarfile.open(fileobj=links, mode="w", format=tarfile.GNU_FORMAT) as t:
    for name, kind, target in (("hard.wav", tarfile.LNKTYPE, "a.wav"), ("soft.wav", tarfile.SYMTYPE, "/etc/passwd"),
                               ("pipe.wav", tarfile.FIFOTYPE, ""), ("device.wav", tarfile.CHRTYPE, "")):
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        t.addfile(info)
save("links.tar", links.getvalue())
sparse = bytearray(tarfile.TarInfo("hole.wav").tobuf(tarfile.GNU_FORMAT))
sparse[156:157] = b"S"
sparse[148:156] = b" " * 8
sparse[148:156] = b"%06o\0 " % sum(sparse)
save("sparse.tar", bytes(sparse) + b"\0" * 1024)
