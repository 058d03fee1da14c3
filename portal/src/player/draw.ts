import type { Call, Peaks } from "../api/model";

/** The colours of a waveform. */
export interface Paint {
  outside: string;
  employee: string;
  line: string;
}

const barPx = 2;
const gapPx = 1;
const restAlpha = 0.38;

/** The highest peak between two positions; positions and result are from 0 to 1. */
function loudest(peaks: readonly number[], from: number, to: number): number {
  const first = Math.floor(from * peaks.length);
  const last = Math.max(first + 1, Math.ceil(to * peaks.length));
  let most = 0;
  for (let index = first; index < last && index < peaks.length; index += 1)
    most = Math.max(most, peaks[index] ?? 0);
  return most / 255;
}

/**
 * Draw both sides of a call around a middle line: the outside party above, the user below. A mono
 * recording is drawn on both sides. Bars after the position `heard` (0 to 1) are pale. A thin line
 * marks the beginning of each segment.
 */
export function drawWaveform(
  canvas: HTMLCanvasElement,
  peaks: Peaks | null,
  segments: Call["recording"]["segments"],
  heard: number,
  paint: Paint,
): void {
  const pixels = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (
    canvas.width !== Math.round(width * pixels) ||
    canvas.height !== Math.round(height * pixels)
  ) {
    canvas.width = Math.round(width * pixels);
    canvas.height = Math.round(height * pixels);
  }
  const context = canvas.getContext("2d");
  if (context === null) return;
  context.setTransform(pixels, 0, 0, pixels, 0, 0);
  context.clearRect(0, 0, width, height);
  const middle = height / 2;
  if (peaks === null || peaks.duration_ms === 0) {
    context.fillStyle = paint.line;
    context.fillRect(0, middle - 0.5, width, 1);
    return;
  }
  const xOf = (atMs: number): number => (atMs / peaks.duration_ms) * width;
  const below = peaks.right.length > 0 ? peaks.right : peaks.left;
  for (let x = 0; x < width; x += barPx + gapPx) {
    const [from, to] = [x / width, (x + barPx + gapPx) / width];
    context.globalAlpha = from < heard ? 1 : restAlpha;
    const up = Math.max(0.5, loudest(peaks.left, from, to) * (middle - 2));
    const down = Math.max(0.5, loudest(below, from, to) * (middle - 2));
    context.fillStyle = paint.outside;
    context.fillRect(x, middle - up, barPx, up);
    context.fillStyle = peaks.right.length > 0 ? paint.employee : paint.outside;
    context.fillRect(x, middle, barPx, down);
  }
  context.globalAlpha = 1;
  context.fillStyle = paint.line;
  for (const segment of segments.slice(1)) context.fillRect(xOf(segment.offset_ms), 0, 1, height);
}
