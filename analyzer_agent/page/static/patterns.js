// Colours of lanes, and the patterns of what was looked at: they differ in form, not only in colour.

const LANES = 8;

/** Return the colours of the page as it is now, light or dark. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return {
    text: read("--text"),
    soft: read("--soft"),
    line: read("--line"),
    back: read("--back"),
    never: read("--never"),
    failed: read("--failed"),
    accent: read("--accent"),
    lane: (number) => read(`--lane-${number % LANES}`),
  };
}

/** Draw the state of a part of a lane: a solid ground, a thin line, crosses, a grid or slanted stripes. */
export function drawState(pen, state, step, x, y, width, height, colour, palette, density) {
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  const middle = y + height / 2;
  if (state === "found" || state === "empty") {
    pen.fillStyle = colour;
    pen.strokeStyle = colour;
    pen.globalAlpha = state === "found" ? 0.2 : 0.07;
    pen.fillRect(x, y, width, height);
    pen.globalAlpha = 0.6;
    pen.lineWidth = 1;
    if (state === "empty") pen.strokeRect(x + 0.5, y + 0.5, Math.max(1, width - 1), height - 1);
    pen.globalAlpha = 0.8;
    // Where only samples were looked at, the line is dotted; dots are as far apart as the samples, or touch.
    const apart = step ? step * density : 0;
    if (apart > 4) pen.setLineDash([3, apart - 3]);
    pen.lineWidth = apart > 4 ? 3 : 1;
    line(pen, x, middle, x + width, middle);
  } else if (state === "failed") {
    pen.strokeStyle = palette.failed;
    pen.lineWidth = 1.5;
    const arm = height * 0.28;
    for (let at = x + height / 2; at < x + width + height / 2; at += height) {
      line(pen, at - arm, middle - arm, at + arm, middle + arm);
      line(pen, at - arm, middle + arm, at + arm, middle - arm);
    }
  } else {
    pen.strokeStyle = state === "unread" ? palette.failed : palette.never;
    pen.lineWidth = 1;
    const apart = state === "unread" ? 4 : 6;
    const begin = Math.floor((x - height) / apart) * apart;
    for (let at = begin; at < x + width; at += apart) {
      line(pen, at, y + height, at + height, y);
      if (state === "unread") line(pen, at, y, at + height, y + height);
    }
  }
  pen.restore();
}

function line(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}

/** Size a canvas for the screen's pixels; return its pen with CSS pixels as units, and its width and height. */
export function penOf(canvas, width = canvas.clientWidth, height = canvas.clientHeight) {
  const ratio = window.devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}
