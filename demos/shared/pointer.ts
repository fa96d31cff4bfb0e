// Points of the picture are picked, and the sphere is turned, with a mouse, a finger or the keyboard.
import type { At, ToWorker } from './protocol.ts';

/** Radians for each pixel that is dragged, and for each press of a key. */
const [DRAG, PRESS] = [1 / 150, 0.15];
const ARROWS: Record<string, [right: number, down: number]> = {
  ArrowRight: [1, 0],
  ArrowLeft: [-1, 0],
  ArrowDown: [0, 1],
  ArrowUp: [0, -1],
};

/** @param picked tells the number of the point that was picked last */
export function listen(
  canvas: HTMLCanvasElement,
  send: (message: ToWorker) => void,
  picked: () => number,
): void {
  const pick = (at: At | null) => send({ type: 'pick', at });
  const turn = (right: number, down: number) => send({ type: 'turn', yaw: right, pitch: down });

  let dragged: { x: number; y: number } | null = null;
  const place = ({ clientX, clientY }: PointerEvent) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return { x: clientX - left - width / 2, y: height / 2 - (clientY - top) };
  };
  canvas.addEventListener('pointerdown', (event) => {
    dragged = place(event);
    canvas.setPointerCapture(event.pointerId);
    pick(dragged);
  });
  canvas.addEventListener('pointermove', (event) => {
    const now = place(event);
    if (!dragged) return pick(now);
    turn((now.x - dragged.x) * DRAG, (dragged.y - now.y) * DRAG);
    dragged = now;
  });
  for (const end of ['pointerup', 'pointercancel'] as const)
    canvas.addEventListener(end, () => (dragged = null));
  for (const end of ['pointerleave', 'blur'] as const) canvas.addEventListener(end, () => pick(null));

  canvas.addEventListener('keydown', (event) => {
    const arrow = ARROWS[event.key];
    if (arrow) {
      const [right, down] = arrow;
      if (event.shiftKey) turn(right * PRESS, down * PRESS);
      else pick({ index: picked() + right + down });
    } else if (event.key === 'Escape') pick(null);
    else return;
    event.preventDefault();
  });
}
