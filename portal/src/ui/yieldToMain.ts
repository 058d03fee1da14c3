let last = Promise.resolve();

/**
 * One's turn to do a piece of work that shows: who comes at the same time as others gets a task of their own, one after the
 * other, and between them the browser answers whoever touches it. Told in one task, all reports stop a telephone for half a second.
 */
export function turn(): Promise<void> {
  last = last.then(() => new Promise((done) => setTimeout(done)));
  return last;
}
