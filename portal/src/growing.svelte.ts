import { turn } from "./ui/yieldToMain";

const step = 6;

/**
 * How many rows of a table are put up when it is first seen: a few at once, and each few more in a task of their own. Fifty
 * calls in one task stop a telephone for a third of a second. What comes later comes at once. Made while a component is made.
 */
export class Growing {
  #put = $state(step);
  readonly #rows: () => number;

  constructor(rows: () => number) {
    this.#rows = rows;
    $effect(() => {
      const all = this.#rows();
      const next = this.#put + step;
      if (all > 0 && next < Infinity)
        void turn().then(() => (this.#put = next < all ? next : Infinity));
    });
  }

  get put(): number {
    return this.#put;
  }

  get whole(): boolean {
    return this.#put >= this.#rows();
  }
}
