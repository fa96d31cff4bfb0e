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

/**
 * @param picked tells the number of the point that was picked last
 * @returns whether that was by a key
 */
export function listen(
  box: HTMLElement,
  send: (message: ToWorker) => void,
  picked: () => number,
): { byKey: () => boolean } {
  let byKey = false;
  const pick = (at: At | null, key = false) => {
    byKey = key;
    send({ type: 'pick', at });
  };
  const turn = (right: number, down: number) => send({ type: 'turn', yaw: right, pitch: down });

  let dragged: { x: number; y: number } | null = null;
  const place = ({ clientX, clientY }: PointerEvent) => {
    const { left, top, width, height } = box.getBoundingClientRect();
    return { x: clientX - left - width / 2, y: height / 2 - (clientY - top) };
  };
  box.addEventListener('pointerdown', (event) => {
    if (!event.isPrimary) return;
    dragged = place(event);
    box.setPointerCapture(event.pointerId);
    pick(dragged);
  });
  box.addEventListener('pointermove', (event) => {
    if (!event.isPrimary) return;
    const now = place(event);
    if (!dragged) return pick(now);
    turn((now.x - dragged.x) * DRAG, (dragged.y - now.y) * DRAG);
    dragged = now;
  });
  for (const end of ['pointerup', 'pointercancel'] as const)
    box.addEventListener(end, () => (dragged = null));
  // A finger leaves whenever it is lifted.
  box.addEventListener('pointerleave', ({ pointerType }) => pointerType !== 'touch' && pick(null));
  box.addEventListener('blur', () => pick(null));

  box.addEventListener('keydown', (event) => {
    const arrow = ARROWS[event.key];
    if (arrow) {
      const [right, down] = arrow;
      if (event.shiftKey) turn(right * PRESS, down * PRESS);
      else pick({ index: picked() + right + down }, true);
    } else if (event.key === 'Escape') pick(null, true);
    else return;
    event.preventDefault();
  });
  return { byKey: () => byKey };
}
