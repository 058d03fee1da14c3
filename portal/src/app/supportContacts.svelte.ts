import * as api from "../api/client";
import type { Portal } from "../api/model";

/** Whom to turn to, asked for once; null until it is known (and where it cannot be asked). */
class Contacts {
  known = $state.raw<Portal | null>(null);

  async load(): Promise<void> {
    if (this.known !== null) return;
    try {
      this.known = await api.portal();
    } catch {
      // Nothing is lost: whoever needs it asks again, and says that the server does not answer.
    }
  }
}

export const contacts = new Contacts();
