let last = Promise.resolve();

/**
 * Wait for a task of its own, so that the browser can handle input before the next piece of work.
 * Simultaneous callers continue one after the other, each in its own task. All reports rendered in
 * one task block a telephone for half a second.
 */
export function yieldToMain(): Promise<void> {
  last = last.then(() => new Promise((resolve) => setTimeout(resolve)));
  return last;
}
