"use strict";
const facts = JSON.parse(document.getElementById("facts").textContent);
const page = document.documentElement, at = (id) => document.getElementById(id);
let session = null, ort = null, camera = null;

function say(message, state) {
  at("message").textContent = message;
  page.dataset.state = state;
}

// What is stored in an element: base64 of gzip.
async function unpacked(id) {
  const text = at(id).textContent.trim(), raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let place = 0; place < raw.length; place++) bytes[place] = raw.charCodeAt(place);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function start() {
  if (typeof WebAssembly !== "object") {
    return say("This browser has no WebAssembly, which the network needs: use a current Chrome, " +
      "Edge, Firefox or Safari, and allow WebAssembly in its settings.", "failed");
  }
  if (typeof DecompressionStream !== "function" || typeof OffscreenCanvas !== "function") {
    return say("This browser is too old for this page: use a Chrome, Edge, Firefox or Safari of " +
      "2023 or later.", "failed");
  }
  try {
    const script = new Blob([await unpacked("runtime-script")], { type: "text/javascript" });
    const address = URL.createObjectURL(script);
    ort = await import(address);
    URL.revokeObjectURL(address);
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = (await unpacked("runtime-binary")).buffer;
    ort.env.logLevel = "error";
    session = await ort.InferenceSession.create(await unpacked("network"));
    await probabilities(new Float32Array((facts.grey ? 1 : 3) * facts.height * facts.width));
  } catch (error) {
    return say(`The network could not be started: ${error.message || error}`, "failed");
  }
  for (const id of ["file", "camera"]) at(id).disabled = false;
  say("Drop a picture here, choose or paste one, or use the camera.", "ready");
}

async function probabilities(values) {
  const shape = [1, facts.grey ? 1 : 3, facts.height, facts.width];
  const input = new ort.Tensor("float32", values, shape);
  const found = await session.run({ [facts.input]: input });
  const logits = Array.from(found[facts.output].data);
  const sum = logits.reduce((a, b) => a + b, 0);
  if (logits.every((value) => value >= 0) && Math.abs(sum - 1) < 1e-3) return logits;
  const most = Math.max(...logits), powers = logits.map((value) => Math.exp(value - most));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((value) => value / total);
}

// Classify three values a pixel, and show the classes with the time that they took.
async function show(image, jpeg) {
  const before = performance.now();
  const small = fitted(image, facts.width, facts.height, jpeg, facts.framing);
  const between = performance.now();
  const found = await probabilities(asInput(small, facts.grey));
  const after = performance.now();
  const order = found.map((_, index) => index).sort((a, b) => found[b] - found[a]).slice(0, 5);
  at("classes").replaceChildren(...order.map((index) => {
    const row = document.createElement("li"), name = document.createElement("span");
    const share = document.createElement("span"), bar = document.createElement("meter");
    name.textContent = facts.classes[index];
    name.className = "name";
    share.textContent = `${(100 * found[index]).toFixed(1)} %`;
    bar.value = found[index];
    bar.setAttribute("aria-hidden", "true");
    row.dataset.probability = found[index];
    row.append(name, share, bar);
    return row;
  }));
  at("latency").textContent =
    `${(after - between).toFixed(1)} ms for the network, ` +
    `${(between - before).toFixed(1)} ms to crop and scale the picture`;
}

async function showFile(file) {
  if (!session || !file) return;
  stopCamera();
  say("…", "working");
  try {
    const start = new Uint8Array(await file.slice(0, 2).arrayBuffer());
    const options = { imageOrientation: "from-image", colorSpaceConversion: "none" };
    const bitmap = await createImageBitmap(file, options);
    at("picture").src = URL.createObjectURL(file);
    at("picture").hidden = false;
    const jpeg = start[0] === 0xff && start[1] === 0xd8;
    await show(pixelsOf(bitmap, bitmap.width, bitmap.height), jpeg);
    say(file.name || "A picture that was pasted", "done");
  } catch (error) {
    const what = error.name === "InvalidStateError" ? "it is no picture that this browser reads" :
      error.message || error;
    say(`${file.name} cannot be classified: ${what}`, "failed");
  }
}

async function useCamera() {
  if (camera) return stopCamera();
  const video = at("video");
  try {
    camera = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    return say(`The camera cannot be used: ${error.message || error}`, "failed");
  }
  video.srcObject = camera;
  video.hidden = false;
  at("picture").hidden = true;
  at("camera").textContent = "Stop the camera";
  await video.play();
  while (camera) {
    await show(pixelsOf(video, video.videoWidth, video.videoHeight), false);
    if (camera) say("What the camera sees", "done");
    await new Promise((next) => setTimeout(next, 200));
  }
}

function stopCamera() {
  if (camera) camera.getTracks().forEach((track) => track.stop());
  camera = null;
  at("video").hidden = true;
  at("camera").textContent = "Use the camera";
}

at("file").addEventListener("change", (event) => showFile(event.target.files[0]));
at("camera").addEventListener("click", useCamera);
addEventListener("dragover", (event) => { event.preventDefault(); page.dataset.over = "yes"; });
addEventListener("dragleave", () => { delete page.dataset.over; });
addEventListener("drop", (event) => {
  event.preventDefault();
  delete page.dataset.over;
  showFile(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => showFile(event.clipboardData.files[0]));
start();
