/** Short notices that come and go by themselves. */
export interface Toast {
  id: number;
  text: string;
  bad: boolean;
}

const shownMs = 5000;
let last = 0;
let shown = $state.raw<Toast[]>([]);

export function toasts(): Toast[] {
  return shown;
}

export function dismiss(id: number): void {
  shown = shown.filter((one) => one.id !== id);
}

/** Say something for five seconds; at most three notices stand at a time. */
export function notice(text: string, bad = false): void {
  const id = (last += 1);
  shown = [...shown.slice(-2), { id, text, bad }];
  setTimeout(() => dismiss(id), shownMs);
}
