#!/bin/sh
# Pillow 13.0.0, numpy 2.4.6: compositing two float images gives numbers near 1e-17.
#
# Image.composite and Image.paste with a mask take images of mode "F" (depth maps,
# heat maps) and blend the four bytes of every float one by one.  Half-way between
# two images of which one is 30,000 and the other 0 comes out as about 1.3e-17, not
# as 15,059.  With a mask of only 0 and 255 all is right, so that a hard mask hides
# it and a soft edge brings it out.  Image.blend, which does the same with one
# number for the mask, refuses the mode.
#
# Output seen:
#   mask 255: 30000.0
#   mask 128: 1.3e-17
#   blend: ValueError: image has wrong mode
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'EOF'
import numpy
from PIL import Image

depth = Image.fromarray(numpy.full((8, 8), 30_000, numpy.float32))
ground = Image.fromarray(numpy.zeros((8, 8), numpy.float32))
assert depth.mode == ground.mode == "F"

hard = numpy.asarray(Image.composite(depth, ground, Image.new("L", (8, 8), 255)))
print("mask 255:", hard[0, 0])
assert (hard == 30_000).all()
soft = numpy.asarray(Image.composite(depth, ground, Image.new("L", (8, 8), 128)))
print(f"mask 128: {soft[0, 0]:.1e}")
assert (abs(soft) < 1e-10).all(), "compositing of float images has changed"
try:
    Image.blend(ground, depth, 128 / 255)
except ValueError as error:
    print("blend: ValueError:", error)
else:
    raise SystemExit("blend of float images has changed")
EOF
