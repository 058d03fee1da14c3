/** A short message that disappears by itself. */
export interface Toast {
  id: number;
  text: string;
  isError: boolean;
}

const shownMs = 5000;
const mostShown = 3;
let lastId = 0;
let shown = $state.raw<Toast[]>([]);

export function toasts(): Toast[] {
  return shown;
}

export function dismissToast(id: number): void {
  shown = shown.filter((toast) => toast.id !== id);
}

/** Show a message for five seconds. The oldest one disappears when there are more than three. */
export function showToast(text: string, isError = false): void {
  const id = (lastId += 1);
  shown = [...shown, { id, text, isError }].slice(-mostShown);
  setTimeout(() => dismissToast(id), shownMs);
}
