#!/bin/sh
# Pillow 13.0.0, numpy 2.4.6: smooth rotations of 16-bit grey images destroy them.
#
# A 16-bit grey PNG opens as mode "I;16".  Image.rotate and Image.transform with
# BILINEAR or BICUBIC accept that mode and interpolate its *bytes*: an image whose
# pixels are all 30,000 (117 * 256 + 48) comes back with no value above 255, and a
# constant image is no longer constant.  NEAREST is right, resize is right with
# every filter, and the same call on modes "I" and "F" is right.  Other operations
# that cannot do the mode (filters, enhancement, reduce) say so; these do not.
#
# Output seen:
#   nearest  rotate: 0 or 30000
#   bilinear rotate: 0 to 117
#   bicubic  rotate: 0 to 127
#   bilinear resize: 30000 to 30000
#   bilinear rotate of mode I: 0 or 30000
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'EOF'
import io

import numpy
from PIL import Image

buffer = io.BytesIO()
Image.fromarray(numpy.full((32, 32), 30_000, numpy.uint16)).save(buffer, "PNG")
image = Image.open(buffer)
image.load()
assert image.mode == "I;16", image.mode


def values(picture):
    return sorted(set(numpy.asarray(picture).ravel().tolist()))


nearest = values(image.rotate(30, resample=Image.Resampling.NEAREST))
print("nearest  rotate:", " or ".join(map(str, nearest)))
assert nearest == [0, 30_000]
for name in ("BILINEAR", "BICUBIC"):
    rotated = values(image.rotate(30, resample=Image.Resampling[name]))
    print(f"{name.lower():8} rotate: {rotated[0]} to {rotated[-1]}")
    assert rotated[-1] <= 255, "smooth rotation of I;16 has changed"
resized = values(image.resize((48, 48), Image.Resampling.BILINEAR))
print(f"bilinear resize: {resized[0]} to {resized[-1]}")
assert resized == [30_000]
integers = values(image.convert("I").rotate(30, resample=Image.Resampling.BILINEAR))
print("bilinear rotate of mode I:", " or ".join(map(str, integers)))
assert integers == [0, 30_000]
EOF
