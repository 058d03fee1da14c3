import * as api from "../api/client";
import type { Portal } from "../api/model";

/**
 * The support contacts of this installation, loaded once. `value` is null until they are loaded.
 */
class SupportContacts {
  value = $state.raw<Portal | null>(null);

  async load(): Promise<void> {
    if (this.value !== null) return;
    try {
      this.value = await api.portal();
    } catch {
      // The next dialog that needs the contacts loads them again, and reports an unreachable
      // server.
    }
  }
}

export const supportContacts = new SupportContacts();
