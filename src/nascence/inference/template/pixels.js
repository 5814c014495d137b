// A picture as the network saw its pictures in training: framed and resampled as Pillow does.
"use strict";

// Mean of blocks, as Pillow's Image.reduce: {data, width, height}, three values a pixel.
function reduced(image, fx, fy) {
  if (fx === 1 && fy === 1) return image;
  const width = Math.ceil(image.width / fx), height = Math.ceil(image.height / fy);
  const data = new Uint8ClampedArray(3 * width * height);
  for (let y = 0; y < height; y++) {
    const bottom = Math.min((y + 1) * fy, image.height);
    for (let x = 0; x < width; x++) {
      const right = Math.min((x + 1) * fx, image.width);
      const count = (bottom - y * fy) * (right - x * fx);
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let v = y * fy; v < bottom; v++) {
          for (let u = x * fx; u < right; u++) sum += image.data[3 * (v * image.width + u) + c];
        }
        data[3 * (y * width + x) + c] = Math.floor(sum / count + 0.5);
      }
    }
  }
  return { data, width, height };
}

function bicubic(x) {
  x = Math.abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

// For each of `size` pixels: the first pixel that it is made of, and the weights.
function weights(start, end, size, limit) {
  const scale = (end - start) / size, stretch = Math.max(scale, 1), found = [];
  for (let place = 0; place < size; place++) {
    const centre = start + (place + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - 2 * stretch + 0.5), 0);
    const last = Math.min(Math.trunc(centre + 2 * stretch + 0.5), limit);
    const own = [];
    for (let x = first; x < last; x++) own.push(bicubic((x - centre + 0.5) / stretch));
    const sum = own.reduce((a, b) => a + b, 0);
    found.push({ first, own: own.map((value) => value / sum) });
  }
  return found;
}

// The box [left, top, right, bottom] of an image, resampled to width x height.
function resampled(image, box, width, height) {
  const across = weights(box[0], box[2], width, image.width);
  const down = weights(box[1], box[3], height, image.height);
  const middle = new Uint8ClampedArray(3 * width * image.height);
  for (let y = 0; y < image.height; y++) {
    across.forEach(({ first, own }, x) => {
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let i = 0; i < own.length; i++) {
          sum += own[i] * image.data[3 * (y * image.width + first + i) + c];
        }
        middle[3 * (y * width + x) + c] = Math.floor(sum + 0.5);
      }
    });
  }
  const data = new Uint8ClampedArray(3 * width * height);
  down.forEach(({ first, own }, y) => {
    for (let x = 0; x < 3 * width; x++) {
      let sum = 0;
      for (let i = 0; i < own.length; i++) sum += own[i] * middle[3 * width * (first + i) + x];
      data[3 * width * y + x] = Math.floor(sum + 0.5);
    }
  });
  return { data, width, height };
}

// The same by way of whole-numbered means where much is scaled down, as Pillow's reducing_gap = 2.
function scaled(image, box, width, height) {
  const across = (box[2] - box[0]) / width, down = (box[3] - box[1]) / height;
  const fx = Math.max(Math.trunc(across / 2), 1), fy = Math.max(Math.trunc(down / 2), 1);
  if (fx === 1 && fy === 1) return resampled(image, box, width, height);
  const x = Math.max(0, Math.trunc(box[0] - 1.5 * across));
  const y = Math.max(0, Math.trunc(box[1] - 1.5 * down));
  const right = Math.min(image.width, Math.ceil(box[2] + 1.5 * across));
  const bottom = Math.min(image.height, Math.ceil(box[3] + 1.5 * down));
  const part = reduced(cropped(image, x, y, right, bottom), fx, fy);
  const inside = [(box[0] - x) / fx, (box[1] - y) / fy, (box[2] - x) / fx, (box[3] - y) / fy];
  return resampled(part, inside, width, height);
}

// A picture as width x height: its largest centred crop of that shape ("crop"), squashed as a whole
// ("squash"), or as a whole between black borders ("pad").
function fitted(image, width, height, jpeg, framing = "crop") {
  if (jpeg) {  // Pillow decodes a JPEG at the smallest scale that is large enough
    const most = 2 * Math.max(width, height);
    const room = Math.min(Math.floor(image.width / most), Math.floor(image.height / most));
    const factor = [8, 4, 2, 1].find((each) => each <= Math.max(room, 1));
    image = reduced(image, factor, factor);
  }
  if (image.width === width && image.height === height) return image;
  const across = image.width / width, down = image.height / height;
  const whole = [0, 0, image.width, image.height];
  if (framing === "squash") return scaled(image, whole, width, height);
  if (framing === "pad") {
    const scale = Math.max(across, down);
    const inner = [image.width, image.height].map((side) => Math.max(Math.round(side / scale), 1));
    const data = new Uint8ClampedArray(3 * width * height);
    const small = scaled(image, whole, ...inner);
    const left = (width - inner[0]) >> 1, top = (height - inner[1]) >> 1;
    for (let y = 0; y < inner[1]; y++) {
      const row = small.data.subarray(3 * y * inner[0], 3 * (y + 1) * inner[0]);
      data.set(row, 3 * ((top + y) * width + left));
    }
    return { data, width, height };
  }
  const scale = Math.min(across, down);
  const left = (image.width - scale * width) / 2, top = (image.height - scale * height) / 2;
  return scaled(image, [left, top, left + scale * width, top + scale * height], width, height);
}

function cropped(image, left, top, right, bottom) {
  const width = right - left, height = bottom - top;
  const data = new Uint8ClampedArray(3 * width * height);
  for (let y = 0; y < height; y++) {
    const start = 3 * ((top + y) * image.width + left);
    data.set(image.data.subarray(start, start + 3 * width), 3 * width * y);
  }
  return { data, width, height };
}

// Float32 (1, C, H, W) in [0, 1] of a picture on white, three values a pixel.
function asInput(image, grey) {
  const count = image.width * image.height, values = new Float32Array((grey ? 1 : 3) * count);
  for (let place = 0; place < count; place++) {
    const [red, green, blue] = image.data.subarray(3 * place, 3 * place + 3);
    if (grey) {
      values[place] = ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16) / 255;
    } else {
      values[place] = red / 255;
      values[count + place] = green / 255;
      values[2 * count + place] = blue / 255;
    }
  }
  return values;
}

// The pixels of anything that a canvas can draw, on white, three values a pixel.
function pixelsOf(source, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "white";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(source, 0, 0, width, height);
  const four = pen.getImageData(0, 0, width, height).data;
  const data = new Uint8ClampedArray(3 * width * height);
  for (let place = 0; place < width * height; place++) {
    data.set(four.subarray(4 * place, 4 * place + 3), 3 * place);
  }
  return { data, width, height };
}
