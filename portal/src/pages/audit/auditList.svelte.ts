import type { AuditFilter } from "../../api/auditFilter";
import * as api from "../../api/client";
import type { AuditEntry } from "../../api/model";
import { asProblem, isAborted, type ApiProblem } from "../../api/problem";

/** The audit entries of a filter. The previous ones are shown until the answer comes. */
export class AuditList {
  items = $state.raw<AuditEntry[]>([]);
  total = $state(0);
  totalIsExact = $state(true);
  next = $state<string | null>(null);
  phase = $state<"loading" | "ready" | "failed">("loading");
  problem = $state.raw<ApiProblem | null>(null);

  #abort = new AbortController();

  async load(filter: AuditFilter): Promise<void> {
    this.#abort.abort();
    const abort = (this.#abort = new AbortController());
    this.phase = "loading";
    try {
      const page = await api.audit(filter, abort.signal);
      this.items = page.items;
      this.total = page.total;
      this.totalIsExact = page.total_is_exact;
      this.next = page.next;
      this.problem = null;
      this.phase = "ready";
    } catch (failure) {
      if (abort.signal.aborted || isAborted(failure)) return;
      this.problem = asProblem(failure);
      this.items = [];
      this.phase = "failed";
    }
  }

  close(): void {
    this.#abort.abort();
  }
}
