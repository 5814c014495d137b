#!/bin/sh
# Pillow 13.0.0: the transparent grey of 2-bit and 4-bit PNG files is never found.
#
# A grey PNG may name one transparent grey in its tRNS chunk, in samples of the
# file's own depth (0 to 3 at 2 bits, 0 to 15 at 4 bits).  Pillow stretches the
# samples to 0..255 and leaves the number in tRNS as it stands, so that sample 1 of
# a 2-bit file becomes 85 and is compared with 1: all pixels come out opaque.  At 1
# and at 8 bits it is right.  Only the samples that do not need stretching, 0, match.
# PNG optimizers write such files: they lower the depth where few greys are used.
#
# Output seen (alpha of samples 0 and 1, of which 1 is transparent in the file):
#   1 bit : [255, 0]
#   2 bits: [255, 255]
#   4 bits: [255, 255]
#   8 bits: [255, 0]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0
"$folder/venv/bin/python" - <<'EOF'
import io
import struct
import zlib

from PIL import Image


def chunk(name, data):
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def grey_png(depth, samples, transparent):
    bits = 0
    for sample in samples:
        bits = bits << depth | sample
    size = (len(samples) * depth + 7) // 8
    row = b"\0" + (bits << size * 8 - len(samples) * depth).to_bytes(size, "big")
    header = struct.pack(">IIBBBBB", len(samples), 1, depth, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"tRNS", struct.pack(">H", transparent))
        + chunk(b"IDAT", zlib.compress(row))
        + chunk(b"IEND", b"")
    )


for depth, expected in ((1, [255, 0]), (2, [255, 255]), (4, [255, 255]), (8, [255, 0])):
    image = Image.open(io.BytesIO(grey_png(depth, [0, 1], 1)))
    alpha = list(image.convert("RGBA").getchannel("A").tobytes())
    print(f"{depth} bit{'s' if depth > 1 else ' '}: {alpha}")
    assert alpha == expected, "transparency of grey PNG files has changed"
EOF
