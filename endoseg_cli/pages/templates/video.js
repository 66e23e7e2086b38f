
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const frames = data.frames, times = frames.time, appearances = data.appearances;
  const byId = (id) => document.getElementById(id);
  const video = byId("video"), timeline = byId("timeline"), cursor = byId("cursor");
  const lastStep = times.length > 1 ? (times[times.length - 1] - times[0]) / (times.length - 1) : 0.04;
  const begin = times[0] || 0;
  const end = (times[times.length - 1] || 0) + lastStep;

  // The video, from the text below this page.
  const stored = byId("video-data");
  if (stored) {
    const text = stored.textContent, parts = [], step = 1 << 20;
    for (let at = 0; at < text.length; at += step) {
      parts.push(Uint8Array.from(atob(text.slice(at, at + step)), (letter) => letter.charCodeAt(0)));
    }
    stored.textContent = "";
    video.src = URL.createObjectURL(new Blob(parts, { type: "video/mp4" }));
  }
  video.addEventListener("error", () => {
    const message = byId("video-error");
    message.textContent = stored ? "This browser cannot play the video." :
      "The video is not where the page expects it: keep " + decodeURIComponent(video.getAttribute("src")) + " beside it.";
    message.hidden = false;
  });

  // Where we are.
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  function frameAt(time) {
    let low = 0, high = times.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (times[middle] <= time + 1e-4) low = middle; else high = middle - 1;
    }
    return low;
  }
  function seek(time) { video.currentTime = clamp(time, begin, end); }
  // A little into the frame, for players round to the one before.
  function seekFrame(index) {
    const here = clamp(index, 0, times.length - 1);
    const after = here + 1 < times.length ? times[here + 1] : times[here] + lastStep;
    seek(times[here] + Math.min((after - times[here]) / 2, 0.02));
  }
  const here = () => frameAt(video.currentTime);
  function currentAppearance() {
    const frame = here();
    return appearances.findIndex((one) => one.first <= frame && frame <= one.last);
  }
  function next() {
    const frame = here(), found = appearances.find((one) => one.first > frame);
    if (found) seekFrame(found.first);
  }
  function previous() {
    const frame = here();
    for (let index = appearances.length - 1; index >= 0; index--) {
      if (appearances[index].first < frame) { seekFrame(appearances[index].first); return; }
    }
  }
  function toggle() { if (video.paused) video.play(); else video.pause(); }

  // The lanes.
  const percent = (value) => (100 * value).toFixed(1) + " %";
  const two = (value) => value.toFixed(2);
  const highest = (values) => values.reduce((most, value) => Math.max(most, value || 0), 0);
  const lanes = [
    { key: "area", label: "Area (share of the frame)", show: percent, top: Math.max(highest(frames.area), 0.01) },
    { key: "confidence", label: "Confidence", show: two, top: 1 },
    { key: "uncertainty", label: "Uncertainty (nats)", show: (value) => value.toFixed(3),
      top: Math.max(highest(frames.uncertainty), 0.01) },
  ];
  if (frames.dice) lanes.push({ key: "dice", label: "Dice against the truth", show: two, top: 1 });
  const strips = [
    { label: "Appearances of a lesion", colour: "--area", spans: appearances.map((one) => [one.first, one.last]) },
    { label: "Isolated failures: " + data.isolated.length, colour: "--failure",
      spans: data.isolated.map((one) => [one[0], one[0]]) },
  ];
  function addLane(label, right) {
    const lane = document.createElement("div"), text = document.createElement("div");
    const canvas = document.createElement("canvas");
    lane.className = "lane"; text.className = "label";
    for (const words of [label, right]) {
      const part = document.createElement("span");
      part.textContent = words;
      text.append(part);
    }
    lane.append(text, canvas);
    byId("lanes").append(lane);
    return canvas;
  }
  for (const lane of lanes) lane.canvas = addLane(lane.label, "0 to " + lane.show(lane.top));
  for (const strip of strips) strip.canvas = addLane(strip.label, "");

  function prepare(canvas, height) {
    const width = timeline.clientWidth, scale = window.devicePixelRatio || 1;
    canvas.style.height = height + "px";
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    return [context, width];
  }
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const position = (time, width) => (time - begin) / (end - begin || 1) * width;
  const frameEnd = (index) => index + 1 < times.length ? times[index + 1] : end;
  function drawLane(lane) {
    const height = 44, [context, width] = prepare(lane.canvas, height), values = frames[lane.key];
    const peaks = new Float32Array(Math.ceil(width)).fill(-1);  // the largest value of each column
    values.forEach((value, index) => {
      if (value === null) return;
      const last = Math.max(Math.floor(position(frameEnd(index), width) - 1e-6), 0);
      for (let x = Math.floor(position(times[index], width)); x <= last && x < peaks.length; x++) {
        peaks[x] = Math.max(peaks[x], value);
      }
    });
    context.fillStyle = colour("--" + lane.key);
    peaks.forEach((value, x) => {
      if (value < 0) return;
      const top = (height - 2) * (1 - clamp(value / lane.top, 0, 1));
      context.globalAlpha = 0.25;
      context.fillRect(x, top, 1, height - top);
      context.globalAlpha = 1;
      context.fillRect(x, top, 1, 2);
    });
  }
  function drawStrip(strip) {
    const height = 12, [context, width] = prepare(strip.canvas, height);
    context.fillStyle = colour(strip.colour);
    for (const [first, last] of strip.spans) {
      const left = position(times[first], width);
      context.fillRect(left, 0, Math.max(position(frameEnd(last), width) - left, 3), height);
    }
  }
  function draw() { lanes.forEach(drawLane); strips.forEach(drawStrip); update(); }

  const thumbnails = [...document.querySelectorAll(".appearance")];
  const failures = new Map(data.isolated);
  function update() {
    const frame = here(), time = video.currentTime, words = [time.toFixed(2) + " s"];
    for (const lane of lanes) {
      const value = frames[lane.key][frame];
      if (value !== null && value !== undefined) words.push(lane.key + " " + lane.show(value));
    }
    if (failures.has(frame)) words.push("isolated " + failures.get(frame).replace("_", " "));
    byId("readout").textContent = words.join(" · ");
    cursor.style.left = 100 * clamp((time - begin) / (end - begin || 1), 0, 1) + "%";
    timeline.setAttribute("aria-valuemin", begin.toFixed(2));
    timeline.setAttribute("aria-valuemax", end.toFixed(2));
    timeline.setAttribute("aria-valuenow", time.toFixed(2));
    timeline.setAttribute("aria-valuetext", words.join(", "));
    const current = currentAppearance();
    thumbnails.forEach((one, index) => {
      one.classList.toggle("current", index === current);
      if (index === current) one.setAttribute("aria-current", "true"); else one.removeAttribute("aria-current");
    });
    byId("play").textContent = video.paused ? "Play" : "Pause";
  }

  // Hands.
  function point(event) {
    const box = timeline.getBoundingClientRect();
    seek(begin + (event.clientX - box.left) / box.width * (end - begin));
  }
  timeline.addEventListener("pointerdown", (event) => { timeline.setPointerCapture(event.pointerId); point(event); });
  timeline.addEventListener("pointermove", (event) => {
    if (timeline.hasPointerCapture(event.pointerId)) point(event);
  });
  byId("play").addEventListener("click", toggle);
  byId("next").addEventListener("click", next);
  byId("previous").addEventListener("click", previous);
  thumbnails.forEach((one, index) => one.addEventListener("click", () => seekFrame(appearances[index].peak)));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.target instanceof HTMLButtonElement;
    const sideways = (sign) => {
      video.pause();
      if (event.shiftKey) seek(video.currentTime + sign); else seekFrame(here() + sign);
    };
    if (event.key === " " && !on) toggle();
    else if (event.key === "ArrowLeft") sideways(-1);
    else if (event.key === "ArrowRight") sideways(1);
    else if (event.key === "n") next();
    else if (event.key === "p") previous();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);

  // Tables: numbers only.
  function download(name, header, rows) {
    const text = [header, ...rows].map((row) => row.map((cell) => cell ?? "").join(",")).join("\n") + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  const stem = data.title.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N}_-]+/gu, "_") || "video";
  byId("export-appearances").addEventListener("click", () => download(
    stem + "_appearances.csv",
    ["appearance", "start_seconds", "end_seconds", "frames_with_mask", "largest_seconds", "largest_area", "confidence"],
    appearances.map((one, index) => [
      index + 1, one.start.toFixed(3), one.end.toFixed(3), one.frames, one.peak_time.toFixed(3),
      one.peak_area.toFixed(5), one.confidence.toFixed(4),
    ])));
  byId("export-frames").addEventListener("click", () => {
    const keys = ["time", ...lanes.map((lane) => lane.key)];
    download(stem + "_frames.csv", [...keys, "isolated"],
      times.map((_, index) => [...keys.map((key) => frames[key][index]), failures.get(index)]));
  });

  for (const name of ["timeupdate", "seeking", "seeked", "play", "pause"]) video.addEventListener(name, update);
  video.addEventListener("loadedmetadata", () => { if (begin > 0) seek(begin); update(); });
  function follow() { if (!video.paused) update(); requestAnimationFrame(follow); }
  requestAnimationFrame(follow);
  window.addEventListener("resize", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
